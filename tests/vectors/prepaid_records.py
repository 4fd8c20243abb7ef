"""Which translator runs a record about prepaid balances, by its kind, and why one may not be run."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.vectors import deductions, grant_reasons, unit_balances, wallets
from tests.vectors.burn_down import BurnDown, burn_order
from tests.vectors.deductions import Conversion, Deduction
from tests.vectors.paid_from import PaidFrom
from tests.vectors.records import Record
from tests.vectors.shapes import Shown
from tests.vectors.unit_balances import Balances
from tests.vectors.wallets import Wallets

Reasons = Mapping[str, Callable[[Record], bool]]
NONE: Reasons = {}


class Translator(NamedTuple):
    """Runs records of a kind; `reasons` are those why one means something else here."""

    run: Callable[[Record], Shown]
    reasons: Reasons = NONE


TRANSLATORS: Mapping[str, Translator] = {
    "grant_burn_down": Translator(lambda record: BurnDown(record).shown(), grant_reasons.REASONS),
    "grant_order": Translator(burn_order),
    "wallet_consumption": Translator(lambda record: Wallets(record).shown(), wallets.REASONS),
    "unit_and_money_balances": Translator(
        lambda record: Balances(record).shown(), unit_balances.REASONS
    ),
    "deduction": Translator(lambda record: Deduction(record).shown(), deductions.REASONS),
    "credit_conversion": Translator(lambda record: Conversion(record).shown()),
    "balance_after_usage": Translator(lambda record: PaidFrom(record).shown()),
    "pricing_with_credits": Translator(lambda record: PaidFrom(record).shown()),
}

PREPAID_REASONS = {name for kind in TRANSLATORS.values() for name in kind.reasons}


def translator(record: Record) -> Translator:
    """Return what runs a record: a balance after usage is one of the others, by what it holds."""
    kind = record["kind"]
    if kind == "balance_after_usage":
        kind = next((other for field, other in _HOLDING.items() if field in record), kind)
    return TRANSLATORS[kind]


_HOLDING = {
    "grants": "grant_burn_down",
    "debits": "wallet_consumption",
    "unit_balances": "unit_and_money_balances",
    "deduct": "deduction",
}


def reason(record: Record) -> str:
    """Return why a record means something else here, or nothing; it looks at what goes in only."""
    inputs = {name: value for name, value in record.items() if name not in ("expected", "note")}
    reasons = translator(record).reasons
    return next((name for name, applies in reasons.items() if applies(inputs)), "")
