"""An account as the journal tells it: state is a fold, and nothing else changes it.

`Account.apply` is the only way state moves, for a live worker, a recovering one and a replay
alike, so a rebuilt balance can not differ from the live one. Deciding what to write is the
business of `rate` and `lifecycle`; both only read.
"""

from typing import NamedTuple

from engine.rating.charge import (
    SETTLEMENT,
    SUSPENSE,
    AccountEvent,
    AccountOpened,
    Charge,
    CommandRefused,
    Line,
    PeriodClosed,
    TariffAssigned,
    VersionAdopted,
    VersionStaged,
)
from engine.rating.errors import BrokenInvariant
from engine.rating.period import UTC_ZONE, FrozenZone
from engine.rating.supply import margin


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


class Account:
    """State of one account. An account exists from its first record, opened or not."""

    __slots__ = (
        "account_id",
        "adopted",
        "as_of",
        "assignments",
        "charges",
        "close_grace",
        "closed",
        "commands",
        "counters",
        "currency",
        "due",
        "latest_charge_at",
        "periods",
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
        self.charges = 0
        self.suspended_lines = 0
        self.latest_charge_at: int | None = None
        self.commands: set[str] = set()
        self.as_of = 0

    @property
    def is_open(self) -> bool:
        """Whether the account was opened (an open account has a currency)."""
        return bool(self.currency)

    def assigned_tariff(self, at: int) -> str | None:
        """Return the tariff assigned for use at an instant.

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
        return latest.tariff_id

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
        if isinstance(record, Charge):
            self._apply_charge(record)
        else:
            self._apply_event(record)

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
        occurred_at = charge.occurred_at
        if self.latest_charge_at is None or occurred_at > self.latest_charge_at:
            self.latest_charge_at = occurred_at
        if charge.kind == SETTLEMENT:
            for line in charge.lines:
                self._settle(line)
            return
        for line in charge.lines:
            if line.status == SUSPENSE:
                self.suspended_lines += 1
            elif charge.tariff is not None:
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
        if isinstance(change, AccountOpened):
            self.currency, self.zone = change.currency, change.zone
            self.close_grace = change.close_grace
        elif isinstance(change, TariffAssigned):
            self.assignments.append(change)
            for reference in change.versions:
                self._adopt(change.tariff_id, reference.version)
        elif isinstance(change, VersionAdopted):
            self._adopt(change.tariff_id, change.version)
        elif isinstance(change, VersionStaged):
            staged = self.staged.get(change.tariff_id, ())
            self.staged[change.tariff_id] = (*staged, change.version)
        elif isinstance(change, PeriodClosed):
            self.closed[change.period] = change.ends_at

    def _adopt(self, tariff_id: str, version: int) -> None:
        adopted = self.adopted.get(tariff_id, ())
        self.adopted[tariff_id] = (*adopted, version)
        staged = self.staged.get(tariff_id, ())
        if version in staged:
            self.staged[tariff_id] = tuple(number for number in staged if number != version)
