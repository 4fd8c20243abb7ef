"""CGRateS' balances of units and of money: buckets of tokens and of money, the higher weight first.

Units are taken there in whole increments of a balance: 10 seconds of a balance of minutes take 60.
Here usage is reported in *whole increments*, which a bucket burns at the weight of an increment, and
what is left over in *single units*. What no unit covers is priced, and money pays; CGRateS cuts a call
where nothing pays any more, here it becomes due.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from engine.rating.charge import Charge
from engine.rating.command import PRICED, SUSPENDED
from engine.rating.money import PICO
from engine.rating.period import FIRST_INSTANT, format_instant
from tests.vectors.prepaid_account import ANY, PrepaidAccount, draws
from tests.vectors.records import Record, number, text
from tests.vectors.shapes import SECOND, Shown, only

WHOLE, SINGLE, FEE = "request", "character", "tool_call"
"""Kinds: whole increments of the balances, single units, and the connection itself."""


class Balance(NamedTuple):
    """A balance of units or of money. `increment` in units; `factor`: units per unit of `value`."""

    name: str
    value: Fraction
    weight: Fraction
    increment: Fraction
    factor: Fraction
    is_blocker: bool

    @property
    def units(self) -> Fraction:
        """How many units it holds."""
        return self.value * self.factor

    @property
    def increments(self) -> int:
        """How many whole increments it holds."""
        return int(self.units / self.increment)


class Call(NamedTuple):
    """What is used, and what it costs beyond the balances of units."""

    quantity: Fraction
    fee: Fraction
    rate: Fraction
    increment: Fraction
    units: list[Balance]
    money: list[Balance]

    @property
    def size(self) -> Fraction:
        """Return the size of a whole increment: that of the balances of units, or of the price."""
        sizes = {balance.increment for balance in self.units if balance.increments}
        return max(sizes, default=self.increment)

    @property
    def covered(self) -> int:
        """How many whole increments the balances hold that have this one."""
        return sum(b.increments for b in self.units if b.increment == self.size)

    @property
    def reported(self) -> tuple[int, Fraction]:
        """Return the whole increments and the single units that are reported.

        A begun increment is a whole one where the balances still cover it, or nothing is left over.
        """
        full, rest = divmod(self.quantity, self.size)
        if rest and (self.covered > full or not self.units):
            return int(full) + 1, Fraction(0)
        return int(full), rest


def read_call(record: Record) -> Call:
    """Return the call of a record; balances in the order in which they are taken."""
    usage = record["usage"]
    return Call(
        number(usage.get("quantity")),
        number(usage.get("connect_fee")),
        number(usage.get("fallback_rate_per_unit")),
        number(usage.get("fallback_increment") or 1),
        _read(record.get("unit_balances") or ()),
        _read(record.get("money_balances") or ()),
    )


def _read(rows: Any) -> list[Balance]:
    found = []
    for row in rows:
        only(row, "value", "weight", "increment", "blocker", "factor", "unit", "rate_per_unit")
        found.append(
            Balance(
                str(row["id"]),
                number(row["value"]),
                number(row.get("weight")),
                number(row.get("increment") or 1),
                _factor(row.get("factor")),
                row.get("blocker") in (True, "true"),
            )
        )
    return sorted(found, key=lambda balance: -balance.weight)


def _factor(value: Any) -> Fraction:
    """Return the units per unit of a balance; a record may say for which kind."""
    if isinstance(value, Mapping):
        (value,) = value.values()
    return number(value or 1)


class Balances:
    """A record of balances, run to its end."""

    def __init__(self, record: Record) -> None:
        only(record, "unit_balances", "money_balances", "usage")
        only(
            record["usage"],
            *("quantity", "unit", "connect_fee", "fallback_rate_per_unit", "fallback_increment"),
            *("debit", "matches"),
        )
        self.call = read_call(record)
        self.charge: Charge | None = None
        blocks = any(balance.is_blocker for balance in self.call.money)
        self.acme = PrepaidAccount(*self._price(), overage=SUSPENDED if blocks else PRICED)
        self._issue()
        self.acme.advance(FIRST_INSTANT + SECOND)
        if record["usage"].get("debit") is not None:
            self._debit(number(record["usage"]["debit"]), str(record["usage"].get("matches") or ""))
        else:
            self._use()

    def _price(self) -> list[dict[str, Any]]:
        """Return the components: the price of what units leave, a connection with it or apart."""
        call = self.call
        per_unit = {WHOLE: text(call.size), SINGLE: "1"}
        tier: dict[str, Any] = {"unit_price": text(call.rate)}
        if call.fee and not call.units:
            tier["flat_fee"] = text(call.fee)
        price: dict[str, Any] = {"model": "graduated", "tiers": [tier]}
        if call.increment != 1 and call.increment.denominator == 1:
            tier["unit_price"] = text(call.rate * call.increment)
            price |= {"per": int(call.increment), "increment": int(call.increment)}
        rest = {"id": "rest", "kinds": per_unit, "period": "calendar_month", "price": price}
        fee = {"model": "unit", "unit_price": text(call.fee)}
        return [rest, {"id": "fee", "kinds": [FEE], "price": fee}]

    def _issue(self) -> None:
        call, behind = self.call, False
        for place, balance in enumerate(call.units):
            weights = {WHOLE: text(call.size if balance.increments else balance.increment)}
            is_finer = balance.increment < call.size or balance.increment == 1
            if not call.quantity or (balance.increments and is_finer):
                weights[SINGLE] = "1"
            self._give(balance, place, unit="tokens", weights=weights)
        for place, balance in enumerate(call.money):
            # Nothing is taken behind a balance that may not be skipped: it is for other usage.
            self._give(balance, place, unit="money", models=() if behind else (ANY,))
            behind = behind or balance.is_blocker

    def _give(self, balance: Balance, place: int, **terms: Any) -> None:
        """Give a balance: the higher weight is drawn first, and of equal ones the earlier."""
        if balance.value > 0:
            granted_at = format_instant(FIRST_INSTANT + place * SECOND)
            priority = -int(balance.weight) if balance.weight.denominator == 1 else place
            terms |= {"priority": priority, "granted_at": granted_at}
            self.acme.give(balance.name, balance.units, **terms)

    def _debit(self, units: Fraction, name: str) -> None:
        """Take units of one balance; what is less than nothing is put into it."""
        if units > 0:
            self.charge = self.acme.use({SINGLE: units}, model=name)
        elif self.acme.holding(name):
            self.acme.recharge(name, -units)
        else:
            self.acme.give(name, -units, weights={SINGLE: "1"})

    def _use(self) -> None:
        whole, single = self.call.reported
        kinds = {WHOLE: Fraction(whole), SINGLE: single}
        if self.call.fee and self.call.units:
            kinds[FEE] = Fraction(1)
        used = {kind: quantity for kind, quantity in kinds.items() if quantity}
        if used:
            self.charge = self.acme.use(used)

    def _left(self, balances: list[Balance]) -> dict[str, Fraction]:
        return {b.name: self.acme.remaining(b.name) / b.factor for b in balances}

    def charged(self) -> Fraction:
        """Return what balances of money have paid."""
        money = {balance.name for balance in self.call.money}
        paid = draws(self.charge) if self.charge else []
        return sum((units for name, units in paid if name in money), Fraction(0))

    def covered(self) -> Fraction:
        """Return how much of the quantity units cover and money pays."""
        if self.charge is None:
            return Fraction(0)
        units = {balance.name for balance in self.call.units}
        taken = sum((u for name, u in draws(self.charge) if name in units), Fraction(0))
        paid = self.charged() - self.call.fee
        return taken + (paid / self.call.rate if self.call.rate and paid > 0 else 0)

    def shown(self) -> Shown:
        """Return what records may expect."""
        return {
            "unit": lambda: self._left(self.call.units),
            "money": lambda: self._left(self.call.money),
            "charged": self.charged,
            "covered_quantity": self.covered,
            "error": lambda: self.acme.due > 0,
        }


def _increments_of_several_sizes(record: Record) -> bool:
    """Balances are taken in increments of their own, and what is reported has one size."""
    call = read_call(record)
    held = [balance for balance in call.units if balance.increments]
    sizes = sorted({balance.increment for balance in held}, reverse=True)
    if len(sizes) < 2:
        return False
    full, rest = divmod(call.quantity, call.size)
    coarse = [balance.increment == call.size for balance in held]
    if len(sizes) > 2 or coarse != sorted(coarse, reverse=True):  # the finer one is taken before
        return True
    if call.covered > full:  # the coarse ones cover all of it
        return False
    needed = (full - call.covered) * call.size + rest
    finer = held[coarse.index(False)]
    return bool(needed % sizes[1]) or finer.units < needed


def _cut_in_increments(record: Record) -> bool:
    """Money is left over there, because it does not pay for a whole increment."""
    found = Balances(record)
    step = found.call.rate * found.call.increment
    left = Fraction(found.charge.amount, PICO) if found.charge else Fraction(0)
    fee = found.call.fee
    for balance in found.call.money:
        if balance.value >= left or not step or any(b.is_blocker for b in found.call.money):
            return False
        if (balance.value - fee) % step:
            return True
        left, fee = left - balance.value, Fraction(0)
    return False


def _connection_first(record: Record) -> bool:
    """Nothing at all is taken if money does not pay for the connection."""
    call = read_call(record)
    return bool(call.fee and call.units) and sum(b.value for b in call.money) < call.fee


def _units_that_cost(record: Record) -> bool:
    """Units of a balance are paid for as well: here, what a bucket covers costs nothing."""
    rows = record.get("unit_balances") or ()
    return any(number(row.get("rate_per_unit")) for row in rows)


def _below_zero(record: Record) -> bool:
    """More is debited of a balance than it holds."""
    usage = record["usage"]
    held = {b.name: b.units for b in read_call(record).units}
    return number(usage.get("debit")) > held.get(str(usage.get("matches") or ""), 0)


REASONS: Mapping[str, Callable[[Record], bool]] = {
    "increments_of_several_sizes": _increments_of_several_sizes,
    "connection_first": _connection_first,
    "units_that_cost": _units_that_cost,
    "below_zero": _below_zero,
    "cut_in_increments": _cut_in_increments,
}
