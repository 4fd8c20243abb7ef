"""What the journal says of an account: charge events and account events.

A charge event answers "why this amount" with no other record but the tariff version it names: its
lines show the counter, the units before, the tier slices with unit price and amount. Account
events tell every command applied or refused, every version adopted or staged and every period
closed. Both share one gapless `sequence` per account. Balances, alerts and every topic but the
journal are folds over them (semantics section 7).
"""

from typing import NamedTuple

from engine.rating.amount import Slice
from engine.rating.errors import Refusal
from engine.rating.period import FrozenZone
from engine.rating.usage import Position

USAGE = "usage"
SETTLEMENT = "settlement"
"""Kinds of charges: for usage; or up to the minimum of a closed period, without usage of its own."""

RATED = "rated"
SUSPENSE = "suspense"


class Repricing(NamedTuple):
    """Usage in front of units that stand under a later version, or a promotion, moves them.

    `before`: pico units counted in front of them, without this line; `metered`: their own pico
    units; `amount`: the change of what they cost, in pico.
    """

    version: int
    before: int
    metered: int
    amount: int
    promotion: str = ""


class Line(NamedTuple):
    """One kind of the event at one price.

    `quantity` in the kind's unit; `before` and `metered` in pico units of `counter`; `amount` in
    pico is the sum of slices and repricings, None in suspense (then `reason` says why).
    `promotion` is the one that chose the price, `tally` the counter of its first units or events,
    of which the line takes `tallied` pico; empty and None: none.
    """

    component: str
    kind: str
    quantity: int
    counter: str
    before: int
    metered: int
    slices: tuple[Slice, ...]
    repricings: tuple[Repricing, ...]
    amount: int | None
    status: str
    reason: str
    promotion: str = ""
    tally: str = ""
    tallied: int | None = None


class TariffReference(NamedTuple):
    """The tariff version that rated a charge, and its offset in the tariffs topic."""

    tariff_id: str
    version: int
    digest: bytes
    offset: int


class Supplied(NamedTuple):
    """How the supplier's cost of a usage event came about.

    `cost` in pico of `currency`, None if the supplier's tariff does not price every kind. `rate`
    is the exchange rate into the account's currency that stood at `rate_offset` of the tariffs
    topic; empty and -1 if none was needed or known.
    """

    tariff: TariffReference
    currency: str
    cost: int | None
    rate: str = ""
    rate_offset: int = -1


class Drawdown(NamedTuple):
    """Units drawn from (negative: returned to) one bucket, and what remains, in pico units."""

    bucket: str
    units: int
    remaining: int


class Charge(NamedTuple):
    """One charge event. Money in pico; times in us UTC; empty text: absent.

    `source`, `event_id` and `digest` name the usage event; `position` is where it stood. A
    settlement has none of these but the position of what caused it, the record before it.
    `supplier_cost` is in the account's currency; `margin` is amount minus that, None if the cost
    is not known or a line is in suspense.
    """

    charge_id: str
    kind: str
    account_id: str
    subject: str
    sequence: int
    source: str
    event_id: str
    digest: bytes
    position: Position
    occurred_at: int
    received_at: int
    service_period: str
    provider: str
    model: str
    operation: str
    service_tier: str
    region: str
    tariff: TariffReference | None
    rules: int
    currency: str
    lines: tuple[Line, ...]
    drawdowns: tuple[Drawdown, ...]
    amount: int
    supplier_cost: int | None
    corrects: str
    trace_id: str
    parent_event_id: str
    initiator: str
    due: int
    supplier: Supplied | None = None
    margin: int | None = None


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
    known versions that the account adopts with it.
    """

    tariff_id: str
    effective_from: int
    effective_to: int | None
    staged: bool
    versions: tuple[VersionReference, ...]


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
    """The billing period [starts_at, ends_at) is closed; its settlements follow."""

    period: str
    starts_at: int
    ends_at: int


class CommandRefused(NamedTuple):
    """The command changed nothing."""

    refusal: Refusal


Change = (
    AccountOpened | TariffAssigned | VersionAdopted | VersionStaged | PeriodClosed | CommandRefused
)


class AccountEvent(NamedTuple):
    """Something that happened to an account. `command_id` is empty for facts without a command."""

    account_id: str
    sequence: int
    command_id: str
    principal: str
    position: Position
    received_at: int
    change: Change


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
