"""Price models as cumulative amount functions A(x).

A(x) is what the first x metered units cost together: an exact rational, floored to pico as a
whole; unit prices are never rounded and A(0) = 0. A charge is a *difference* of A, so charges
telescope: however usage is cut into events, they add up to floor(A(total)) (semantics section 2).

`unit` is `graduated` with a single open tier, so one function serves both.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from engine.rating.money import PICO, format_decimal


@dataclass(frozen=True, slots=True)
class Tier:
    """Units up to and including `up_to` (None: open) at `unit_price`; a fee on entering."""

    up_to: int | None
    unit_price: Fraction
    flat_fee: Fraction = Fraction(0)


class Slice(NamedTuple):
    """Part of a line in one tier. `quantity` in pico units, `amount` in pico.

    The amounts of a line's slices are differences of the floored A, so they add up exactly.
    """

    tier: int
    quantity: int
    unit_price: str
    per: int
    flat_fee: str
    amount: int


class _Step(NamedTuple):
    """Tier in integers over the common denominator: A(x) = (base + (x - lower) * slope) / D."""

    lower: int
    upper: int | None
    base: int
    slope: int
    unit_price: str
    flat_fee: str


class GraduatedPrice:
    """Each tier's units at that tier's price; `flat_fee` falls due with the first unit in a tier.

    `tiers` ascend and the last one is open; `per` is the number of units a unit price is for.
    """

    __slots__ = ("_denominator", "_steps", "per", "tiers")

    def __init__(self, tiers: tuple[Tier, ...], per: int) -> None:
        self.tiers = tiers
        self.per = per
        slopes = [tier.unit_price / per for tier in tiers]  # pico per pico unit
        fees = [tier.flat_fee * PICO for tier in tiers]
        self._denominator = lcm(*(value.denominator for value in (*slopes, *fees)))
        self._steps = tuple(self._build_steps(slopes, fees))

    def _build_steps(self, slopes: list[Fraction], fees: list[Fraction]) -> list[_Step]:
        steps, lower, base = [], 0, Fraction(0)
        for tier, slope, fee in zip(self.tiers, slopes, fees, strict=True):
            base += fee
            upper = None if tier.up_to is None else tier.up_to * PICO
            steps.append(
                _Step(
                    lower,
                    upper,
                    int(base * self._denominator),
                    int(slope * self._denominator),
                    format_decimal(tier.unit_price),
                    format_decimal(tier.flat_fee) if tier.flat_fee else "",
                )
            )
            if upper is not None:
                base += (upper - lower) * slope
                lower = upper
        return steps

    def amount(self, x: int) -> int:
        """Return floor(A(x)) in pico for x >= 0 pico units."""
        if x == 0:
            return 0
        for step in self._steps:
            if step.upper is None or x <= step.upper:
                return (step.base + (x - step.lower) * step.slope) // self._denominator
        raise AssertionError("the last tier is open")

    def slices(self, before: int, after: int) -> tuple[Slice, ...]:
        """Return how the units (before, after] run through the tiers, in order."""
        found = []
        start, start_amount = before, self.amount(before)
        for number, step in enumerate(self._steps):
            if step.upper is not None and start >= step.upper:
                continue
            end = after if step.upper is None else min(after, step.upper)
            end_amount = (step.base + (end - step.lower) * step.slope) // self._denominator
            fee = step.flat_fee if start == step.lower else ""
            found.append(
                Slice(
                    number, end - start, step.unit_price, self.per, fee, end_amount - start_amount
                )
            )
            if end == after:
                break
            start, start_amount = end, end_amount
        return tuple(found)


def unit_price(price: Fraction, per: int) -> GraduatedPrice:
    """Return the price model `unit`: every unit at the same price."""
    return GraduatedPrice((Tier(None, price),), per)
