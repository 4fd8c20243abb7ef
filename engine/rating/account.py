"""An account as the journal tells it: state is a fold, and nothing else changes it.

`Account.apply` is the only way state moves, for a live worker, a recovering one and a replay
alike, so a rebuilt balance can not differ from the live one. Deciding what to write is the
business of `rate` and `lifecycle`; both only read.
"""

from typing import NamedTuple

from engine.rating.charge import (
    ADJUSTMENT,
    CORRECTION,
    EXPIRY,
    MONEY_CHARGES,
    SETTLEMENT,
    SUSPENSE,
    USAGE,
    Charge,
    Line,
)
from engine.rating.command import SUSPENDED, Order
from engine.rating.errors import BrokenInvariant
from engine.rating.event import (
    AccountEvent,
    AccountOpened,
    AlertCleared,
    AlertRaised,
    ApprovalAwaited,
    Change,
    CommandRefused,
    Granted,
    GrantVoided,
    LimitSet,
    PeriodClosed,
    TariffAssigned,
    VersionAdopted,
    VersionStaged,
    VoidLapsed,
    VoidPending,
)
from engine.rating.limit import Limit, Limits
from engine.rating.month import next_label
from engine.rating.period import FIRST_INSTANT, UTC_ZONE, FrozenZone, billing_month
from engine.rating.prepaid import Prepaid
from engine.rating.supply import margin
from engine.rating.usage import identity_key


class VersionQuantity(NamedTuple):
    """Pico metered units that stand in a counter under one tariff version and promotion, if any."""

    version: int
    metered: int
    promotion: str = ""

    def stands_with(self, other: "VersionQuantity") -> bool:
        """Whether both stand under the same version and promotion."""
        return self.version == other.version and self.promotion == other.promotion

    def plus(self, metered: int) -> "VersionQuantity":
        """Return it with so many pico units more."""
        return VersionQuantity(self.version, self.metered + metered, self.promotion)


class PeriodSpend(NamedTuple):
    """What one billing month has come to so far: pico, and number of charges."""

    amount: int
    charges: int


class Awaiting(NamedTuple):
    """A command that waits for a second principal."""

    order: Order
    principal: str


