"""Cumulative amounts: what the first x units of a counter cost together.

A(x) is an exact rational, floored to pico (1e-12 currency unit) as a whole; unit prices are never
rounded and A(0) = 0. A charge is a *difference* of A, so charges telescope: however usage is cut
into events, they add up to floor(A(total)) (semantics section 2).

Every price model is piecewise linear in the units that are billed, so one function serves all of
them. On its way to an amount a quantity x passes, in this order: the allowance and free units (off
the front), the increment, the price at its markup, the maximum, the floor. Only what a component
owes per event at least comes after.
"""

from fractions import Fraction
from math import lcm
from typing import NamedTuple

from engine.rating.money import PICO, format_decimal, format_pico
from engine.rating.price import Increment, Price, Tier

BOUND_TIER = -1
"""The tier of a slice that holds what a minimum per event adds, or what the bounds of a whole
counter change."""

_UNIT_PRICE_DECIMALS = 40
"""18 of a written price, 8 of a markup and 8 of a promotion fit in."""


class Slice(NamedTuple):
    """Part of a line in one tier. `quantity` in pico units that are billed, `amount` in pico.

    Billed units are those behind the allowance, in whole increments. Where a volume price changes
    its tier, one slice takes back what was billed at the old tier. The amounts of a line's slices
    are differences of the floored A, so they add up exactly.
    """

    tier: int
    quantity: int
    unit_price: str
    per: int
    flat_fee: str
    amount: int


class _Step(NamedTuple):
    """A tier in integers over the common denominator: A(y) = (base + (y - origin) * slope) / D."""

    lower: int
    upper: int | None
    origin: int
    base: int
    slope: int
    increment: Increment | None
    unit_price: str
    flat_fee: str


class AmountFunction:
    """The cumulative amount function of a price with its modifiers.

    `factor` multiplies every price and fee (markup, promotion); `allowance` is in units; `maximum`
    and `minimum` are in pico, the minimum being owed as soon as there is any usage.
    """

    __slots__ = (
        "_denominator",
        "_free",
        "_increment",
        "_is_plain",
        "_is_volume",
        "_maximum",
        "_minimum",
        "_per",
        "_steps",
    )

    def __init__(
        self,
        price: Price,
        *,
        allowance: int = 0,
        factor: Fraction = Fraction(1),
        maximum: int | None = None,
        minimum: int = 0,
    ) -> None:
        self._per = price.per
        self._is_volume = price.is_volume
        self._free = (allowance + price.free_units) * PICO
        self._increment = _in_pico(price.increment)
        self._maximum, self._minimum = maximum, minimum
        slopes = [tier.unit_price * factor / price.per for tier in price.tiers]
        fees = [tier.flat_fee * factor * PICO for tier in price.tiers]
        self._denominator = lcm(*(value.denominator for value in (*slopes, *fees)))
        self._steps = tuple(self._build(price, factor, slopes, fees))
        counted = self._increment or self._steps[0].increment
        bounded = minimum or maximum is not None
        self._is_plain = len(self._steps) == 1 and not (self._free or counted or bounded)

    def _build(
        self, price: Price, factor: Fraction, slopes: list[Fraction], fees: list[Fraction]
    ) -> list[_Step]:
        steps, lower, reached = [], 0, Fraction(0)
        for tier, slope, fee in zip(price.tiers, slopes, fees, strict=True):
            base, origin = (fee, 0) if self._is_volume else (reached + fee, lower)
            upper = None if tier.up_to is None else tier.up_to * PICO
            increment = _in_pico(tier.increment)
            steps.append(
                _Step(
                    lower,
                    upper,
                    origin,
                    int(base * self._denominator),
                    int(slope * self._denominator),
                    increment,
                    *_shown(tier, factor),
                )
            )
            if upper is not None:
                reached = base + _counted(upper - origin, increment) * slope
                lower = upper
        return steps

    @property
    def starts_anew(self) -> bool:
        """Whether each tariff version, and each promotion, counts from zero (volume)."""
        return self._is_volume

    def amount(self, x: int) -> int:
        """Return floor(A(x)) in pico for x >= 0 pico units."""
        return self.bounded(self.priced(x)) if x else 0

    def priced(self, x: int) -> int:
        """Return what x pico units come to in pico, floored, before maximum and minimum."""
        return self._priced(self._billed(x))

    def bounded(self, amount: int) -> int:
        """Return an amount of some usage within maximum and minimum."""
        return max(self._minimum, self._capped(amount))

    def slices(self, before: int, after: int) -> tuple[Slice, ...]:
        """Return how the units (before, after] run through the tiers, in order."""
        if after == before:
            return ()
        if self._is_plain:
            step, amount = self._steps[0], self.amount(after) - self.amount(before)
            fee = "" if before else step.flat_fee
            return (Slice(0, after - before, step.unit_price, self._per, fee, amount),)
        start, end = self._billed(before), self._billed(after)
        crossed = self._reversed if self._is_volume else self._climbed
        found = crossed(start, end) if end != start else []
        if self._minimum:
            rest = self.amount(after) - self.amount(before) - sum(part.amount for part in found)
            if rest:
                owed = format_pico(self._minimum)
                found.append(Slice(BOUND_TIER, 0, "0", 1, owed, rest))
        return tuple(found)

    def _billed(self, x: int) -> int:
        y = x - self._free
        if y <= 0:
            return 0
        return y if self._increment is None else _counted(y, self._increment)

    def _priced(self, y: int) -> int:
        return self._in_step(self._steps[self._reached(y)], y) if y else 0

    def _reached(self, y: int) -> int:
        for number, step in enumerate(self._steps):
            if step.upper is None or y <= step.upper:
                return number
        raise AssertionError("the last tier is open")

    def _in_step(self, step: _Step, y: int) -> int:
        units = y - step.origin
        if step.increment is not None:
            units = _counted(units, step.increment)
        return (step.base + units * step.slope) // self._denominator

    def _capped(self, amount: int) -> int:
        return amount if self._maximum is None or amount < self._maximum else self._maximum

    def _climbed(self, start: int, end: int) -> list[Slice]:
        """Return the slices of the billed units (start, end] where each tier keeps its price."""
        found = []
        reached = self._capped(self._priced(start))
        for number, step in enumerate(self._steps):
            if step.upper is not None and start >= step.upper:
                continue
            stop = end if step.upper is None else min(end, step.upper)
            amount = self._capped(self._in_step(step, stop))
            units = stop - start
            if step.increment is not None:
                units = _counted(stop - step.origin, step.increment) - _counted(
                    start - step.origin, step.increment
                )
            fee = step.flat_fee if start == step.lower else ""
            found.append(Slice(number, units, step.unit_price, self._per, fee, amount - reached))
            if stop == end:
                break
            start, reached = stop, amount
        return found

    def _reversed(self, start: int, end: int) -> list[Slice]:
        """Return the slices where all units cost what the tier reached says."""
        reached = self._capped(self._priced(end))
        if not start:
            return [self._whole(self._reached(end), end, reached)]
        stood = self._capped(self._priced(start))
        old, new = self._reached(start), self._reached(end)
        if old == new:
            step = self._steps[new]
            units = _counted(end, step.increment) - _counted(start, step.increment)
            return [Slice(new, units, step.unit_price, self._per, "", reached - stood)]
        back = self._whole(old, start, stood)
        return [
            back._replace(quantity=-back.quantity, amount=-stood),
            self._whole(new, end, reached),
        ]

    def _whole(self, number: int, y: int, amount: int) -> Slice:
        step = self._steps[number]
        units = _counted(y, step.increment)
        return Slice(number, units, step.unit_price, self._per, step.flat_fee, amount)


