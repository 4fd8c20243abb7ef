"""How a price changed, in percent.

Prices by tier are compared where they hold: the bounds of both versions cut the units into
stretches, and each stretch has one old and one new price, whichever tiers they come from. A unit
price is compared per unit, so `2.50` for 1,000 units and `0.0025` for one are the same.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

Document = dict[str, Any]

_RATES = {
    "unit": "unit_price",
    "graduated": "unit_price",
    "volume": "unit_price",
    "percentage": "rate_percent",
    "graduated_percentage": "rate_percent",
}
"""Price models of one or more tiers, and the field that is a tier's rate."""
_BY_TIER = ("model", "tiers", "per", "unit_price", "rate_percent")


class FieldChange(NamedTuple):
    """A field with its old and new value (None: there is none); prices change by `percent`."""

    field: str
    old: Any
    new: Any
    percent: Fraction | None = None


class Tier(NamedTuple):
    """Units above `above` up to `up_to` (None: all above), as the document says them."""

    above: int
    up_to: int | None
    rate: str
    flat_fee: str
    increment: str


class Stretch(NamedTuple):
    """Units above `lower` up to `upper` (None: all above) and the tier of each version there."""

    lower: int
    upper: int | None
    old: Tier
    new: Tier


def percent_above(amount: Fraction | int, base: Fraction | int) -> Fraction | None:
    """Return by how many percent an amount exceeds a base; None if the base is nothing."""
    return (Fraction(amount) - base) / abs(Fraction(base)) * 100 if base else None


def format_percent(percent: Fraction) -> str:
    """Return a percentage with its sign and two decimals, half to even.

    >>> format_percent(Fraction(25, 2)), format_percent(Fraction(-1, 3))
    ('+12.50', '-0.33')
    """
    hundredths = round(percent * 100)
    whole, rest = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else '+'}{whole}.{rest:02d}"


def amount_change(field: str, old: Any, new: Any) -> FieldChange:
    """Return the change of a decimal with its percentage."""
    return FieldChange(field, old, new, percent_above(Fraction(new), Fraction(old)))


def price_changes(old: Document, new: Document) -> Iterator[FieldChange]:
    """Yield what differs between two prices; prices of unlike models are told as wholes."""
    models = old["model"], new["model"]
    if all(model in _RATES for model in models) and len({_RATES[model] for model in models}) == 1:
        if models[0] != models[1]:
            yield FieldChange("price.model", *models)
        yield from _tier_changes(old, new)
        yield from _other_changes(old, new, _BY_TIER)
    elif models == ("package", "package"):
        if _package(old) != _package(new):
            percent = percent_above(_package_rate(new), _package_rate(old))
            yield FieldChange("price.package_price", _package(old), _package(new), percent)
        yield from _other_changes(old, new, ("package_price", "package_size"))
    elif models == ("flat", "flat"):
        yield amount_change("price.amount", old["amount"], new["amount"])
    else:
        yield FieldChange("price", old, new)


def _other_changes(old: Document, new: Document, told: tuple[str, ...]) -> Iterator[FieldChange]:
    for name in sorted(old.keys() | new.keys()):
        if name not in told and old.get(name) != new.get(name):
            yield FieldChange(f"price.{name}", old.get(name), new.get(name))


def _package(price: Document) -> str:
    return f"{price['package_price']} per {price['package_size']}"


def _package_rate(price: Document) -> Fraction:
    return Fraction(price["package_price"]) / int(price["package_size"])


def _tier_changes(old: Document, new: Document) -> Iterator[FieldChange]:
    rate = _RATES[old["model"]]
    for stretch in stretches(old, new):
        units, was, now = _units(stretch), stretch.old, stretch.new
        shown = _per(was.rate, old), _per(now.rate, new)
        if shown[0] != shown[1]:
            rates = Fraction(now.rate) / new.get("per", 1), Fraction(was.rate) / old.get("per", 1)
            yield FieldChange(f"price.{rate}{units}", *shown, percent_above(*rates))
        fees = [tier.flat_fee if tier.above == stretch.lower else "0" for tier in (was, now)]
        if fees[0] != fees[1]:
            yield amount_change(f"price.flat_fee{units}", *fees)
        if was.increment != now.increment:
            yield FieldChange(
                f"price.increment{units}", was.increment or None, now.increment or None
            )


def _per(rate: str, price: Document) -> str:
    per = price.get("per", 1)
    return rate if per == 1 else f"{rate} per {per}"


def _units(stretch: Stretch) -> str:
    if stretch.upper is not None:
        return f", units {stretch.lower + 1} to {stretch.upper}"
    return f", units above {stretch.lower}" if stretch.lower else ""


def stretches(old: Document, new: Document) -> Iterator[Stretch]:
    """Yield the stretches that the bounds of two prices cut the units into, in order."""
    olds, news = _tiers(old), _tiers(new)
    bounds = {tier.up_to for tier in (*olds, *news) if tier.up_to is not None}
    lower = 0
    for upper in (*sorted(bounds), None):
        yield Stretch(lower, upper, _tier_above(olds, lower), _tier_above(news, lower))
        lower = upper or 0


def _tiers(price: Document) -> list[Tier]:
    """Return the tiers of a price; one without tiers is one, and its increment is the price's."""
    rate = _RATES[price["model"]]
    if "tiers" not in price:
        return [Tier(0, None, price[rate], "0", "")]
    bounds = [0, *(tier["up_to"] for tier in price["tiers"][:-1])]
    return [
        Tier(above, tier.get("up_to"), tier[rate], tier.get("flat_fee", "0"), _increment(tier))
        for above, tier in zip(bounds, price["tiers"], strict=True)
    ]


def _increment(tier: Document) -> str:
    units, rounding = tier.get("increment", ""), tier.get("increment_rounding", "")
    return f"{units} {rounding}".strip()


def _tier_above(tiers: list[Tier], lower: int) -> Tier:
    return next(tier for tier in tiers if tier.up_to is None or tier.up_to > lower)