class Account:
    """State of one account. An account exists from its first record, opened or not."""

    __slots__ = (
        "account_id",
        "adjusted",
        "adopted",
        "agenda",
        "as_of",
        "assignments",
        "awaiting",
        "charges",
        "close_grace",
        "closed",
        "commands",
        "counters",
        "currency",
        "due",
        "latest_by_tariff",
        "latest_charge_at",
        "limits",
        "next_month",
        "pending",
        "periods",
        "prepaid",
        "raised",
        "rated_from",
        "sequence",
        "settled",
        "staged",
        "suspended_lines",
        "zone",
    )

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.sequence = 0
        self.currency = ""
        self.zone: FrozenZone = UTC_ZONE
        self.close_grace = 0
        self.assignments: list[TariffAssigned] = []
        self.adopted: dict[str, tuple[int, ...]] = {}
        self.staged: dict[str, tuple[int, ...]] = {}
        self.counters: dict[str, tuple[VersionQuantity, ...]] = {}
        self.periods: dict[str, PeriodSpend] = {}
        self.closed: dict[str, int] = {}
        """First instant after each closed billing period."""
        self.settled: dict[str, int] = {}
        """What was settled for each counter, in pico; no zeros."""
        self.due = 0
        self.adjusted = 0
        """What all adjustments come to, in pico."""
        self.rated_from = ""
        """The first billing period of usage that a tariff was found for; empty: none yet."""
        self.next_month = ""
        """The first billing period that is not closed; empty: nothing can be owed. Follows from the rest."""
        self.charges = 0
        self.suspended_lines = 0
        self.latest_charge_at: int | None = None
        self.latest_by_tariff: dict[str, int] = {}
        """Latest time of use that each tariff has rated; of usage that none has: under no name."""
        self.commands: set[str] = set()
        self.awaiting: dict[str, Awaiting] = {}
        self.prepaid = Prepaid()
        self.limits = Limits()
        self.raised: dict[str, int | None] = {}
        """Keys of the alerts that may not be raised again, and until when (None: not by time)."""
        self.pending: dict[str, VoidPending] = {}
        """Voids that wait, by the identity of their original."""
        self.as_of = 0
        self.agenda: int | None = None
        """When something is due next, as engine.rating.clock has worked it out; None: not yet."""

    @property
    def is_open(self) -> bool:
        """Whether the account was opened (an open account has a currency)."""
        return bool(self.currency)

    def assignment(self, at: int) -> TariffAssigned | None:
        """Return the assignment that counts for use at an instant.

        As with versions: the latest `effective_from <= at` counts (equal: the later command), and
        if that assignment has ended there is none.
        """
        latest = None
        for assignment in self.assignments:
            if assignment.staged or assignment.effective_from > at:
                continue
            if latest is None or assignment.effective_from >= latest.effective_from:
                latest = assignment
        if latest is None or (latest.effective_to is not None and at >= latest.effective_to):
            return None
        return latest

    def assigned_tariff(self, at: int) -> str | None:
        """Return the tariff assigned for use at an instant."""
        assignment = self.assignment(at)
        return assignment and assignment.tariff_id

    @property
    def suspends_overage(self) -> bool:
        """Whether some assignment wants usage that no bucket covers to wait in suspense."""
        return any(assignment.overage == SUSPENDED for assignment in self.assignments)

    def has_tariff(self, tariff_id: str) -> bool:
        """Whether the tariff was ever assigned to the account."""
        return any(assignment.tariff_id == tariff_id for assignment in self.assignments)

    def apply(self, record: Charge | AccountEvent) -> None:
        """Fold one journal record in. BrokenInvariant if its sequence is not the next one."""
        if record.sequence != self.sequence + 1:
            raise BrokenInvariant(
                f"account {self.account_id}: got sequence {record.sequence}, "
                f"expected {self.sequence + 1}"
            )
        self.sequence = record.sequence
        self.as_of = record.received_at
        self.agenda = None
        if not isinstance(record, Charge):
            self._apply_event(record)
        elif record.kind in MONEY_CHARGES:
            self._apply_charge(record)
        else:
            self.prepaid.move(record)
            if record.kind == EXPIRY:
                self._forget_alerts(f"bucket/{record.drawdowns[0].bucket}/")

    def _apply_charge(self, charge: Charge) -> None:
        if charge.amount != sum([line.amount or 0 for line in charge.lines]):
            raise BrokenInvariant(
                f"account {self.account_id}: charge {charge.charge_id} does not add up"
            )
        if charge.margin != margin(charge.amount, charge.supplier_cost, charge.lines):
            raise BrokenInvariant(
                f"account {self.account_id}: charge {charge.charge_id} has a margin of "
                f"{charge.margin}, which its amount and cost contradict"
            )
        self.due += charge.amount
        if self.prepaid.buckets:
            self.due -= self.prepaid.draw(charge)
        if self.due != charge.due:
            raise BrokenInvariant(
                f"account {self.account_id}: charge {charge.charge_id} says due {charge.due}, "
                f"the fold says {self.due}"
            )
        self.charges += 1
        spend = self.periods.get(charge.service_period, PeriodSpend(0, 0))
        self.periods[charge.service_period] = PeriodSpend(
            spend.amount + charge.amount, spend.charges + 1
        )
        if self.limits.by_id:
            self.limits.count(charge, self.zone)
        if charge.kind == ADJUSTMENT:
            self.adjusted += charge.amount
            return
        occurred_at = charge.occurred_at
        if self.latest_charge_at is None or occurred_at > self.latest_charge_at:
            self.latest_charge_at = occurred_at
        if charge.kind == SETTLEMENT:
            for line in charge.lines:
                self._settle(line)
            return
        if charge.kind == USAGE:
            self._note_use(charge)
        elif charge.kind == CORRECTION:
            self.pending.pop(charge.corrects, None)
        self._count_lines(charge)

    def _note_use(self, charge: Charge) -> None:
        """Remember how far the usage of a tariff goes, and since when there is any."""
        tariff_id = charge.tariff.tariff_id if charge.tariff else ""
        latest = self.latest_by_tariff.get(tariff_id, charge.occurred_at)
        self.latest_by_tariff[tariff_id] = max(latest, charge.occurred_at)
        label = charge.service_period
        if tariff_id and not (self.rated_from and self.rated_from <= label):
            self.rated_from = label
            self.find_next_month()

    def find_next_month(self) -> None:
        """Find the first billing period that is to be closed.

        An assignment with a beginning owes its minimums from that month on, one without from the month
        of the account's first usage that was rated, because nobody says since when it holds.
        """
        assigned = [a.effective_from for a in self.assignments if not a.staged]
        begun = [billing_month(self.zone, at) for at in assigned if at > FIRST_INSTANT]
        label = min(filter(None, [*begun, self.rated_from]), default="")
        while label and label in self.closed:
            label = next_label(label)
        self.next_month = label

    def _count_lines(self, charge: Charge) -> None:
        for line in charge.lines:
            if line.status == SUSPENSE:
                self.suspended_lines += 1
            elif line.reason:
                self.suspended_lines -= 1  # it was in suspense, and is voided
            elif charge.tariff is not None and line.counter:
                added = VersionQuantity(charge.tariff.version, line.metered, line.promotion)
                self._count(line.counter, added)
                if line.tallied is not None:
                    self._count(line.tally, added._replace(metered=line.tallied))

    def _count(self, counter: str, added: VersionQuantity) -> None:
        if counter.endswith("/event"):
            return
        entries = self.counters.get(counter, ())
        if len(entries) == 1 and entries[0].stands_with(added):
            self.counters[counter] = (added.plus(entries[0].metered),)
            return
        standing = sum(entry.metered for entry in entries if entry.stands_with(added))
        others = tuple(entry for entry in entries if not entry.stands_with(added))
        self.counters[counter] = (*others, added.plus(standing))

    def _settle(self, line: Line) -> None:
        amount = self.settled.pop(line.counter, 0) + (line.amount or 0)
        if amount:
            self.settled[line.counter] = amount

    def _apply_event(self, event: AccountEvent) -> None:
        change = event.change
        if event.command_id and not isinstance(change, CommandRefused):
            self.commands.add(event.command_id)  # a refused one may be asked again
        if event.approves and not isinstance(change, CommandRefused):
            self.awaiting.pop(event.approves, None)
        if isinstance(change, AccountOpened):
            self.currency, self.zone = change.currency, change.zone
            self.prepaid.zone = change.zone
            self.close_grace = change.close_grace
        elif isinstance(change, TariffAssigned):
            self.assignments.append(change)
            for reference in change.versions:
                self._adopt(change.tariff_id, reference.version)
            self.find_next_month()
        elif isinstance(change, VersionAdopted):
            self._adopt(change.tariff_id, change.version)
        elif isinstance(change, VersionStaged):
            staged = self.staged.get(change.tariff_id, ())
            self.staged[change.tariff_id] = (*staged, change.version)
        elif isinstance(change, PeriodClosed):
            self.closed[change.period] = change.ends_at
            while self.next_month and self.next_month in self.closed:
                self.next_month = next_label(self.next_month)
        else:
            self._apply_order(event, change)

    def _apply_order(self, event: AccountEvent, change: Change) -> None:
        """Take in what a command asked for beside opening, assigning and closing."""
        if isinstance(change, Granted):
            self.prepaid.give(change.grant)
        elif isinstance(change, GrantVoided):
            for name in self.prepaid.void(change.grant_id):
                self._forget_alerts(f"bucket/{name}/")
        elif isinstance(change, LimitSet):
            self._set_limit(change.limit)
        elif isinstance(change, ApprovalAwaited):
            self.awaiting[event.command_id] = Awaiting(change.order, event.principal)
        else:
            self._apply_fact(change)

    def _apply_fact(self, change: Change) -> None:
        """Take in what no command asked for."""
        if isinstance(change, VoidPending):
            self.pending[self._identity(change)] = change
        elif isinstance(change, VoidLapsed):
            del self.pending[self._identity(change)]
        elif isinstance(change, AlertRaised):
            self.raised[change.key] = change.until
        elif isinstance(change, AlertCleared):
            until = self.raised.pop(change.key, None)
            self.limits.over = max(self.limits.over, until or 0)

    def _identity(self, void: VoidPending | VoidLapsed) -> str:
        return identity_key(self.account_id, void.source, void.corrects)

    def _set_limit(self, limit: Limit) -> None:
        """Set or drop a limit; its alerts may be raised again."""
        self.limits.set(limit, {label: spend.amount for label, spend in self.periods.items()})
        self._forget_alerts(f"limit/{limit.limit_id}/")

    def _forget_alerts(self, prefix: str) -> None:
        for key in [key for key in self.raised if key.startswith(prefix)]:
            del self.raised[key]

    def _adopt(self, tariff_id: str, version: int) -> None:
        adopted = self.adopted.get(tariff_id, ())
        self.adopted[tariff_id] = (*adopted, version)
        staged = self.staged.get(tariff_id, ())
        if version in staged:
            self.staged[tariff_id] = tuple(number for number in staged if number != version)
