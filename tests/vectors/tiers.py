"""Tiers of other systems, made into tiers of the tariff language.

Two things have no field in the language, and need none: a *cap* cuts its tier where it is reached,
and an *allowance* that stands before the tiers is a free tier that moves their bounds.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from tests.vectors.records import Record, number, text, whole


class Tier(NamedTuple):
    """One tier; `up_to` None is open, `price` is per unit (or in percent)."""

    up_to: Fraction | None
    price: Fraction
    flat_fee: Fraction


def exclusive(rows: Sequence[Record]) -> list[Record]:
    """Return the tiers of a record whose bounds are the first units of the next tier."""
    bounds = [None if row.get("up_to") is None else number(row["up_to"]) - 1 for row in rows]
    moved = [
        {**row, "up_to": None if bound is None else text(bound)}
        for row, bound in zip(rows, bounds, strict=True)
    ]
    return [row for row, bound in zip(moved, bounds, strict=True) if bound is None or bound > 0]


def capped(rows: Sequence[Record], *, volume: bool) -> list[Tier]:
    """Return the tiers of a record, each with a `cap` cut in two where its amount reaches it."""
    cut = _cut_volume if volume else _cut_graduated
    tiers: list[Tier] = []
    lower = Fraction(0)
    for row in rows:
        up_to = None if row.get("up_to") is None else number(row["up_to"])
        tier = Tier(up_to, number(row.get("unit_price")), number(row.get("flat_fee")))
        if row.get("cap") is None:
            tiers.append(tier)
        else:
            tiers.extend(cut(tier, number(row["cap"]), lower))
        lower = lower if up_to is None else up_to
    return tiers


def _cut_graduated(tier: Tier, cap: Fraction, lower: Fraction) -> Iterator[Tier]:
    """Yield the units before the cap, the one that reaches it in part, and the free rest."""
    fee = min(tier.flat_fee, cap)
    full = int((cap - fee) / tier.price) if tier.price else 0
    rest = cap - fee - tier.price * full if tier.price else Fraction(0)
    for units, price in ((full, tier.price), (1 if rest else 0, rest)):
        if not units:
            continue
        upper = lower + units
        if tier.up_to is not None and upper >= tier.up_to:
            yield Tier(tier.up_to, price, fee)
            return
        yield Tier(upper, price, fee)
        lower, fee = upper, Fraction(0)
    yield Tier(tier.up_to, Fraction(0), fee)


def _cut_volume(tier: Tier, cap: Fraction, lower: Fraction) -> Iterator[Tier]:
    """Yield the tier up to the units that reach the cap, then the cap as a fee."""
    reached = (cap - tier.flat_fee) / tier.price if tier.price else None
    below = reached is None or (tier.up_to is not None and reached >= tier.up_to)
    if below and tier.flat_fee <= cap:
        yield tier
        return
    if reached is not None and reached >= lower + 1:
        yield Tier(Fraction(int(reached)), tier.price, tier.flat_fee)
    yield Tier(tier.up_to, Fraction(0), cap)


def shifted(tiers: list[Tier], allowance: Fraction) -> list[Tier]:
    """Return the tiers behind a free one of `allowance` units."""
    if not allowance:
        return tiers
    moved = [
        tier._replace(up_to=None if tier.up_to is None else tier.up_to + allowance)
        for tier in tiers
    ]
    return [Tier(allowance, Fraction(0), Fraction(0)), *moved]


def tier_row(tier: Tier | Record, price_name: str, scale: int) -> dict[str, Any]:
    """Return a tier as a document writes it; `scale` metered units are one unit of the record."""
    if not isinstance(tier, Tier):
        up_to = None if tier.get("up_to") is None else number(tier["up_to"])
        tier = Tier(up_to, number(tier.get(price_name)), number(tier.get("flat_fee")))
    row: dict[str, Any] = {price_name: text(tier.price)}
    if tier.up_to is not None:
        row["up_to"] = whole(tier.up_to * scale)
    if tier.flat_fee:
        row["flat_fee"] = text(tier.flat_fee)
    return row