class RunningAmount:
    """What units of one tariff version come to one after the other, promoted or not.

    Each part is priced by its own function; maximum and minimum bound all of them together.
    """

    __slots__ = ("_bounded", "_reached")

    def __init__(self) -> None:
        self._reached: int | None = None
        self._bounded = 0

    def add(self, amounts: AmountFunction, front: int, metered: int) -> int:
        """Return what units cost behind `front` others, all in pico, and go on from there."""
        if not metered:
            return 0  # it has no say in where the others begin
        if self._reached is None:
            self._reached = amounts.priced(front)
            self._bounded = amounts.bounded(self._reached) if front else 0
        self._reached += amounts.priced(front + metered) - amounts.priced(front)
        amount = amounts.bounded(self._reached) - self._bounded
        self._bounded += amount
        return amount


def bounded_slices(slices: tuple[Slice, ...], amount: int) -> tuple[Slice, ...]:
    """Return slices that add up to the amount which the bounds of a whole counter leave."""
    kept = tuple(part for part in slices if part.tier != BOUND_TIER)
    rest = amount - sum([part.amount for part in kept])
    return (*kept, Slice(BOUND_TIER, 0, "0", 1, "", rest)) if rest else kept


def _in_pico(increment: Increment | None) -> Increment | None:
    return increment and increment._replace(units=increment.units * PICO)


def _counted(units: int, increment: Increment | None) -> int:
    """Return units in whole increments."""
    if increment is None:
        return units
    whole = units // increment.units * increment.units
    return whole if increment.rounds_down or whole == units else whole + increment.units


def _shown(tier: Tier, factor: Fraction) -> tuple[str, str]:
    """Return unit price and fee as they stand on a charge: with markup and promotion."""
    fee = tier.flat_fee * factor
    price = format_decimal(tier.unit_price * factor, _UNIT_PRICE_DECIMALS)
    return price, format_decimal(fee, _UNIT_PRICE_DECIMALS) if fee else ""
