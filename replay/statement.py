"""The statement of a service period: what was used, what covers it, what it came to, who paid.

A fold over one account's records, line by line, and nothing else: usage that buckets covered and
usage that was priced, what voids took back, settlements of minimums, adjustments; then where the
money came from; then each bucket. It proves itself: amounts are what money buckets paid and what
became due, and in each bucket granted = remaining + drawn + expired + rolled + voided.

A charge belongs to the period of its usage, however late it came; so a statement made earlier is
the same fold over fewer records.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from engine.rating.account import Account
from engine.rating.bucket import Bucket
from engine.rating.charge import (
    ADJUSTMENT,
    CORRECTION,
    MONEY_CHARGES,
    SETTLEMENT,
    SUSPENSE,
    USAGE,
    Charge,
    Line,
)
from engine.rating.errors import InvalidDocument
from engine.rating.event import AccountEvent, Adjusted
from engine.rating.money import format_pico
from engine.rating.month import Month, month_of
from engine.rating.usage import KINDS


class Priced(NamedTuple):
    """What one component priced of a kind, or voids took back: `quantity` is beside the buckets'."""

    component: str
    kind: str
    quantity: int
    amount: int


class Covered(NamedTuple):
    """What a token bucket covers of a kind: whole units of the kind, for `units` pico of its own."""

    bucket: str
    kind: str
    quantity: int
    units: int


class Suspended(NamedTuple):
    """What waits for a price, or for funds."""

    reason: str
    kind: str
    quantity: int


class Booked(NamedTuple):
    """A settlement of a component's minimum in all, or one adjustment and its reason; pico."""

    name: str
    amount: int


class Paid(NamedTuple):
    """What a money bucket has paid, less what came back to it.

    `credited`: what came back as credit, because the bucket was closed by then.
    """

    bucket: str
    amount: int
    credited: int


class BucketLine(NamedTuple):
    """One bucket over all of its life: granted = remaining + drawn + expired + rolled + voided."""

    bucket: str
    unit: str
    granted: int
    remaining: int
    drawn: int
    expired: int
    rolled: int
    voided: int
    is_open: bool

    @property
    def adds_up(self) -> bool:
        """Whether nothing of it is lost."""
        return self.granted == sum(self[3:8])


