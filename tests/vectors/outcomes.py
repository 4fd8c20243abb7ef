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
from tests.vectors.offline import Vector
from tests.vectors.price_models import write_price, write_promotions
from tests.vectors.records import Record, number, rounded
from tests.vectors.usages import Usage, read_usage

_COMMITMENTS = ("min_amount", "max_amount", "percent_discount")


class Rated(NamedTuple):
    """The charges of the record's line, and what closing the period settled."""

    charges: list[Charge]
    settled: Fraction

    @property
    def slices(self) -> list[Slice]:
        """All slices, in order."""
        return [part for charge in self.charges for line in charge.lines for part in line.slices]


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
        """What the lines cost before discounts."""
        return sum((self.money(part) for part in _amounts(self.gross)), Fraction(0))

    @property
    def discount(self) -> Fraction:
        """What the discounts take off."""
        gross, net = _amounts(self.gross), _amounts(self.net)
        if len(gross) != len(net):
            gross, net = [sum(gross, Fraction(0))], [sum(net, Fraction(0))]
        pairs = zip(gross, net, strict=True)
        return sum((self.money(before - after) for before, after in pairs), Fraction(0))

    @property
    def total(self) -> Fraction:
        """What is to be paid."""
        return self.sign * (self.amount - self.discount + self.money(self.net.settled))


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
    vector.charged(usage.before)
    charges = vector.charged(usage.now)
    return Rated(charges, vector.close() if usage.closes else Fraction(0))


def _assert_refused(record: Record) -> None:
    quantity = int(number(record["usage"]["quantity"]))
    refused = Vector({"components": write_price(record)}).charge({"request": quantity})
    assert isinstance(refused, Refusal)
    assert refused.code == "negative_quantity"


def _amounts(rated: Rated) -> list[Fraction]:
    return [Fraction(part.amount, PICO) for part in rated.slices]


def shown(outcome: Outcome, name: str) -> object:
    """Return what the charges say for a field of `expected`; None if they do not show it."""
    show = _SHOWN.get(name)
    return None if show is None else show(outcome)


def _lines(outcome: Outcome) -> list[tuple[object, ...]]:
    """Return the parts of the charges: tier, whether a fee, unit price or fee, quantity, amount."""
    tiers = outcome.record["price"]["tiers"]
    found: list[tuple[object, ...]] = []
    for part in outcome.gross.slices:
        units, unit_price = Fraction(part.quantity, PICO), Fraction(part.unit_price)
        if tiers[part.tier].get("unit_price") is not None and units:
            found.append((part.tier + 1, False, units, units * unit_price))
        if part.flat_fee:
            found.append((part.tier + 1, True, Fraction(1), Fraction(part.flat_fee)))
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
    "amount": lambda outcome: outcome.amount + outcome.money(outcome.gross.settled),
    "discount": lambda outcome: outcome.discount,
    "min_commitment": lambda outcome: outcome.money(outcome.net.settled - outcome.gross.settled),
    "packages": _packages,
    "tier_index": _last_tier,
    "last_tier_index": _last_tier,
    "billed_quantity": _billed_quantity,
    "effective_unit_amount_rounded": _per_unit,
    "tier_amounts": lambda outcome: [a for a in _amounts(outcome.gross) if a],
    "lines": _lines,
}
