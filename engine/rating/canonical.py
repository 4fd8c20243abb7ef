"""The canonical form of a tariff version: the base of its digest.

It is the document that people write, with defaults left out, decimals in their shortest form,
components and promotions sorted by id, and the transitions of the time zone frozen in. Two spellings
of the same prices have one canonical form. What a field does not say it does not show, so a version
keeps its digest when the language grows.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

from engine.rating.component import WILDCARD, Component, Promotion, Weights
from engine.rating.matching import DIMENSIONS, Match
from engine.rating.money import format_decimal, format_pico
from engine.rating.pattern import ANY, Pattern
from engine.rating.period import UTC_ZONE, format_instant
from engine.rating.price import PERCENTAGES, QUANTITY, Increment, Price, Tier
from engine.rating.window import written

if TYPE_CHECKING:
    from engine.rating.tariff import TariffVersion

Document = dict[str, object]


def canonical_document(version: "TariffVersion") -> Document:
    """Return the version in the shape people write, defaults left out."""
    document: Document = {
        "tariff_id": version.tariff_id,
        "version": version.version,
        "effective_from": format_instant(version.effective_from),
        "currency": version.currency,
        "components": [
            _component(component)
            for component in sorted(version.components, key=lambda c: c.component_id)
        ],
    }
    if version.effective_to is not None:
        document["effective_to"] = format_instant(version.effective_to)
    if version.zone != UTC_ZONE:
        document["time_zone"] = version.zone.name
        document["time_zone_transitions"] = [
            [format_instant(at), offset]
            for at, offset in zip(version.zone.instants, version.zone.offsets, strict=True)
        ]
    if version.rounding != "half_up":
        document["rounding"] = version.rounding
    if version.fallback:
        document["fallback"] = dict(version.fallback)
    if version.supplier_for:
        document["supplier_for"] = [*version.supplier_for]
    if version.promotions:
        promotions = sorted(version.promotions, key=lambda p: p.promotion_id)
        document["promotions"] = [_promotion(promotion) for promotion in promotions]
    return document


def _component(component: Component) -> Document:
    document: Document = {
        "id": component.component_id,
        "kinds": _kinds(component.weights),
        "price": canonical_price(component.price),
    }
    match = canonical_match(component.match)
    if match:
        document["match"] = match
    if component.scope != "account":
        document["scope"] = component.scope
    if component.period != "event":
        document["period"] = component.period
    if component.model_weights:
        document["weights"] = {
            pattern.glob or pattern.choices[0]: _decimals(weights)
            for pattern, weights in component.model_weights
        }
    if component.allowance:
        document["allowance"] = component.allowance
    if component.markup_percent:
        document["markup_percent"] = format_decimal(component.markup_percent)
    for name, amount in (("maximum", component.maximum), ("minimum", component.minimum)):
        if amount is not None:
            document[name] = format_pico(amount)
    return document


def _promotion(promotion: Promotion) -> Document:
    document: Document = {"id": promotion.promotion_id}
    match = canonical_match(promotion.match)
    if match:
        document["match"] = match
    if promotion.kinds != (WILDCARD,):
        document["kinds"] = [*promotion.kinds]
    if promotion.components:
        document["components"] = [*promotion.components]
    if promotion.price is None:
        document["percent_off"] = format_decimal(promotion.percent_off)
    else:
        document["price"] = canonical_price(promotion.price)
    for name, at in (("valid_from", promotion.valid_from), ("valid_to", promotion.valid_to)):
        if at is not None:
            document[name] = format_instant(at)
    for name, count in (
        ("first_units", promotion.first_units),
        ("first_events", promotion.first_events),
    ):
        if count is not None:
            document[name] = count
    if promotion.is_tallied:
        if promotion.scope != "account":
            document["scope"] = promotion.scope
        if promotion.period != "lifetime":
            document["period"] = promotion.period
    return document


def _kinds(weights: Weights) -> object:
    if any(weight != 1 for _, weight in weights):
        return _decimals(weights)
    return [kind for kind, _ in weights]


def _decimals(weights: Weights) -> dict[str, str]:
    return {kind: format_decimal(weight) for kind, weight in weights}


def canonical_match(match: Match) -> Document:
    """Return patterns, threshold and windows as people write them."""
    document: Document = {
        name: _pattern(pattern)
        for name, pattern in zip(DIMENSIONS, match.patterns, strict=True)
        if pattern != ANY
    }
    if match.attributes:
        document["attributes"] = {name: _pattern(pattern) for name, pattern in match.attributes}
    if match.context_above is not None:
        document["context_above"] = match.context_above
    if match.windows is not None:
        document["time"] = written(match.windows)
    return document


def _pattern(pattern: Pattern) -> object:
    if pattern.glob:
        return pattern.glob
    return pattern.choices[0] if len(pattern.choices) == 1 else sorted(pattern.choices)


def canonical_price(price: Price) -> Document:
    """Return a price as people write it; graduated with one open tier without a fee is `unit`."""
    first = price.tiers[0]
    if price.model == "package":
        return _package(price)
    if price.model == "flat":
        return {"model": "flat", "amount": format_decimal(first.flat_fee)}
    if price.model == "percentage":
        return {"model": "percentage", "rate_percent": _percent(first.unit_price), **_of(price)}
    common = {**({"per": price.per} if price.per != 1 else {}), **_increment(price.increment)}
    plain = len(price.tiers) == 1 and not first.flat_fee and first.increment is None
    if price.model == "unit" or (price.model == "graduated" and plain):
        return {"model": "unit", "unit_price": format_decimal(first.unit_price), **common}
    return {"model": price.model, "tiers": _tiers(price), **common, **_of(price)}


def _package(price: Price) -> Document:
    document: Document = {
        "model": "package",
        "package_size": price.per,
        "package_price": format_decimal(price.tiers[0].unit_price),
    }
    if price.free_units:
        document["free_units"] = price.free_units
    if price.increment is not None and price.increment.rounds_down:
        document["rounding"] = "down"
    return document


def _tiers(price: Price) -> list[Document]:
    share = price.model in PERCENTAGES
    return [
        {"rate_percent": _percent(tier.unit_price), **_tier(tier)}
        if share
        else {"unit_price": format_decimal(tier.unit_price), **_tier(tier)}
        for tier in price.tiers
    ]


def _tier(tier: Tier) -> Document:
    row: Document = {}
    if tier.up_to is not None:
        row["up_to"] = tier.up_to
    if tier.flat_fee:
        row["flat_fee"] = format_decimal(tier.flat_fee)
    return {**row, **_increment(tier.increment)}


def _percent(share: Fraction) -> str:
    return format_decimal(share * 100)


def _increment(increment: Increment | None) -> Document:
    if increment is None:
        return {}
    rounding: Document = {"increment_rounding": "down"} if increment.rounds_down else {}
    return {"increment": increment.units, **rounding}


def _of(price: Price) -> Document:
    return {"of": price.of} if price.of != QUANTITY else {}
