"""What is left of a balance once a price is paid from it: buckets of money, in the order given."""

from fractions import Fraction
from typing import Any

from engine.rating.charge import MONEY_CHARGES
from engine.rating.money import PICO
from tests.vectors.prepaid_account import MONEY_AS_IT_IS, PrepaidAccount, draws
from tests.vectors.price_models import write_price
from tests.vectors.records import MONEY, Record, number
from tests.vectors.shapes import Shown, first, moment, only
from tests.vectors.usages import Quantities, events, read_usage

IN_THE_MONTH = moment("2026-11-02T00:00:00Z")
AFTER_THE_MONTH = moment("2026-12-01T00:00:00Z")
BALANCES = ("balance", "starting_balance", "initial_balance", "wallet_balance", "credits")
AMOUNTS = ("usage", "unpaid", "unpaid_invoices", "pending", "charges", "debits")


class PaidFrom:
    """Credits that pay for usage, at a price or as money; then the month closes."""

    def __init__(self, record: Record) -> None:
        only(record, "price", *BALANCES, *AMOUNTS)
        components, used = self._bought(record)
        self.acme = PrepaidAccount(*components)
        self.names = []
        for place, amount in enumerate(self._credits(record)):
            if amount:
                self.names.append(f"credit-{place}")
                self.acme.give(self.names[-1], amount, unit="money", models=None, priority=place)
        self.acme.advance(IN_THE_MONTH)
        for quantities in used:
            self.acme.use({kind: number(value) for kind, value in quantities.items()})
        self.acme.advance(AFTER_THE_MONTH)

    def _bought(self, record: Record) -> tuple[list[dict[str, Any]], list[Quantities]]:
        """Return the tariff's components and the usage, as reported."""
        if "price" in record:
            return write_price(record), read_usage(record).now
        amounts = [part for name in AMOUNTS for part in _amounts(record.get(name))]
        return [dict(MONEY_AS_IT_IS)], [row for part in amounts for row in events(MONEY, part)]

    def _credits(self, record: Record) -> list[Fraction]:
        """Return the balances, in the order in which they pay."""
        usage = record.get("usage")
        given = usage.get("credits") if isinstance(usage, dict) else None
        return _amounts(first(record, *BALANCES) if given is None else given)

    def shown(self) -> Shown:
        """Return what records may expect."""
        charges = [charge for charge in self.acme.charges if charge.kind in MONEY_CHARGES]
        amount = Fraction(sum(charge.amount for charge in charges), PICO)
        paid = sum((units for charge in charges for _, units in draws(charge)), Fraction(0))
        left = sum(map(self.acme.remaining, self.names), Fraction(0))
        assert amount - paid == self.acme.due, "what credits do not pay is due"
        return {
            "amount": lambda: amount,
            "credits_applied": lambda: paid,
            "total": lambda: self.acme.due,
            "due": lambda: self.acme.due,
            **{name: lambda: left - self.acme.due for name in ("balance", "remaining", "left")},
        }


def _amounts(value: Any) -> list[Fraction]:
    """Return the amounts that a field holds: one, several, or rows of them."""
    if value is None:
        return []
    if isinstance(value, list):
        return [amount for part in value for amount in _amounts(part)]
    if isinstance(value, dict):
        only(value, "amount", "quantity", "type", "at")
        return [number(first(value, "amount", "quantity"))]
    return [number(value)]
