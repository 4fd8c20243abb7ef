"""Charge events: what the journal says of an account's money and units.

A charge event answers "why this amount" with no other record but the tariff version it names: its
lines show the counter, the units before, the tier slices with unit price and amount, and which
buckets cover and pay. Charges and account events (engine.rating.event) share one gapless `sequence`
per account. Balances, alerts and every topic but the journal are folds over them (semantics
section 7).
"""

from typing import NamedTuple

from engine.rating.amount import Slice
from engine.rating.usage import Position

USAGE = "usage"
CORRECTION = "correction"
"""Takes back what stands of another charge: a void, or the first half of an amend."""

SETTLEMENT = "settlement"
"""Brings a closed period up to its minimums, without usage of its own."""

ADJUSTMENT = "adjustment"
GRANT = "grant"
RECHARGE = "recharge"
"""Fills a bucket: a grant gives it, a recharge was paid for."""

EXPIRY = "expiry"
"""Closes a bucket: what remains rolls over or is lost."""

ROLLOVER = "rollover"
"""Opens the successor of a closed bucket."""

MONEY_CHARGES = (USAGE, CORRECTION, SETTLEMENT, ADJUSTMENT)
"""Kinds that have an amount; the others only move units between buckets and nowhere."""

RATED = "rated"
COVERED = "covered"
"""A line that buckets took as a whole: it has no component and costs nothing."""

SUSPENSE = "suspense"
VOIDED = "voided"


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


class Draw(NamedTuple):
    """What one line draws from one bucket (negative: gives back).

    `units` in pico of the bucket's unit. Of a token bucket they cover `quantity` whole units of the
    line's kind. Of a money bucket they pay for the line's amount; what would come back to one that is
    closed and was paid for is `credited` in pico instead: it lowers what is due.
    """

    bucket: str
    quantity: int
    units: int
    credited: int = 0


class Line(NamedTuple):
    """One kind of the event at one price.

    `quantity` in the kind's unit, of which buckets cover `covered`; `before` and `metered` in pico
    units of `counter`; `amount` in pico is the sum of slices and repricings, None in suspense (then
    `reason` says why). `promotion` is the one that chose the price, `tally` the counter of its first
    units or events, of which the line takes `tallied` pico; empty and None: none. `draws` tell what
    buckets cover and pay; the rest of the amount changes what is due. A voided line has the numbers
    of the one it takes back, negative.
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
    covered: int = 0
    draws: tuple[Draw, ...] = ()


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
    """Units drawn from (negative: put into) one bucket, and what remains, in pico units.

    Of units that come back to a closed bucket, and of those that remain when one closes, `rolled` go
    to its successor and `expired` are lost.
    """

    bucket: str
    units: int
    remaining: int
    rolled: int = 0
    expired: int = 0


class Charge(NamedTuple):
    """One charge event. Money in pico; times in us UTC; empty text: absent.

    `source`, `event_id` and `digest` name the usage event; `position` is where it stood. A
    correction names the event that voids or amends, and in `corrects` the charge that it takes back;
    its `position` is that of its cause: of the original, where the void had come before it. A charge
    without usage has none of these but the position of its cause.
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
