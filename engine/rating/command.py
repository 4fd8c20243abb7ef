"""Account commands: what operators ask, in the imperative.

A command carries an idempotency key, `command_id`, unique per account: sent twice, it acts once.
Each one is applied or refused by `engine.rating.lifecycle`, and either way becomes an account
event. One that needs approval waits until another principal approves it. What a command needs from
outside (the offsets of a time zone) is frozen into it when it is written.
"""

from typing import NamedTuple

from engine.rating.grant import Grant
from engine.rating.limit import Limit
from engine.rating.period import FrozenZone

PRICED = "priced"
SUSPENDED = "suspended"
OVERAGES = (PRICED, SUSPENDED)
"""What becomes of usage that no bucket covers: the tariff prices it, or it waits in suspense."""


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
    overage: str = PRICED


class ClosePeriod(NamedTuple):
    """Close a billing period: its minimums are settled. `period` is ``YYYY-MM`` in its zone."""

    period: str


class IssueGrant(NamedTuple):
    """Give a grant."""

    grant: Grant


class RechargeBucket(NamedTuple):
    """Put `amount` pico units more into an open bucket; `unit`, if given, is the bucket's."""

    bucket: str
    amount: int
    unit: str = ""


class VoidGrant(NamedTuple):
    """Take a grant back: what remains of it is void."""

    grant_id: str


class SetLimit(NamedTuple):
    """Set a limit, or take it away."""

    limit: Limit


class Adjust(NamedTuple):
    """Change what the account owes by `amount` pico, as of `occurred_at` (us; None: on receipt)."""

    amount: int
    reason: str
    occurred_at: int | None = None
    corrects: str = ""


class AdoptVersion(NamedTuple):
    """Rate with a staged version from now on; refused where that would change charges that stand."""

    tariff_id: str
    version: int


class Approve(NamedTuple):
    """Let a command of another principal take effect."""

    awaited: str


Order = (
    OpenAccount
    | AssignTariff
    | ClosePeriod
    | IssueGrant
    | RechargeBucket
    | VoidGrant
    | SetLimit
    | Adjust
    | AdoptVersion
    | Approve
)


class AccountCommand(NamedTuple):
    """One command and who asked for it (`principal`, may be empty).

    `needs_approval`: it waits until a second principal approves it.
    """

    command_id: str
    account_id: str
    principal: str
    order: Order
    needs_approval: bool = False


class AdvanceTo(NamedTuple):
    """Let everything happen that is due by `until` (us UTC), for all accounts of a partition."""

    until: int
    principal: str = ""
