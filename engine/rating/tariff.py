"""Tariffs: immutable versions of a price page.

A version is identified by the SHA-256 of its canonical form (`canonical_document`): the document
people write, with defaults left out, decimals in shortest form, components sorted by id and the
transitions of its time zone frozen in. Publishing never changes a version; it adds one.
"""

import json
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from typing import NamedTuple

from engine.rating.errors import InvalidDocument
from engine.rating.matching import ANYTHING, DIMENSIONS, Match, Pattern, ambiguities, most_specific
from engine.rating.money import format_decimal
from engine.rating.period import UTC_ZONE, FrozenZone, format_instant
from engine.rating.price import GraduatedPrice
from engine.rating.usage import KINDS, MONEY_KINDS, UNEXPLAINED

WILDCARD = "*"
_MAX_PLANS = 10_000
SCOPES = ("account", "subject", "model")
ROUNDINGS = ("half_up", "half_even", "up", "down")
_UNPRICED_BY_WILDCARD = (*MONEY_KINDS, UNEXPLAINED)


@dataclass(frozen=True, slots=True)
class Component:
    """One price of a tariff.

    `weights` maps the kinds it prices (or the wildcard) to metered units per unit of the kind;
    `scope` and `period` say which quantities are counted together.
    """

    component_id: str
    weights: tuple[tuple[str, Fraction], ...]
    price: GraduatedPrice
    match: Match = ANYTHING
    scope: str = "account"
    period: str = "event"

    def weight(self, kind: str) -> Fraction:
        """Return the metered units per unit of a kind that this component prices."""
        weights = dict(self.weights)
        return weights[kind] if kind in weights else weights[WILDCARD]


class KindPrice(NamedTuple):
    """What prices one kind of an event: a component, at pico metered units per unit."""

    component: Component
    weight_pico: int


