"""Voids: what stands of a usage event is taken back (semantics section 5).

A void takes the original's priced quantities out of their counters, its lines in reverse order, under
the version that each line stands under. Token units go back to the very buckets they came from. The
change of the counters' totals is the void's amount, settled like any other; it may be positive,
because it can undo a volume discount. One event's charge need not come back exactly: the total is
right.
"""

from functools import partial
from hashlib import sha256

from engine.rating.account import Account, VersionQuantity
from engine.rating.amount import AmountFunction, bounded_slices
from engine.rating.bucket import Draws, drawn_on
from engine.rating.charge import CORRECTION, VOIDED, Charge, Line, TariffReference
from engine.rating.counter import Standing as Counted
from engine.rating.counter import count
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.event import VoidPending
from engine.rating.matching import Facts
from engine.rating.metering import raised
from engine.rating.money import LIMIT_PICO
from engine.rating.purse import Purse
from engine.rating.standing import Standing, StandingLine
from engine.rating.supply import margin
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import CONTEXT_KINDS, Origin, UsageEvent


def correction(
    account: Account,
    original: str,
    standing: Standing,
    void: UsageEvent | VoidPending,
    origin: Origin,
    rules: int,
    book: TariffBook,
) -> Charge | Refusal:
    """Return the charge that takes back what stands of a usage event.

    `original` is its identity, `void` what asks for it. A Refusal only if an amount leaves
    DECIMAL(38,12).
    """
    taking = _TakingBack(account, standing, book)
    lines = tuple(taking.lines())
    amount = sum([line.amount or 0 for line in lines])
    due, cost = taking.purse.due, standing.supplier_cost
    if max(abs(amount), abs(due)) >= LIMIT_PICO:
        return Refusal("amount_overflow", f"due: got {due} pico, expected less than 10^38 pico")
    parts = (CORRECTION, account.account_id, void.source, void.event_id, original)
    cause = "\0".join(parts)
    return Charge(
        charge_id=sha256(cause.encode()).hexdigest()[:32],
        kind=CORRECTION,
        account_id=account.account_id,
        subject=standing.subject,
        sequence=account.sequence + 1,
        source=void.source,
        event_id=void.event_id,
        digest=void.digest,
        position=origin.position,
        occurred_at=standing.occurred_at,
        received_at=origin.received_at,
        service_period=standing.service_period,
        provider=standing.provider,
        model=standing.model,
        operation=standing.operation,
        service_tier=standing.service_tier,
        region=standing.region,
        tariff=standing.tariff and _reference(book, *standing.tariff),
        rules=rules,
        currency=account.currency,
        lines=lines,
        drawdowns=taking.purse.drawdowns(),
        amount=amount,
        supplier_cost=None if cost is None else -cost,
        corrects=original,
        trace_id=standing.trace_id,
        parent_event_id="",
        initiator=standing.initiator,
        due=due,
        margin=margin(amount, None if cost is None else -cost, lines),
    )


class _TakingBack:
    """Takes the lines of one event out of their counters, the last one first."""

    def __init__(self, account: Account, standing: Standing, book: TariffBook) -> None:
        self._account = account
        self._standing = standing
        self._book = book
        self._counters: dict[str, Counted] = {}
        drawn: dict[str, Draws] = {}
        for line in standing.lines:
            if line.counter.endswith("/event"):
                self._recount(line, drawn)
        self.purse = Purse(account, standing.occurred_at, standing.subject, self._facts, drawn)

    def _facts(self) -> Facts:
        """Return what the scope of a bucket looks at; a charge does not keep attributes."""
        standing = self._standing
        return Facts(
            self._account.account_id,
            standing.subject,
            standing.model,
            standing.provider,
            standing.operation,
            standing.service_tier,
            standing.region,
            standing.initiator,
            context=sum(line.quantity for line in standing.lines if line.kind in CONTEXT_KINDS),
            minute=self._account.zone.minute_of_week(standing.occurred_at),
        )

    def _recount(self, line: StandingLine, drawn: dict[str, Draws]) -> None:
        """Fill a counter of the event itself, which the account does not keep."""
        counted = self._counters.get(line.counter, ())
        self._counters[line.counter] = _plus(counted, self._entry(line, line.metered))
        for draw in line.draws:
            if not draw.quantity:
                drawn[line.counter] = drawn_on(drawn.get(line.counter, ()), draw)

    def _entry(self, line: StandingLine, metered: int) -> VersionQuantity:
        assert self._standing.tariff is not None  # noqa: S101 - a line was priced
        return VersionQuantity(self._standing.tariff.version, metered, line.promotion)

    def lines(self) -> list[Line]:
        """Return the lines that take back the event's."""
        return [self._line(line) for line in reversed(self._standing.lines)]

    def _line(self, line: StandingLine) -> Line:
        covers = self.purse.give_back([draw for draw in line.draws if draw.quantity])
        taken = Line(
            line.component,
            line.kind,
            -line.quantity,
            line.counter,
            0,
            -line.metered,
            (),
            (),
            0,
            VOIDED,
            line.reason,
            line.promotion,
            line.tally,
            None if line.tallied is None else -line.tallied,
            -line.covered,
            covers,
        )
        if not line.counter or self._standing.tariff is None:
            return taken
        return self._uncounted(taken, line, self._standing.tariff.tariff_id)

    def _uncounted(self, taken: Line, line: StandingLine, tariff_id: str) -> Line:
        """Take a line's units out of its counter, and settle what that changes."""
        stood = self._counters.get(line.counter)
        if stood is None:
            stood = self._account.counters.get(line.counter, ())
        before = partial(raised, self._account, stood, line, tariff_id, self._book, self.purse)
        adopted = self._account.adopted[tariff_id]
        timeline = self._book.timeline(tariff_id, adopted)
        entry = self._entry(line, -line.metered)
        counted = count(stood, entry, line.component, timeline)
        self._counters[line.counter] = counted.after
        amounts = self._amounts(entry, line.component, tariff_id)
        rest = counted.before - line.metered
        slices = tuple(
            part._replace(quantity=-part.quantity, amount=-part.amount)
            for part in amounts.slices(rest, counted.before)
        )
        amount = counted.amount + sum([change.amount for change in counted.repricings])
        return taken._replace(
            before=counted.before,
            slices=bounded_slices(slices, counted.amount),
            repricings=counted.repricings,
            amount=amount,
            draws=(*taken.draws, *self.purse.settle(line.counter, amount, before)),
        )

    def _amounts(self, entry: VersionQuantity, component: str, tariff_id: str) -> AmountFunction:
        known = self._book.get(tariff_id, entry.version)
        amounts = known and known.version.amounts(component, entry.promotion)
        if amounts is None:
            raise BrokenInvariant(f"tariff {tariff_id}: version {entry.version} has no {component}")
        return amounts


def _reference(book: TariffBook, tariff_id: str, version: int) -> TariffReference:
    known = book.get(tariff_id, version)
    if known is None:
        raise BrokenInvariant(f"tariff {tariff_id}: version {version} rated usage and is not known")
    return TariffReference(tariff_id, version, known.version.digest, known.offset)


def _plus(counted: Counted, added: VersionQuantity) -> Counted:
    for index, entry in enumerate(counted):
        if entry.stands_with(added):
            return (*counted[:index], entry.plus(added.metered), *counted[index + 1 :])
    return (*counted, added)
