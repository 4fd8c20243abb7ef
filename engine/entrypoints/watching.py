"""Watching one account: its newest balance, and what its charges and alerts of the month come to.

Balance, charges and alerts of one commit are projected in one transaction, and each names the sequence
of its record. So what a watcher shows is always of one moment: charges and alerts count as far as the
balance has come, and later ones wait for the next balance. Nothing here reads or prints.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from engine.rating.alert import Alert
from engine.rating.balance import Balance
from engine.rating.charge import MONEY_CHARGES, Charge
from engine.rating.usage import TOKEN_KINDS

_LATEST = 5
"""So many charges and alerts are shown, the newest first."""
_SPENDERS = 10


class Spend(NamedTuple):
    """What one subject or model has come to in a billing month.

    `amount` in pico, whether a bucket paid it or it is due; `tokens` whether a bucket covered them or
    not.
    """

    name: str
    amount: int
    tokens: int
    charges: int


class Spending(NamedTuple):
    """The greatest spenders of a billing month, greatest first; `others` is the rest together."""

    greatest: tuple[Spend, ...]
    others: Spend | None


class Watched(NamedTuple):
    """What is shown of an account at one moment. `period` is the latest month with a charge."""

    balance: Balance
    period: str
    by_subject: Spending
    by_model: Spending
    charges: tuple[Charge, ...]
    alerts: tuple[Alert, ...]


class AccountWatch:
    """Takes in what is projected of one account, and says what there is to see."""

    def __init__(self) -> None:
        self._ahead: deque[Charge | Alert] = deque()
        """What the balance has not come to yet."""
        self._spent: dict[tuple[str, str], dict[str, Spend]] = {}
        self._charges: deque[Charge] = deque(maxlen=_LATEST)
        self._alerts: deque[Alert] = deque(maxlen=_LATEST)

    def take(self, balance: Balance, charges: Iterable[Charge], alerts: Iterable[Alert]) -> Watched:
        """Take in a newer balance and what was projected with it or since; return what it shows."""
        ahead, self._ahead = self._ahead, deque()
        for found in chain(ahead, charges, alerts):
            if found.sequence > balance.sequence:
                self._ahead.append(found)
            elif isinstance(found, Alert):
                self._alerts.appendleft(found)
            else:
                self._count(found)
        period = max((label for label, _ in balance.periods), default="")
        return Watched(
            balance,
            period,
            _spending(self._spent.get(("subject", period), {}).values()),
            _spending(self._spent.get(("model", period), {}).values()),
            tuple(self._charges),
            tuple(self._alerts),
        )

    def _count(self, charge: Charge) -> None:
        self._charges.appendleft(charge)
        if charge.kind not in MONEY_CHARGES:
            return
        tokens = sum(line.quantity for line in charge.lines if line.kind in TOKEN_KINDS)
        for dimension, name in (("subject", charge.subject), ("model", charge.model)):
            spent = self._spent.setdefault((dimension, charge.service_period), {})
            one = Spend(name, charge.amount, tokens, 1)
            spent[name] = _together(name, [spent[name], one]) if name in spent else one


def _spending(spent: Iterable[Spend]) -> Spending:
    ordered = sorted(spent, key=lambda spend: (-spend.amount, -spend.tokens, spend.name))
    rest = ordered[_SPENDERS:]
    others = _together(f"{len(rest)} others", rest) if rest else None
    return Spending(tuple(ordered[:_SPENDERS]), others)


def _together(name: str, spends: Sequence[Spend]) -> Spend:
    return Spend(
        name,
        sum(spend.amount for spend in spends),
        sum(spend.tokens for spend in spends),
        sum(spend.charges for spend in spends),
    )
