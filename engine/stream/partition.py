"""One partition's micro-batch: inputs decided in order, collected into one journal commit.

A `PartitionProcessor` owns a partition's state. It decides commands, versions and usage in the
order it is given them, which becomes the order in the journal, and keeps the encoded records of
the open commit. State moves ahead of the commit; if the transaction fails, the processor is
dropped and the partition recovered, so nothing of an aborted batch survives.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from engine.adapters.avro.journal import commit_digest, encode_commit, encode_record
from engine.adapters.forwarded import FORWARDED, encode_forwarded
from engine.adapters.tariff_log import TariffLog
from engine.ports import LogRecord, Stamp, Write, next_append
from engine.rating.authority import Authority
from engine.rating.charge import USAGE, Charge
from engine.rating.command import AdvanceTo
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.event import Record, Rejection, UsageRefused
from engine.rating.journal import Counts, JournalCommit, NextOffset, counted
from engine.rating.ledger import Decided
from engine.rating.usage import Origin, Position
from engine.stream.intake import CheckedUsage, Intake, Misrouted, Refused
from engine.stream.recovery import Recovered

KEPT_ORIGINAL_BYTES = 16 * 1024
"""How much of a rejected event is kept in the journal; the whole stays in its topic."""

KEPT_RECORD_BYTES = 1024 * 1024
"""How much is kept of all the rejected events of one record together."""


class SealedCommit(NamedTuple):
    """A commit ready to be appended: the record, its bytes, and where it must land.

    `forwards`: misrouted usage to pass on in the same transaction. For telemetry: `news`, the
    counts of this commit alone; `rejected`, the codes of its rejections; `suspended`, the reasons
    of its lines in suspense.
    """

    commit: JournalCommit
    data: bytes
    expected_offset: int
    forwards: tuple[Write, ...]
    news: Counts
    rejected: tuple[str, ...]
    suspended: tuple[str, ...]


class PartitionProcessor:
    """Decides one partition's inputs.

    `last` names the last commit, `journal_end` is where the next one must land.
    """

    def __init__(self, recovered: Recovered, intake: Intake) -> None:
        self.state = recovered.state
        self.last = recovered.last
        self.journal_end = recovered.journal_end
        self._intake = intake
        self._kept_bytes = KEPT_ORIGINAL_BYTES
        self._start_commit()

    def _start_commit(self) -> None:
        self._records: list[bytes] = []
        self._forwards: list[Write] = []
        self._rejected: list[str] = []
        self._suspended: list[str] = []
        self._positions = dict(self.state.positions)
        self._tariffs_offset = self.state.tariffs_offset
        self._charges = self._pending = self._duplicates = self._rejections = 0
        self._consumed = self._commands = self._commands_rejected = 0
        self.size_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether something was taken in that is not committed: the state is ahead of `last`."""
        return self._positions != self.state.positions or bool(self._records)

    @property
    def next_command(self) -> int:
        """The next offset to read of the `accounts` topic."""
        return self._positions.get("accounts", 0)

    def take_in(self, tariffs: TariffLog) -> Iterator[None]:
        """Let accounts adopt or stage every version that this partition has not seen yet.

        Yields wherever a commit may be closed: accounts that have taken a version in are skipped when
        it is handed over again. A commit names one offset of the
        tariffs, and that decides which of them its usage was rated with: BrokenInvariant if usage
        of the open commit was rated with fewer.
        """
        if self._tariffs_offset == tariffs.next_offset:
            return
        if self._consumed:
            raise BrokenInvariant(
                f"journal partition {self.state.partition}: tariffs up to offset "
                f"{tariffs.next_offset} come into an open commit whose usage was rated with those "
                f"up to {self._tariffs_offset}"
            )
        for known, appended_at, rules in tariffs.versions:
            if known.offset < self._tariffs_offset:
                continue
            origin = Origin(Position("tariffs", 0, known.offset), appended_at)
            for records in self.state.ledger.publish(known.version, origin, rules):
                self._add_all(records)
                yield
        self._tariffs_offset = tariffs.next_offset

    def command(self, record: LogRecord, authority: Authority) -> Iterator[None]:
        """Decide one record of the `accounts` topic: what one account asks, or how late it is.

        Yields wherever a commit may be closed: what has happened is not due again when the passing of
        time is handed over again.
        """
        origin = Origin(Position("accounts", record.partition, record.offset), record.appended_at)
        asked = self._intake.read_order(record, authority.rules)
        ledger, rules = self.state.ledger, authority.rules
        if isinstance(asked, AdvanceTo):
            for step in ledger.decide_advance(asked.until, origin, rules):
                self._add_all(ledger.taken(step))
                yield
        else:
            self._commands += 1
            if isinstance(asked, Refused):
                self._commands_rejected += 1
                self._add(_rejection(asked, origin, KEPT_ORIGINAL_BYTES))
            else:
                self._add_all(ledger.command(asked, origin, rules))
        self._positions["accounts"] = record.offset + 1
        yield

    def usage(
        self, record: LogRecord, authority: Authority
    ) -> list[list[Decided] | Rejection | Write | str]:
        """Decide each event of a usage record, in order.

        Each comes to the records it leads to, a Rejection, DUPLICATE, or a Write that passes it on.
        """
        if record.offset < self._positions.get(record.topic, 0):
            raise BrokenInvariant(
                f"{record.topic}[{record.partition}]: offset {record.offset} was taken in before"
            )
        outcomes = []
        received_at, events = self._intake.read_usage(record, authority)
        self._kept_bytes = min(KEPT_ORIGINAL_BYTES, KEPT_RECORD_BYTES // len(events))
        for index, event in enumerate(events):
            position = Position(record.topic, record.partition, record.offset, index)
            outcomes.append(self._decide(event, Origin(position, received_at)))
        self._consumed += len(outcomes)
        self._positions[record.topic] = record.offset + 1
        return outcomes

    def _decide(
        self, event: CheckedUsage | Misrouted | Refused, origin: Origin
    ) -> list[Decided] | Rejection | Write | str:
        if isinstance(event, Refused):
            return self._reject(event, origin)
        if isinstance(event, Misrouted):
            return self._forward(event, origin)
        records, refusal = self.state.ledger.take(event.usage, origin, event.terms)
        self._add_all(records)
        if isinstance(refusal, Refusal):
            return self._reject(event.refused(refusal), origin)
        if refusal is not None:
            self._duplicates += 1
            return refusal
        self._count(records)
        return records

    def _count(self, records: Sequence[Decided]) -> None:
        """Count an accepted event by what its records say became of it."""
        told = counted(records)
        self._charges += told.charges
        self._pending += told.pending
        self._rejections += told.rejections
        for record in records:
            if isinstance(record, Charge):
                if record.kind == USAGE:
                    self._suspended += [line.reason for line in record.lines if line.reason]
            elif isinstance(record.change, UsageRefused):
                self._rejected.append(record.change.refusal.code)

    def _reject(self, refused: Refused, origin: Origin) -> Rejection:
        rejection = _rejection(refused, origin, self._kept_bytes)
        self._rejections += 1
        self._rejected.append(refused.refusal.code)
        self._add(rejection)
        return rejection

    def _forward(self, event: Misrouted, origin: Origin) -> Write:
        data = encode_forwarded(origin, event.fields)
        write = Write(FORWARDED, event.home, event.account_id.encode(), data)
        self._forwards.append(write)
        self.size_bytes += len(data)
        return write

    def _add_all(self, records: Sequence[Decided]) -> None:
        for record in records:
            self._add(record)

    def _add(self, record: Record) -> None:
        data = encode_record(record)
        self._records.append(data)
        self.size_bytes += len(data)

    def seal(self) -> SealedCommit | None:
        """Return the open commit, or None if nothing was taken in since the last one."""
        positions = tuple(NextOffset(*item) for item in sorted(self._positions.items()))
        state = self.state
        nothing_new = self._positions == state.positions
        if nothing_new and not self._records and self._tariffs_offset == state.tariffs_offset:
            return None
        news = Counts(
            consumed=self._consumed,
            charges=self._charges,
            pending=self._pending,
            duplicates=self._duplicates,
            rejections=self._rejections,
            forwarded=len(self._forwards),
            commands=self._commands,
            commands_rejected=self._commands_rejected,
        )
        commit = JournalCommit(
            state.partition,
            state.commit + 1,
            state.digest,
            positions,
            self._tariffs_offset,
            state.counts.plus(news),
            (),
        )
        data = encode_commit(commit, self._records)
        return SealedCommit(
            commit,
            data,
            self.journal_end,
            tuple(self._forwards),
            news,
            tuple(self._rejected),
            tuple(self._suspended),
        )

    def committed(self, sealed: SealedCommit) -> None:
        """Go on after the sealed commit was committed."""
        digest = commit_digest(sealed.data)
        self.state.advance(sealed.commit, digest)
        self.last = Stamp(sealed.commit.commit, digest, sealed.expected_offset)
        self.journal_end = next_append(sealed.expected_offset)
        self._start_commit()


def _rejection(refused: Refused, origin: Origin, kept_bytes: int) -> Rejection:
    original = refused.original
    return Rejection(
        origin.position,
        origin.received_at,
        refused.refusal,
        refused.account_id,
        refused.source,
        refused.event_id,
        sha256(original).digest(),
        len(original),
        original[:kept_bytes],
    )
