"""Wallets of Lago and Flexprice: credits are grants of money, and what is debited draws from them.

A debit of an invoice is a charge; what the wallet does not pay becomes due, which is what a wallet
below zero says. Flexprice refuses a debit above the balance: that is usage under the overage policy
``suspended``. Credits are voided in part by an adjustment, which takes them from the same buckets in
the same order.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from engine.rating.charge import SUSPENSE, Charge
from engine.rating.command import PRICED, SUSPENDED
from engine.rating.period import FIRST_INSTANT, format_instant
from tests.vectors.prepaid_account import ANY, MONEY_AS_IT_IS, PrepaidAccount, draws
from tests.vectors.records import MONEY, Record, number, source
from tests.vectors.shapes import SECOND, Shown, first, known_time, moment, only
from tests.vectors.usages import events

DEBITED_AT = moment("2026-11-02T00:00:00Z")
"""When debits happen that do not say when."""

INVOICE = "invoice"
VOIDS = ("void", "voided")
MANUAL = ("manual", "manual_debit", "manual_balance_debit")
PURCHASED = ("purchased", "paid")
PAYS_WHAT_IT_HAS = ("getlago/lago-api",)
"""Of these systems a debit of an invoice takes what there is; of the others it needs all of it."""

_LAST = 10**6
"""The priority of a credit without one: after all that have one."""


class Debit(NamedTuple):
    """Something taken from wallets; `models` empty: of any of them."""

    name: str
    kind: str
    amount: Fraction
    at: int
    model: str


class Wallets:
    """A record of wallets, run to its end."""

    def __init__(self, record: Record) -> None:
        _check(record)
        self.rate = number(first(record, "rate", "rate_amount", "conversion_rate") or 1)
        strict = source(record) not in PAYS_WHAT_IT_HAS
        self.acme = PrepaidAccount(MONEY_AS_IT_IS, overage=SUSPENDED if strict else PRICED)
        self.credits = {str(row["id"]): row for row in record["credits"]}
        self._issue(record)
        self.taken: list[tuple[Debit, list[Charge]]] = []
        for debit in debits_of(record):
            self.acme.advance(debit.at)
            self.taken.append((debit, self._take(debit)))

    def _issue(self, record: Record) -> None:
        """Give the credits: the order of the record says which is older, Flexprice takes less first."""
        rows = list(record["credits"])
        by_amount = sorted(range(len(rows)), key=lambda place: number(rows[place]["amount"]))
        for place, row in enumerate(rows):
            is_by_amount = source(record) == "flexprice/flexprice"
            amount = number(row["amount"]) * self._rate_of(row)
            if amount:
                self.acme.give(
                    str(row["id"]),
                    amount,
                    unit="money",
                    models=_scope(row) or None,
                    **_terms(row, by_amount.index(place) if is_by_amount else place),
                )

    def _rate_of(self, row: Record) -> Fraction:
        own = first(row, "rate", "rate_amount", "conversion_rate")
        return self.rate if own is None else number(own)

    def _take(self, debit: Debit) -> list[Charge]:
        """Take a debit: credits of a wallet at its rate, and an invoice in money."""
        if debit.kind in VOIDS or debit.kind in MANUAL:
            return [self.acme.adjust(debit.amount * self.rate, debit.kind)]
        amount = debit.amount if debit.kind == INVOICE else debit.amount * self.rate
        return [self.acme.use(part, model=debit.model) for part in _parts(amount)]

    @property
    def is_refused(self) -> bool:
        """Whether a debit had to wait, because nobody pays for it."""
        lines = [line for _, charges in self.taken for charge in charges for line in charge.lines]
        return any(line.status == SUSPENSE for line in lines)

    def fundings(self) -> list[list[object]]:
        """Return which credit paid which debit how much."""
        found: list[list[object]] = [
            [credit, debit.name, units]
            for debit, charges in self.taken
            for charge in charges
            for credit, units in draws(charge)
        ]
        return sorted(found, key=lambda row: row[:2])

    def remaining(self) -> dict[str, Fraction]:
        """Return what is left of each credit."""
        return {name: self.acme.remaining(name) for name in self.credits}

    def balance(self) -> Fraction:
        """Return what is left, less what is due: the balance of a wallet that may be below zero."""
        return sum(self.remaining().values(), Fraction(0)) - self.acme.due

    def prepaid(self, *kinds: str) -> Fraction:
        """Return what credits of these types have paid of invoices."""
        return sum(
            (
                units
                for debit, charges in self.taken
                if debit.kind not in VOIDS
                for charge in charges
                for credit, units in draws(charge)
                if not kinds or self.credits[credit].get("type", "granted") in kinds
            ),
            Fraction(0),
        )

    def shown(self) -> Shown:
        """Return what records may expect."""
        shown: dict[str, Callable[[], object]] = {
            "fundings": self.fundings,
            "remaining": self.remaining,
            "balance": self.balance,
            "credit_balance": lambda: self.balance() / self.rate,
            "due": lambda: self.acme.due,
            "error": lambda: self.is_refused,
        }
        for name in ("prepaid_total", "prepaid", "prepaid_credit"):
            shown[name] = self.prepaid
        for name in ("prepaid_granted", "prepaid_granted_credit"):
            shown[name] = lambda: self.prepaid("granted")
        for name in ("prepaid_purchased", "prepaid_purchased_credit"):
            shown[name] = lambda: self.prepaid(*PURCHASED)
        return shown


def _check(record: Record) -> None:
    only(record, "credits", "debits", "rate", "rate_amount", "conversion_rate", "traceable")
    for row in record["credits"]:
        only(
            row,
            *("amount", "priority", "wallet_priority", "created_order", "created_at", "type"),
            *(
                "expires_at",
                "expiry",
                "expiry_date",
                "expiration_at",
                "expired",
                "applies_to",
                "metric",
            ),
            *("rate", "rate_amount", "conversion_rate", "traceable"),
        )
    for row in record["debits"]:
        only(row, "amount", "type", "at", "applies_to", "metric")


def debits_of(record: Record) -> list[Debit]:
    """Return what is taken, in order."""
    found = []
    for place, row in enumerate(record["debits"]):
        scope = _scope(row)
        found.append(
            Debit(
                str(row.get("id", f"debit-{place}")),
                str(row.get("type", "debit")),
                number(row["amount"]),
                moment(row["at"]) if row.get("at") is not None else DEBITED_AT + place * SECOND,
                scope[0] if scope else ANY,
            )
        )
    return found


def _terms(row: Record, place: int) -> dict[str, Any]:
    """Return the terms of a credit; `place` says which is older, if nothing else does."""
    order = place if row.get("created_order") is None else int(number(row["created_order"]))
    created = FIRST_INSTANT + order * SECOND
    if row.get("created_at") is not None:
        created = known_time(moment(row["created_at"]))
    terms: dict[str, Any] = {
        "granted_at": format_instant(created),
        "paid": row.get("type") in PURCHASED,
        "priority": _priority(row),
    }
    end = first(row, "expires_at", "expiry", "expiry_date", "expiration_at")
    if end is not None:
        terms["valid_to"] = format_instant(moment(end))
    elif row.get("expired") in (True, "true"):
        terms["valid_to"] = format_instant(DEBITED_AT)
    return terms


def _priority(row: Record) -> int:
    """Return the priority of a credit: that of its wallet, and its own within it."""
    own = _LAST if row.get("priority") is None else int(number(row["priority"]))
    of_wallet = row.get("wallet_priority")
    return own if of_wallet is None else int(number(of_wallet)) * (_LAST + 1) + own


def _parts(amount: Fraction) -> list[dict[str, Fraction]]:
    """Return an amount of money as usage: one event holds a million at most."""
    return [{MONEY: number(row[MONEY])} for row in events(MONEY, amount)]


def _scope(row: Record) -> list[str]:
    """Return what a credit or a debit is for; nothing: for anything."""
    value = first(row, "applies_to", "metric")
    if isinstance(value, Mapping):
        return [str(name) for names in value.values() for name in names]
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [str(name) for name in value]
    return [] if value is None else [str(value)]


def _refused_there(record: Record) -> bool:
    """More is voided than there is; an adjustment would become due."""
    wallets = Wallets(record)
    return any(
        sum(units for _, units in draws(charge)) < debit.amount * wallets.rate
        for debit, charges in wallets.taken
        for charge in charges
        if debit.kind in VOIDS
    )


def _not_traced(record: Record) -> bool:
    """A wallet keeps no record of which credit has paid; here every charge does."""
    rows = [record, *record["credits"]]
    return any(row.get("traceable") in (False, "false") for row in rows)


REASONS: Mapping[str, Callable[[Record], bool]] = {
    "refused_there": _refused_there,
    "not_traced": _not_traced,
}