class Statement(NamedTuple):
    """A service period of one account, as of its record `sequence`. Money in pico of `currency`.

    `due_change` is what the period's charges made due, `credit_used` the part of it that was paid by
    credit; `due` is what the account owes in all, `due_elsewhere` what other periods made due of it.
    """

    account_id: str
    currency: str
    time_zone: str
    period: str
    is_closed: bool
    sequence: int
    events: int
    voids: int
    covered: tuple[Covered, ...]
    priced: tuple[Priced, ...]
    voided: tuple[Priced, ...]
    returned: tuple[Covered, ...]
    suspended: tuple[Suspended, ...]
    settlements: tuple[Booked, ...]
    adjustments: tuple[Booked, ...]
    amount: int
    paid: tuple[Paid, ...]
    credit_used: int
    due_change: int
    due_elsewhere: int
    due: int
    buckets: tuple[BucketLine, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what does not add up; nothing, if it all does."""
        return tuple(_problems(self))


def statement(records: Iterable[Charge | AccountEvent], period: str = "") -> Statement:
    """Return the statement of a period over an account's records, from its first one on.

    Without `period`, of the latest with a charge. InvalidDocument if there is no such month.
    """
    account, sums = Account(""), defaultdict[str, _Sums](_Sums)
    reason = ""
    for record in records:
        if not account.sequence:
            account = Account(record.account_id)
        before = account.due
        account.apply(record)
        if isinstance(record, Charge):
            if record.kind in MONEY_CHARGES:
                sums[record.service_period].add(record, before, account, reason)
        elif isinstance(record.change, Adjusted):
            reason = record.change.reason
    label = period or max(account.periods, default="")
    month = month_of(label, account.zone)
    if month is None:
        raise InvalidDocument("PERIOD", label, "a month such as 2026-11, with a charge")
    elsewhere = sum(found.due_change for name, found in sums.items() if name != label)
    return _statement(account, month, sums[label], elsewhere)


_ByPair = dict[tuple[str, str], list[int]]
"""A quantity and an amount, by component or bucket, and kind."""


class _Sums:
    """The sums of one period."""

    def __init__(self) -> None:
        self.events = self.voids = self.amount = self.credit_used = self.due_change = 0
        self.priced: _ByPair = defaultdict(lambda: [0, 0])
        self.voided: _ByPair = defaultdict(lambda: [0, 0])
        self.covered: _ByPair = defaultdict(lambda: [0, 0])
        self.returned: _ByPair = defaultdict(lambda: [0, 0])
        self.suspended: dict[tuple[str, str], int] = defaultdict(int)
        self.settled: dict[str, int] = defaultdict(int)
        self.adjustments: list[Booked] = []
        self.paid: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, charge: Charge, before: int, account: Account, reason: str) -> None:
        """Take a charge in; `before` is what was due before it."""
        self.events += charge.kind == USAGE
        self.voids += charge.kind == CORRECTION
        self.amount += charge.amount
        self.due_change += charge.due - before
        due = before
        for line in charge.lines:
            due = self._pay(line, account, due)
            if charge.kind == SETTLEMENT:
                self.settled[line.component] += line.amount or 0
            elif charge.kind == ADJUSTMENT:
                self.adjustments.append(Booked(reason, line.amount or 0))
            else:
                self._use(line, account, is_void=charge.kind == CORRECTION)

    def _use(self, line: Line, account: Account, *, is_void: bool) -> None:
        priced, covered = (self.voided, self.returned) if is_void else (self.priced, self.covered)
        left = line.quantity - line.covered
        if line.reason or line.status == SUSPENSE:
            self.suspended[line.reason, line.kind] += left
        elif line.component:
            _add(priced[line.component, line.kind], left, line.amount or 0)
        for draw in line.draws:
            if not account.prepaid.buckets[draw.bucket].is_money:
                _add(covered[draw.bucket, line.kind], draw.quantity, draw.units)

    def _pay(self, line: Line, account: Account, due: int) -> int:
        """Take in who pays for a line; return what is due after it."""
        amount, drawn = line.amount or 0, 0
        for draw in line.draws:
            if account.prepaid.buckets[draw.bucket].is_money:
                _add(self.paid[draw.bucket], draw.units, draw.credited)
                drawn += draw.units
        self.credit_used += max(0, min(amount, -due))
        return due + amount - drawn


def _add(sums: list[int], quantity: int, amount: int) -> None:
    sums[0] += quantity
    sums[1] += amount


def _statement(account: Account, month: Month, sums: _Sums, elsewhere: int) -> Statement:
    touched = {bucket for bucket, _ in (*sums.covered, *sums.returned)} | sums.paid.keys()
    buckets = sorted(account.prepaid.buckets.values(), key=lambda bucket: bucket.draw_order)
    order = [bucket.bucket_id for bucket in buckets]
    return Statement(
        account.account_id,
        account.currency,
        account.zone.name,
        month.label,
        month.label in account.closed,
        account.sequence,
        sums.events,
        sums.voids,
        _covered(sums.covered, order),
        _priced(sums.priced),
        _priced(sums.voided),
        _covered(sums.returned, order),
        tuple(Suspended(*key, found) for key, found in sorted(sums.suspended.items()) if found),
        tuple(Booked(name, found) for name, found in sorted(sums.settled.items())),
        tuple(sums.adjustments),
        sums.amount,
        tuple(Paid(name, *found) for name, found in sorted(sums.paid.items())),
        sums.credit_used,
        sums.due_change,
        elsewhere,
        account.due,
        tuple(_line(b) for b in buckets if b.bucket_id in touched or _overlaps(b, month)),
    )


def _covered(sums: _ByPair, order: Sequence[str]) -> tuple[Covered, ...]:
    """Return the rows of buckets, in draw order and then that of the kinds."""
    rows = (Covered(*key, *found) for key, found in sums.items())
    return tuple(sorted(rows, key=lambda row: (order.index(row.bucket), KINDS.index(row.kind))))


def _priced(sums: _ByPair) -> tuple[Priced, ...]:
    rows = (Priced(*key, *found) for key, found in sums.items())
    return tuple(sorted(rows, key=lambda row: (KINDS.index(row.kind), row.component)))


def _overlaps(bucket: Bucket, month: Month) -> bool:
    ends_after = bucket.valid_to is None or bucket.valid_to > month.starts_at
    return bucket.valid_from < month.ends_at and ends_after


def _line(bucket: Bucket) -> BucketLine:
    return BucketLine(
        bucket.bucket_id,
        bucket.grant.unit,
        bucket.granted,
        bucket.remaining,
        bucket.drawn,
        bucket.expired,
        bucket.rolled,
        bucket.voided,
        not bucket.is_closed,
    )


def _problems(found: Statement) -> Iterator[str]:
    listed = sum(line.amount for line in (*found.priced, *found.voided))
    listed += sum(line.amount for line in (*found.settlements, *found.adjustments))
    if listed != found.amount:
        yield f"the lines come to {format_pico(listed)}, the charges to {format_pico(found.amount)}"
    paid = sum(line.amount for line in found.paid)
    if paid + found.due_change != found.amount:
        yield (
            f"{format_pico(found.amount)} is not {format_pico(paid)} paid by buckets and "
            f"{format_pico(found.due_change)} due"
        )
    if found.due_change + found.due_elsewhere != found.due:
        yield f"due is {format_pico(found.due)}, its changes come to something else"
    for bucket in found.buckets:
        if not bucket.adds_up:
            yield f"bucket {bucket.bucket} does not add up"
