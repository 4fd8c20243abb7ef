"""What a `pricing` record expects, read from the charges of the offline rating.

The record is rated twice: as it is, and without discounts and commitments. So `amount` is before
discounts, `discount` the difference, and `min_commitment` what the minimum adds at the close.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from engine.rating.amount import Slice
from engine.rating.charge import Charge
from engine.rating.errors import Refusal
from engine.rating.money import PICO
from tests.vectors.conversions import conversion_of, frees_part_of_a_block
from tests.vectors.offline import Vector
from tests.vectors.percentages import write_promotions
from tests.vectors.price_models import fee_of_an_earlier_split, write_price
from tests.vectors.records import Record, number, rounded
from tests.vectors.usages import Usage, read_usage

_COMMITMENTS = ("min_amount", "max_amount", "percent_discount")
_FLOORS = Fraction(2, PICO)
"""Less than this is the rounding of two amounts."""


class Rated(NamedTuple):
    """Charges before the record's line and of it, and what closing the period settled."""

    before: list[Charge]
    charges: list[Charge]
    settled: Fraction

    @property
    def slices(self) -> list[Slice]:
        """All slices of the line, in order."""
        return _slices(self.charges)


def _slices(charges: list[Charge]) -> list[Slice]:
    return [part for charge in charges for line in charge.lines for part in line.slices]


class Outcome(NamedTuple):
    """A record, rated: as it is, and without discounts and commitments."""

    record: Record
    net: Rated
    gross: Rated
    sign: int

    def money(self, value: Fraction) -> Fraction:
        """Return an amount as the source books it: in cents, or exactly."""
        decimals = (self.record.get("precision") or {}).get("currency_decimals")
        return value if decimals is None else rounded(value, int(decimals))

    @property
    def amount(self) -> Fraction:
        """What the lines cost before discounts, and a first fee that is due without usage."""
        return self._booked(self.gross.charges)[0] + self.settled(self.gross)

    @property
    def discount(self) -> Fraction:
        """What the discounts take off."""
        amount, lines = self._booked(self.gross.charges, self.net.charges)
        if self._fills(*self.net.before, *self.net.charges):
            lines = amount - self._left
        return lines + self.settled(self.gross) - self._fee

    def _fills(self, *charges: Charge) -> bool:
        """Say whether charges reach the maximum."""
        most = self.record["price"].get("max_amount")
        return most is not None and bool(charges) and sum(_amounts([*charges])) == number(most)

    @property
    def _left(self) -> Fraction:
        """What is left of the maximum for the line, in cents as the lines before were booked."""
        if self._fills(*self.net.before):
            return Fraction(0)
        amount, discount = self._booked(self.gross.before, self.net.before)
        most = self.money(number(self.record["price"]["max_amount"]))
        return max(Fraction(0), most - amount + discount)

    @property
    def min_commitment(self) -> Fraction:
        """What a minimum adds."""
        has_minimum = self.record["price"].get("min_amount") is not None
        return self.settled(self.net) - self._fee if has_minimum else Fraction(0)

    @property
    def total(self) -> Fraction:
        """What is to be paid."""
        return self.sign * (self.amount - self.discount + self.min_commitment)

    @property
    def _fee(self) -> Fraction:
        """A first fee that is due without usage, after discounts."""
        fee, most = self.settled(self.gross), self.record["price"].get("max_amount")
        kept = fee - self.money(fee * self._percent)
        return kept if most is None else min(kept, number(most))

    def settled(self, rated: Rated) -> Fraction:
        """Return what a minimum adds to the lines of the period, which are booked in cents."""
        if not rated.settled:
            return rated.settled
        exact, booked = Fraction(0), Fraction(0)
        pairs = ((self.gross.before, rated.before), (self.gross.charges, rated.charges))
        for gross, net in pairs:
            amount, discount = self._booked(gross, net)
            exact += sum(_amounts(net), Fraction(0))
            booked += amount - discount
        return self.money(rated.settled + exact - booked)

    def _booked(
        self, gross: list[Charge], net: list[Charge] | None = None
    ) -> tuple[Fraction, Fraction]:
        """Return the amount and the discount of lines, where a fee is a line of its own."""
        lines = [[self.money(part) for part in _parts(full)] for full in _slices(gross)]
        before, after = _amounts(gross), _amounts(gross if net is None else net)
        if len(before) != len(after):
            lines = [[part for parts in lines for part in parts]]
            before, after = [sum(before, Fraction(0))], [sum(after, Fraction(0))]
        discount = Fraction(0)
        for parts, full, less in zip(lines, before, after, strict=True):
            if abs(full * (1 - self._percent) - less) < _FLOORS:
                discount += sum(self.money(part * self._percent) for part in parts)
            else:
                discount += sum(parts) - self.money(less)
        return sum((part for parts in lines for part in parts), Fraction(0)), discount

    @property
    def _percent(self) -> Fraction:
        return number(self.record["price"].get("percent_discount")) / 100


