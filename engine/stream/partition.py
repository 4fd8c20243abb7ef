"""One partition's micro-batch: inputs decided in order, collected into one journal commit.

A `PartitionProcessor` owns a partition's state. It decides commands, versions and usage in the
order it is given them, which becomes the order in the journal, and keeps the encoded records of
the open commit. State moves ahead of the commit; if the transaction fails, the processor is
dropped and the partition recovered, so nothing of an aborted batch survives.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from engine.adapters.avro.journal import commit_digest, encode_commit, encode_record
from engine.adapters.tariff_log import TariffLog
from engine.ports import LogRecord, next_append
from engine.rating.charge import AccountEvent, Charge, Record, Rejection
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.journal import Counts, JournalCommit, NextOffset, PartitionState
from engine.rating.usage import Origin, Position
from engine.stream.intake import CheckedUsage, Intake, Refused

KEPT_ORIGINAL_BYTES = 16 * 1024
"""How much of a rejected event is kept in the journal; the whole stays in its topic."""

KEPT_RECORD_BYTES = 1024 * 1024
"""How much is kept of all the rejected events of one record together."""


class SealedCommit(NamedTuple):
    """A commit ready to be appended: the record, its bytes, and where it must land."""

    commit: JournalCommit
    data: bytes
    expected_offset: int


class PartitionProcessor:
    """Decides one partition's inputs. `journal_end`: where the next commit record must land."""

    def __init__(self, state: PartitionState, journal_end: int, intake: Intake) -> None:
        self.state = state
        self._journal_end = journal_end
        self._intake = intake
        self._kept_bytes = KEPT_ORIGINAL_BYTES
        self._start_commit()

    def _start_commit(self) -> None:
        self._records: list[bytes] = []
        self._positions = dict(self.state.positions)
        self._tariffs_offset = self.state.tariffs_offset
        self._charges = self._duplicates = self._rejections = 0
        self._consumed = self._commands = self._commands_rejected = 0
        self.size_bytes = 0

    @property
    def next_command(self) -> int:
        """The next offset to read of the `accounts` topic."""
        return self._positions.get("accounts", 0)

    def take_in(self, tariffs: TariffLog) -> Iterator[AccountEvent]:
        """Let accounts adopt or stage every version that this partition has not seen yet.

        Yields each account event, so that a commit may be closed in between: accounts that have
        taken a version in are skipped when it is handed over again.
        """
        if self._tariffs_offset == tariffs.next_offset:
            return
        for known, appended_at in tariffs.versions:
            if known.offset < self._tariffs_offset:
                continue
            origin = Origin(Position("tariffs", 0, known.offset), appended_at)
            for event in self.state.ledger.publish(known.version, origin):
                self._add(event)
                yield event
        self._tariffs_offset = tariffs.next_offset

    def command(self, record: LogRecord) -> AccountEvent | Rejection:
        """Decide one record of the `accounts` topic."""
        origin = Origin(Position("accounts", record.partition, record.offset), record.appended_at)
        command = self._intake.read_command(record)
        self._commands += 1
        outcome: AccountEvent | Rejection
        if isinstance(command, Refused):
            self._commands_rejected += 1
            outcome = _rejection(command, origin, KEPT_ORIGINAL_BYTES)
        else:
            outcome = self.state.ledger.command(command, origin)
        self._add(outcome)
        self._positions["accounts"] = record.offset + 1
        return outcome

    def usage(self, record: LogRecord) -> list[Charge | Rejection | str]:
        """Decide each event of a usage record: Charge, Rejection or DUPLICATE, in order."""
        if record.offset < self._positions.get(record.topic, 0):
            raise BrokenInvariant(
                f"{record.topic}[{record.partition}]: offset {record.offset} was taken in before"
            )
        outcomes = []
        events = self._intake.read_usage(record)
        self._kept_bytes = min(KEPT_ORIGINAL_BYTES, KEPT_RECORD_BYTES // len(events))
        for index, event in enumerate(events):
            position = Position(record.topic, record.partition, record.offset, index)
            outcomes.append(self._decide(event, Origin(position, record.appended_at)))
        self._consumed += len(outcomes)
        self._positions[record.topic] = record.offset + 1
        return outcomes

    def _decide(self, event: CheckedUsage | Refused, origin: Origin) -> Charge | Rejection | str:
        if isinstance(event, Refused):
            return self._reject(event, origin)
        outcome = self.state.ledger.charge(event.usage, origin)
        if isinstance(outcome, Charge):
            self._charges += 1
            self._add(outcome)
            return outcome
        if isinstance(outcome, Refusal):
            return self._reject(event.refused(outcome), origin)
        self._duplicates += 1
        return outcome

    def _reject(self, refused: Refused, origin: Origin) -> Rejection:
        rejection = _rejection(refused, origin, self._kept_bytes)
        self._rejections += 1
        self._add(rejection)
        return rejection

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
        counts = state.counts.plus(
            Counts(
                consumed=self._consumed,
                charges=self._charges,
                duplicates=self._duplicates,
                rejections=self._rejections,
                commands=self._commands,
                commands_rejected=self._commands_rejected,
            )
        )
        commit = JournalCommit(
            state.partition,
            state.commit + 1,
            state.digest,
            positions,
            self._tariffs_offset,
            counts,
            (),
        )
        return SealedCommit(commit, encode_commit(commit, self._records), self._journal_end)

    def committed(self, sealed: SealedCommit) -> None:
        """Go on after the sealed commit was committed."""
        self.state.advance(sealed.commit, commit_digest(sealed.data))
        self._journal_end = next_append(sealed.expected_offset)
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