@dataclass(frozen=True, slots=True, eq=False)
class TariffVersion:
    """One immutable version; the version in force is chosen by the time of use.

    Times are in us UTC; `effective_to` None means open. `fallback` maps a kind without a price of
    its own to the kind whose price it takes.
    """

    tariff_id: str
    version: int
    effective_from: int
    currency: str
    components: tuple[Component, ...]
    effective_to: int | None = None
    zone: FrozenZone = UTC_ZONE
    rounding: str = "half_up"
    fallback: tuple[tuple[str, str], ...] = ()
    document: str = field(init=False)
    digest: bytes = field(init=False)
    _by_id: dict[str, Component] = field(init=False, repr=False)
    _by_model: dict[str, list[Component]] = field(init=False, repr=False)
    _thresholds: tuple[int, ...] = field(init=False, repr=False)
    _plans: dict[object, dict[str, KindPrice]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_components(self)
        _check_fallback(self)
        document = json.dumps(
            canonical_document(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        by_model: dict[str, list[Component]] = {}
        for component in self.components:
            for model in component.match.model.choices or ("",):
                by_model.setdefault(model, []).append(component)
        thresholds = {component.match.context_above for component in self.components}
        derived = {
            "document": document,
            "digest": sha256(document.encode()).digest(),
            "_by_id": {component.component_id: component for component in self.components},
            "_by_model": by_model,
            "_thresholds": tuple(sorted(t for t in thresholds if t is not None)),
            "_plans": {},
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def component(self, component_id: str) -> Component | None:
        """Return a component by id."""
        return self._by_id.get(component_id)

    def prices(self, dimensions: tuple[str, ...], context_length: int) -> dict[str, KindPrice]:
        """Return what prices each kind of an event; a kind that is missing is in suspense.

        `dimensions` are in the order of matching.DIMENSIONS. Few combinations are distinct, so
        each is worked out once and kept: a cache, never a meaning.
        """
        band = bisect_left(self._thresholds, context_length)  # thresholds that it exceeds
        plan = self._plans.get((dimensions, band))
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:  # made-up model names must not fill the memory
                self._plans.clear()
            plan = self._plans[dimensions, band] = self._work_out(dimensions, context_length)
        return plan

    def _work_out(self, dimensions: tuple[str, ...], context_length: int) -> dict[str, KindPrice]:
        candidates = self._by_model.get(dimensions[0], []) + self._by_model.get("", [])
        own: dict[str, KindPrice] = {}
        for kind in KINDS:
            names = [WILDCARD] if kind not in _UNPRICED_BY_WILDCARD else []
            for name in (kind, *names):
                pricing = [c for c in candidates if name in dict(c.weights)]
                component = most_specific(pricing, dimensions, context_length)
                if component is not None:
                    own[kind] = KindPrice(component, int(component.weight(name) * 10**12))
                    break
        return self._with_fallback(own)

    def _with_fallback(self, own: dict[str, KindPrice]) -> dict[str, KindPrice]:
        fallback = dict(self.fallback)
        plan = dict(own)
        for kind in KINDS:
            source = kind
            while source not in own and source in fallback:
                source = fallback[source]
            if source in own:
                plan[kind] = own[source]
        return plan


def _check_components(version: TariffVersion) -> None:
    place = f"tariff {version.tariff_id} version {version.version}"
    ids = [component.component_id for component in version.components]
    twice = [component_id for component_id, count in Counter(ids).items() if count > 1]
    if twice:
        raise InvalidDocument(place, twice[0], "each component id once")
    by_kind: dict[str, list[Component]] = {}
    for component in version.components:
        for kind, weight in component.weights:
            if kind in MONEY_KINDS and weight != 1:
                raise InvalidDocument(
                    f"{place}, component {component.component_id}, kinds.{kind}",
                    format_decimal(weight),
                    "weight 1: money is metered as it is",
                )
            by_kind.setdefault(kind, []).append(component)
    for kind, components in by_kind.items():
        for tie in ambiguities(list(components)):
            raise InvalidDocument(
                f"{place}, kind {kind}",
                f"{tie.first} and {tie.second}",
                "components of different specificity where both can match one event",
            )


def _check_fallback(version: TariffVersion) -> None:
    fallback = dict(version.fallback)
    for kind, source in fallback.items():
        if kind in MONEY_KINDS or source in MONEY_KINDS:
            raise InvalidDocument(
                f"tariff {version.tariff_id} version {version.version}, fallback",
                f"{kind} -> {source}",
                "kinds that are no money",
            )
        chain = [kind]
        while chain[-1] in fallback:
            step = fallback[chain[-1]]
            if step in chain:
                raise InvalidDocument(
                    f"tariff {version.tariff_id} version {version.version}, fallback",
                    " -> ".join([*chain, step]),
                    "a chain that ends",
                )
            chain.append(step)


def canonical_document(version: TariffVersion) -> dict[str, object]:
    """Return the version in the shape people write, defaults left out: the base of its digest."""
    document: dict[str, object] = {
        "tariff_id": version.tariff_id,
        "version": version.version,
        "effective_from": format_instant(version.effective_from),
        "currency": version.currency,
        "components": [
            _canonical_component(component)
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
    return document


def _canonical_component(component: Component) -> dict[str, object]:
    kinds: object = [kind for kind, _ in component.weights]
    if any(weight != 1 for _, weight in component.weights):
        kinds = {kind: format_decimal(weight) for kind, weight in component.weights}
    document: dict[str, object] = {
        "id": component.component_id,
        "kinds": kinds,
        "price": _canonical_price(component.price),
    }
    match = {
        name: _canonical_pattern(pattern)
        for name, pattern in zip(DIMENSIONS, component.match.patterns, strict=True)
        if pattern != Pattern()
    }
    if component.match.context_above is not None:
        match["context_above"] = component.match.context_above
    if match:
        document["match"] = match
    if component.scope != "account":
        document["scope"] = component.scope
    if component.period != "event":
        document["period"] = component.period
    return document


def _canonical_pattern(pattern: Pattern) -> object:
    if pattern.glob:
        return pattern.glob
    return pattern.choices[0] if len(pattern.choices) == 1 else sorted(pattern.choices)


def _canonical_price(price: GraduatedPrice) -> dict[str, object]:
    per = {"per": price.per} if price.per != 1 else {}
    first = price.tiers[0]
    if len(price.tiers) == 1 and not first.flat_fee:
        return {"model": "unit", "unit_price": format_decimal(first.unit_price), **per}
    tiers = []
    for tier in price.tiers:
        row: dict[str, object] = {"unit_price": format_decimal(tier.unit_price)}
        if tier.up_to is not None:
            row["up_to"] = tier.up_to
        if tier.flat_fee:
            row["flat_fee"] = format_decimal(tier.flat_fee)
        tiers.append(row)
    return {"model": "graduated", "tiers": tiers, **per}
