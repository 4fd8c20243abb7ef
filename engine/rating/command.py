"""Account commands: what operators ask, in the imperative.

A command carries an idempotency key, `command_id`, unique per account: sent twice, it acts once.
Each one is applied or refused by `engine.rating.lifecycle`, and either way becomes an account
event. What a command needs from outside (the offsets of a time zone) is frozen into it when it is
written.
"""

from typing import NamedTuple

from engine.rating.period import FrozenZone


class OpenAccount(NamedTuple):
    """Open the account in a currency (ISO 4217) and a time zone in which periods are counted.

    A billing period may be closed `close_grace` us after its end, because usage arrives late.
    """

    currency: str
    zone: FrozenZone
    close_grace: int = 0


class AssignTariff(NamedTuple):
    """Rate usage in [effective_from, effective_to) with a tariff (us UTC; None: open)."""

    tariff_id: str
    effective_from: int
    effective_to: int | None


class ClosePeriod(NamedTuple):
    """Close a billing period: its minimums are settled. `period` is ``YYYY-MM`` in its zone."""

    period: str


Order = OpenAccount | AssignTariff | ClosePeriod


class AccountCommand(NamedTuple):
    """One command and who asked for it (`principal`, may be empty)."""

    command_id: str
    account_id: str
    principal: str
    order: Order
