"""The worker: usage in, journal commits out, exactly once.

Each turn: poll usage; take in every tariff version and account command that was there before it
(so a command acknowledged before a usage event was sent is always decided first); decide the
usage; append one journal commit per touched partition and commit the input offsets in the same
transaction. Positions inside the journal decide where to resume. Whatever goes wrong with a
transaction has one answer: drop the state and fold the journal again.
"""

import threading
import time

import structlog

from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.ports import (
    CommitFailed,
    Inputs,
    RecordLog,
    TopicPartition,
    Transactions,
    Write,
)
from engine.settings import WorkerSettings
from engine.stream.intake import Intake
from engine.stream.partition import PartitionProcessor, SealedCommit
from engine.stream.recovery import recover

_POLL_MS = 100
_log = structlog.get_logger()


class Worker:
    """Rates the partitions that its group membership assigns to it."""

    def __init__(
        self,
        inputs: Inputs,
        log: RecordLog,
        transactions: Transactions,
        intake: Intake,
        settings: WorkerSettings,
    ) -> None:
        self._inputs = inputs
        self._log = log
        self._transactions = transactions
        self._intake = intake
        self._settings = settings
        self._tariffs = TariffLog(log)
        self._processors: dict[int, PartitionProcessor] = {}
        self._assigned: frozenset[int] = frozenset()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; ends between two transactions."""
        self._transactions.fence()
        _log.info("worker_started", slot=self._settings.slot)
        try:
            while not stop.is_set():
                self.turn()
        finally:
            self._inputs.close()
            self._transactions.close()
            _log.info("worker_stopped", slot=self._settings.slot)

    def turn(self) -> int:
        """Poll once and commit what came; return how many usage records were taken in."""
        batch = self._inputs.poll(_POLL_MS)
        assigned = self._inputs.take_assignment()
        if assigned is not None:
            # Recovery starts each partition where its journal says, so this batch comes again.
            self._reassign(assigned)
            return 0
        try:
            self._take_in_tariffs_and_commands(batch.membership)
            for record in batch.records:
                self._processors[record.partition].usage(record)
                self._commit_if_full(record.partition, batch.membership)
            self._commit(batch.membership)
        except CommitFailed as error:
            _log.warning("commit_failed", reason=str(error))
            self._recover_all()
            return 0
        return len(batch.records)

    def _reassign(self, assigned: frozenset[int]) -> None:
        self._assigned = assigned
        _log.info("partitions_assigned", partitions=sorted(assigned))
        self._recover_all()

    def _recover_all(self) -> None:
        """Drop all state and fold every assigned partition's journal again (CommitFailed)."""
        self._processors.clear()
        self._transactions.fence()
        self._tariffs.read_all()
        for partition in sorted(self._assigned):
            started = time.monotonic()
            recovered = recover(partition, self._log, self._tariffs.book)
            state = recovered.state
            self._processors[partition] = PartitionProcessor(
                state, recovered.journal_end, self._intake
            )
            self._inputs.start(partition, state.positions)
            _log.info(
                "partition_recovered",
                partition=partition,
                commit=state.commit,
                accounts=len(state.ledger.accounts),
                seconds=round(time.monotonic() - started, 3),
            )

    def _take_in_tariffs_and_commands(self, membership: object) -> None:
        accounts = {
            TopicPartition("accounts", partition): processor
            for partition, processor in self._processors.items()
        }
        ends = self._log.ends([TARIFFS, *accounts])
        self._tariffs.read_to(ends[TARIFFS])
        for partition, processor in accounts.items():
            for _ in processor.take_in(self._tariffs):
                self._commit_if_full(partition.partition, membership)
            for record in self._log.read(partition, processor.next_command, ends[partition]):
                processor.command(record)
                self._commit_if_full(partition.partition, membership)

    def _commit_if_full(self, partition: int, membership: object) -> None:
        if self._processors[partition].size_bytes >= self._settings.max_commit_bytes:
            self._commit(membership)

    def _commit(self, membership: object) -> None:
        sealed = {
            partition: commit
            for partition, processor in self._processors.items()
            if (commit := processor.seal()) is not None
        }
        if not sealed:
            return
        self._transactions.commit(
            [_journal_write(partition, commit) for partition, commit in sealed.items()],
            _offsets(sealed),
            membership,
        )
        for partition, commit in sealed.items():
            self._processors[partition].committed(commit)


def _journal_write(partition: int, sealed: SealedCommit) -> Write:
    return Write("journal", partition, None, sealed.data, sealed.expected_offset)


def _offsets(sealed: dict[int, SealedCommit]) -> dict[TopicPartition, int]:
    """Return the input offsets after these commits, for the group and for tools that show lag."""
    return {
        TopicPartition(entry.topic, partition): entry.offset
        for partition, commit in sealed.items()
        for entry in commit.commit.positions
    }
