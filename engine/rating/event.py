"""Account events: what the journal says of an account beside its charges.

Every command applied or refused, every version adopted or staged, every period closed, every void
that waits, every threshold crossed. A record that was not accepted at all is a `Rejection`; it
belongs to no account for sure. Together with the charges these are the records of the journal
(semantics section 7).
"""

from typing import NamedTuple

from engine.rating.charge import Charge
from engine.rating.command import PRICED, Order
from engine.rating.errors import Refusal
from engine.rating.grant import Grant
from engine.rating.limit import Limit
from engine.rating.period import FrozenZone
from engine.rating.usage import Position


class AccountOpened(NamedTuple):
    """The account exists, in this currency and zone; its periods close `close_grace` us late."""

    currency: str
    zone: FrozenZone
    close_grace: int = 0


class VersionReference(NamedTuple):
    """A tariff version by number and digest."""

    version: int
    digest: bytes


class TariffAssigned(NamedTuple):
    """Usage in [effective_from, effective_to) is rated with this tariff.

    `staged`: not after the latest charge, so live rating does not use it yet. `versions`: the
    known versions that the account adopts with it. `overage`: what becomes of usage that no bucket
    covers, ``priced`` or ``suspended``.
    """

    tariff_id: str
    effective_from: int
    effective_to: int | None
    staged: bool
    versions: tuple[VersionReference, ...]
    overage: str = PRICED


class VersionAdopted(NamedTuple):
    """Live rating uses this version from now on."""

    tariff_id: str
    version: int
    digest: bytes


class VersionStaged(NamedTuple):
    """The version is known, but waits to be adopted together with the corrections it causes."""

    tariff_id: str
    version: int
    digest: bytes


class PeriodClosed(NamedTuple):
    """The billing period [starts_at, ends_at) is closed; its settlements follow.

    `state_digest`: SHA-256 of the account's full state just before (engine.rating.digest); empty
    before rules revision 4.
    """

    period: str
    starts_at: int
    ends_at: int
    state_digest: bytes = b""


class Granted(NamedTuple):
    """The grant is given; its first bucket follows."""

    grant: Grant


class BucketRecharged(NamedTuple):
    """An open bucket gets `amount` pico units more; the recharge follows."""

    bucket: str
    amount: int


class GrantVoided(NamedTuple):
    """The grant is taken back: what remains in its buckets is voided, none opens any more."""

    grant_id: str


class LimitSet(NamedTuple):
    """The limit holds from now on; with an amount of None, no longer."""

    limit: Limit


class Adjusted(NamedTuple):
    """Somebody changes what the account owes by `amount` pico, for a reason; the charge follows.

    `corrects`: the charge that it makes good for, if any.
    """

    amount: int
    reason: str
    occurred_at: int
    corrects: str = ""


class ApprovalAwaited(NamedTuple):
    """The command waits until a second principal approves it; `order` is what it asks."""

    order: Order


class VoidPending(NamedTuple):
    """A void (or an amend's void) came before its original, and waits for it until `lapses_at`."""

    source: str
    event_id: str
    digest: bytes
    corrects: str
    lapses_at: int


class VoidLapsed(NamedTuple):
    """A void has waited in vain for longer than usage may be late."""

    source: str
    event_id: str
    corrects: str


class UsageRefused(NamedTuple):
    """A void or amend changed nothing; it occupies its identity."""

    source: str
    event_id: str
    digest: bytes
    refusal: Refusal


class AlertRaised(NamedTuple):
    """A threshold is crossed. `key` names threshold and period; it is not raised twice.

    `code` is one of engine.rating.watch; `occurred_at` in us UTC. The key is cleared when `until` has
    come (None: not by time).
    """

    code: str
    key: str
    explanation: str
    occurred_at: int
    until: int | None = None


class AlertCleared(NamedTuple):
    """The threshold may be crossed again: it was recharged, or its period is over."""

    code: str
    key: str


class CommandRefused(NamedTuple):
    """The command changed nothing."""

    refusal: Refusal


def refused(code: str, explanation: str) -> CommandRefused:
    """Return the change that changes nothing."""
    return CommandRefused(Refusal(code, explanation))


Change = (
    AccountOpened
    | TariffAssigned
    | VersionAdopted
    | VersionStaged
    | PeriodClosed
    | CommandRefused
    | Granted
    | BucketRecharged
    | GrantVoided
    | LimitSet
    | Adjusted
    | ApprovalAwaited
    | VoidPending
    | VoidLapsed
    | UsageRefused
    | AlertRaised
    | AlertCleared
)


class AccountEvent(NamedTuple):
    """Something that happened to an account. `command_id` is empty for facts without a command.

    `approves`: the command of another principal that this one lets take effect; empty: none.
    """

    account_id: str
    sequence: int
    command_id: str
    principal: str
    position: Position
    received_at: int
    change: Change
    approves: str = ""


class Rejection(NamedTuple):
    """A record that was not accepted: explained, kept, and fit to be sent again.

    `original` holds the first bytes of the record, `digest` the SHA-256 and `size` the length of
    all of them. The identity fields are empty where they could not be read.
    """

    position: Position
    received_at: int
    refusal: Refusal
    account_id: str
    source: str
    event_id: str
    digest: bytes
    size: int
    original: bytes


Record = Charge | AccountEvent | Rejection
"""What a journal commit holds."""
