"""Keeping: what a worker has folded, written down so that the next start is short.

Snapshots and the identity index affect cost, never meaning. Both are written only after the last
commit was read back as read_committed: an acknowledged commit is not final until then (commit
protocol, rule 6), and an index that ran ahead of the journal would lose a retry as a duplicate.
A disk that is full costs time at the next start and nothing else.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from engine.adapters.avro.snapshot import encode_snapshot
from engine.ports import (
    CommitFailed,
    IdentityIndex,
    IdentityIndexes,
    RecordLog,
    Snapshots,
    Stamp,
    TopicPartition,
)
from engine.rating.journal import PartitionState
from engine.rating.tariff_book import TariffBook
from engine.stream.recovery import MAX_UNWRITTEN, Recovered, recover, stands
from engine.telemetry import Telemetry

_LEAST_SHARE = 20
"""A snapshot is not written before twenty times the time that the last one took."""
_log = structlog.get_logger()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Build state without the garbage collector walking over all of it, again and again.

    What was built lives as long as the partition, so it is frozen: later collections pass it by.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Kept:
    """One partition's caches, and when they are written next.

    Many new identities bring the next snapshot forward, but not before `not_before`.
    """

    def __init__(self, index: IdentityIndex, due_at: float) -> None:
        self.index = index
        self.snapshot = Stamp()
        self.not_before = 0.0
        self.due_at = due_at


class Keeper:
    """Recovers partitions from what was kept, and keeps it up."""

    def __init__(
        self,
        log: RecordLog,
        indexes: IdentityIndexes,
        snapshots: Snapshots,
        telemetry: Telemetry,
        *,
        snapshot_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._indexes = indexes
        self._snapshots = snapshots
        self._telemetry = telemetry
        self._snapshot_seconds = snapshot_seconds
        self._clock = clock
        self._kept: dict[int, Kept] = {}

    def recover(self, partition: int, book: TariffBook) -> Recovered:
        """Return a partition's state as its journal has it."""
        self.let_go(partition)
        started = self._clock()
        index = self._indexes.open(partition)
        try:
            with _uncollected():
                recovered = recover(partition, self._log, book, index, self._snapshots)
        except BaseException:
            index.close()
            raise
        now = self._clock()
        self._kept[partition] = Kept(index, now + self._snapshot_seconds)
        self._telemetry.recovered(partition, now - started, recovered.folded)
        self._telemetry.identities(partition, index.size + index.unwritten)
        _log.info(
            "partition_recovered",
            partition=partition,
            commit=recovered.state.commit,
            folded=recovered.folded,
            accounts=len(recovered.state.ledger.accounts),
            seconds=round(now - started, 3),
        )
        return recovered

    def keep_if_due(self, state: PartitionState, last: Stamp) -> None:
        """Write the index if much waits for it, and a snapshot if it is time.

        CommitFailed if the last commit does not stand in the journal.
        """
        kept, now = self._kept[state.partition], self._clock()
        is_much = kept.index.unwritten >= MAX_UNWRITTEN
        if now >= kept.due_at or (is_much and now >= kept.not_before):
            self.keep(state, last)
        elif is_much:
            self._refuse_lost(state.partition, last)
            self._write_index(state.partition, kept, last)

    def keep(self, state: PartitionState, last: Stamp) -> None:
        """Write index and snapshot of a partition, if anything happened since."""
        kept, started = self._kept[state.partition], self._clock()
        if last not in (kept.snapshot, Stamp()):
            self._refuse_lost(state.partition, last)
            if self._write_index(state.partition, kept, last):
                self._write_snapshot(state, kept, last)
        now = self._clock()
        kept.not_before = now + _LEAST_SHARE * (now - started)
        kept.due_at = max(now + self._snapshot_seconds, kept.not_before)

    def let_go(self, partition: int) -> None:
        """Release a partition; what was not written is forgotten."""
        kept = self._kept.pop(partition, None)
        if kept is not None:
            kept.index.close()

    def _refuse_lost(self, partition: int, last: Stamp) -> None:
        journal = TopicPartition("journal", partition)
        if not stands(self._log, journal, last, last.offset + 1):
            raise CommitFailed(
                f"journal[{partition}]: commit {last.commit} was acknowledged and is not there"
            )

    def _write_index(self, partition: int, kept: Kept, last: Stamp) -> bool:
        try:
            kept.index.write(last)
        except OSError as error:
            _log.warning("identities_not_written", partition=partition, reason=str(error))
            self._telemetry.snapshot_failed(partition)
            return False
        self._telemetry.identities(partition, kept.index.size)
        return True

    def _write_snapshot(self, state: PartitionState, kept: Kept, last: Stamp) -> None:
        started, data = self._clock(), encode_snapshot(state)
        try:
            self._snapshots.save(state.partition, last, data)
        except OSError as error:
            _log.warning("snapshot_not_written", partition=state.partition, reason=str(error))
            self._telemetry.snapshot_failed(state.partition)
            return
        kept.snapshot = last
        self._telemetry.snapshot_took(state.partition, self._clock() - started, len(data))