def outcome_of(record: Record) -> Outcome:
    """Rate a record. Negative usage is a refund: what its positive counterpart costs, given back.

    Where a record does not allow it, it is refused as usage, so nothing is charged.
    """
    usage = read_usage(record)
    sign = 1
    if number(record["usage"].get("quantity")) < 0:
        sign = -1
        if not record["usage"].get("allow_negative"):
            _assert_refused(record)
            usage = usage._replace(now=[])
    price = {name: value for name, value in record["price"].items() if name not in _COMMITMENTS}
    return Outcome(record, _rate(record, usage), _rate({**record, "price": price}, usage), sign)


def _rate(record: Record, usage: Usage) -> Rated:
    vector = Vector({"components": write_price(record), "promotions": write_promotions(record)})
    before, charges = vector.charged(usage.before), vector.charged(usage.now)
    settled = vector.close() - fee_of_an_earlier_split(record) if usage.closes else Fraction(0)
    return Rated(before, charges, settled)


def _assert_refused(record: Record) -> None:
    quantity = int(number(record["usage"]["quantity"]))
    refused = Vector({"components": write_price(record)}).charge({"request": quantity})
    assert isinstance(refused, Refusal)
    assert refused.code == "negative_quantity"


def _parts(part: Slice) -> list[Fraction]:
    """Return the amount of a slice: for its units, and its fee."""
    amount, fee = Fraction(part.amount, PICO), Fraction(part.flat_fee or 0)
    return [amount - fee, fee] if amount >= fee else [amount]


def _amounts(charges: list[Charge]) -> list[Fraction]:
    return [Fraction(part.amount, PICO) for part in _slices(charges)]


def shown(outcome: Outcome, name: str) -> object:
    """Return what the charges say for a field of `expected`; None if they do not show it."""
    show = _SHOWN.get(name)
    return None if show is None else show(outcome)


def _lines(outcome: Outcome) -> list[tuple[object, ...]]:
    """Return the parts of the charges: tier, whether a fee, unit price or fee, quantity, amount."""
    price = outcome.record["price"]
    scale, in_front = conversion_of(price)[0], int(frees_part_of_a_block(price))
    found: list[tuple[object, ...]] = []
    if outcome.gross.settled:
        found.append((1, True, Fraction(1), outcome.settled(outcome.gross)))
    for part in outcome.gross.slices:
        tier, units = part.tier - in_front, Fraction(part.quantity, PICO)
        if tier >= 0 and price["tiers"][tier].get("unit_price") is not None and units:
            amount = outcome.money(units * Fraction(part.unit_price) / part.per)
            found.append((tier + 1, False, units / scale, amount))
        if part.flat_fee:
            found.append((tier + 1, True, Fraction(1), outcome.money(Fraction(part.flat_fee))))
    return sorted(found, key=str)


def expected_lines(lines: list[Mapping[str, Any]]) -> list[tuple[object, ...]]:
    """Return the lines that a record expects, in the form of `shown`."""
    found = [
        (
            int(line["tier"]),
            bool(line.get("flat")),
            Fraction(1) if line.get("flat") else number(line["quantity"]),
            number(line["amount"]),
        )
        for line in lines
        if line.get("flat") or number(line["quantity"])
    ]
    return sorted(found, key=str)


def _last_tier(outcome: Outcome) -> Fraction:
    slices = outcome.gross.slices
    return Fraction(slices[-1].tier if slices else 0)


def _packages(outcome: Outcome) -> Fraction:
    size = int(number(outcome.record["price"]["package_size"]))
    return sum((Fraction(part.quantity, PICO * size) for part in outcome.gross.slices), Fraction(0))


def _billed_quantity(outcome: Outcome) -> Fraction:
    return outcome.amount / number(outcome.record["price"]["unit_price"])


def _per_unit(outcome: Outcome) -> Fraction:
    quantity = number(outcome.record["usage"]["quantity"])
    return rounded(outcome.total / quantity, 2) if quantity else Fraction(0)


_SHOWN: dict[str, Callable[[Outcome], object]] = {
    "total": lambda outcome: outcome.total,
    "total_rounded_2": lambda outcome: rounded(outcome.total, 2),
    "amount": lambda outcome: outcome.amount,
    "discount": lambda outcome: outcome.discount,
    "min_commitment": lambda outcome: outcome.min_commitment,
    "packages": _packages,
    "tier_index": _last_tier,
    "last_tier_index": _last_tier,
    "billed_quantity": _billed_quantity,
    "effective_unit_amount_rounded": _per_unit,
    "tier_amounts": lambda outcome: [a for a in _amounts(outcome.gross.charges) if a],
    "lines": _lines,
}
