"""The worker: usage in, journal commits out, exactly once.

Each turn: poll usage; take in every tariff version and account command that was there before it
(so a command acknowledged before a usage event was sent is always decided first); decide the
usage; append one journal commit per touched partition and commit the input offsets in the same
transaction. Positions inside the journal decide where to resume. Whatever goes wrong with a
transaction has one answer: drop the state and recover it from the journal. While the broker is
away the worker waits, and goes on when it returns.
"""

import threading
import time

import structlog

from engine.adapters.forwarded import FORWARDED
from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.ports import (
    Batch,
    CommitFailed,
    Inputs,
    LogStalled,
    LogUnavailable,
    RecordLog,
    TopicPartition,
    Transactions,
    Write,
)
from engine.settings import WorkerSettings
from engine.stream.intake import Intake
from engine.stream.keeping import Keeper
from engine.stream.partition import PartitionProcessor, SealedCommit
from engine.stream.turns import take_turns
from engine.telemetry import Telemetry

_POLL_MS = 100
USAGE_TOPICS = ("usage", FORWARDED)
_log = structlog.get_logger()


class Worker:
    """Rates the partitions that its group membership assigns to it.

    A clean stop keeps what was folded, so the next owner recovers in no time.
    """

    def __init__(
        self,
        inputs: Inputs,
        log: RecordLog,
        transactions: Transactions,
        intake: Intake,
        keeper: Keeper,
        settings: WorkerSettings,
        telemetry: Telemetry,
    ) -> None:
        self._inputs = inputs
        self._log = log
        self._transactions = transactions
        self._intake = intake
        self._keeper = keeper
        self._settings = settings
        self._telemetry = telemetry
        self._tariffs = TariffLog(log)
        self._processors: dict[int, PartitionProcessor] = {}
        self._assigned: frozenset[int] = frozenset()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; ends between two transactions."""
        _log.info("worker_started", slot=self._settings.slot)
        try:
            take_turns(self.turn, stop, self._telemetry)
            for partition in list(self._processors):
                self._hand_over(partition)
        finally:
            self.close()
            _log.info("worker_stopped", slot=self._settings.slot)

    def close(self) -> None:
        """Drop the state and leave the group."""
        self._drop_all()
        self._inputs.close()
        self._transactions.close()

    def turn(self) -> int:
        """Poll once and commit what came; return how many usage records were taken in.

        LogUnavailable, LogStalled or CommitFailed if the broker is away: the next turn recovers.
        """
        batch = self._inputs.poll(_POLL_MS)
        assigned = self._inputs.take_assignment()
        if assigned is not None or self._processors.keys() != self._assigned:
            # Each partition starts where its journal says, so this batch comes again.
            self._recover(assigned)
            return 0
        try:
            return self._decide_and_commit(batch)
        except CommitFailed as error:
            _log.warning("commit_failed", reason=str(error))
            self._telemetry.commit_failed(type(error).__name__)
            self._drop_all()
            return 0
        except (LogStalled, LogUnavailable):
            self._drop_all()
            raise

    def _decide_and_commit(self, batch: Batch) -> int:
        started = time.monotonic()
        self._take_in_tariffs_and_commands(batch.membership)
        for record in batch.records:
            processor = self._processors[record.partition]
            processor.usage(record, self._tariffs.authority)
            self._commit_if_full(processor, batch.membership)
        self._commit(batch.membership)
        if batch.records:
            self._telemetry.batch_took(time.monotonic() - started)
        for processor in self._processors.values():
            self._keeper.keep_if_due(processor.state, processor.last)
        return len(batch.records)

    def _reassign(self, assigned: frozenset[int]) -> None:
        """Hand over what goes to another worker, and keep what stays if nobody else wrote to it."""
        _log.info("partitions_assigned", partitions=sorted(assigned))
        self._assigned = assigned
        self._telemetry.assigned(sorted(assigned))
        for partition in self._processors.keys() - assigned:
            self._hand_over(partition)
        journals = {TopicPartition("journal", number): number for number in self._processors}
        for journal, end in self._log.ends(list(journals)).items():
            processor = self._processors[journal.partition]
            if processor.journal_end == end and not processor.is_open:
                self._inputs.start(journal.partition, processor.state.positions)
            else:
                self._drop(journal.partition)

    def _hand_over(self, partition: int) -> None:
        processor = self._processors.pop(partition)
        try:
            if not processor.is_open:
                self._keeper.keep(processor.state, processor.last)
        except (CommitFailed, LogStalled, LogUnavailable) as error:
            _log.warning("not_kept", partition=partition, reason=str(error))
        finally:
            self._keeper.let_go(partition)

    def _drop(self, partition: int) -> None:
        del self._processors[partition]
        self._keeper.let_go(partition)

    def _drop_all(self) -> None:
        for partition in list(self._processors):
            self._drop(partition)

    def _recover(self, assigned: frozenset[int] | None) -> None:
        """Have every assigned partition at its journal's end, and reading from there.

        If that fails all are dropped: one that was started already reads on meanwhile.
        """
        try:
            if assigned is not None:
                self._reassign(assigned)
            self._recover_missing()
        except (CommitFailed, LogStalled, LogUnavailable):
            self._drop_all()
            raise

    def _recover_missing(self) -> None:
        missing = sorted(self._assigned - self._processors.keys())
        self._transactions.fence([TopicPartition("journal", number) for number in missing])
        self._tariffs.read_all()
        if self._tariffs.authority.is_open:
            _log.warning("open_to_any_source", rules=self._tariffs.authority.rules)
        for partition in missing:
            recovered = self._keeper.recover(partition, self._tariffs.book)
            self._processors[partition] = PartitionProcessor(recovered, self._intake)
            self._inputs.start(partition, recovered.state.positions)

    def _take_in_tariffs_and_commands(self, membership: object) -> None:
        accounts = {
            TopicPartition("accounts", partition): processor
            for partition, processor in self._processors.items()
        }
        usage = [
            TopicPartition(topic, partition)
            for topic in USAGE_TOPICS
            for partition in self._processors
        ]
        ends = self._log.ends([TARIFFS, *accounts, *usage])
        self._tariffs.read_to(ends[TARIFFS])
        for partition, processor in accounts.items():
            for _ in processor.take_in(self._tariffs):
                self._commit_if_full(processor, membership)
            for record in self._log.read(partition, processor.next_command, ends[partition]):
                for _ in processor.command(record, self._tariffs.authority):
                    self._commit_if_full(processor, membership)
        for name in usage:
            position = self._processors[name.partition].state.positions.get(name.topic, 0)
            self._telemetry.lag(name.topic, name.partition, ends[name] - position)

    def _commit_if_full(self, processor: PartitionProcessor, membership: object) -> None:
        if processor.size_bytes >= self._settings.max_commit_bytes:
            self._commit(membership)

    def _commit(self, membership: object) -> None:
        sealed = {
            partition: commit
            for partition, processor in self._processors.items()
            if (commit := processor.seal()) is not None
        }
        if not sealed:
            return
        started = time.monotonic()
        self._transactions.commit(
            [write for partition, commit in sealed.items() for write in _writes(partition, commit)],
            _offsets(sealed),
            membership,
        )
        self._telemetry.commit_took(time.monotonic() - started)
        for partition, commit in sealed.items():
            self._processors[partition].committed(commit)
            self._tell(partition, commit)

    def _tell(self, partition: int, commit: SealedCommit) -> None:
        self._telemetry.decided(partition, commit.commit.commit, commit.news)
        for code in commit.rejected:
            self._telemetry.rejected(code)
        for reason in commit.suspended:
            self._telemetry.suspended(reason)


def _writes(partition: int, sealed: SealedCommit) -> list[Write]:
    """Return the commit, and the usage that is passed on with it."""
    journal = Write("journal", partition, None, sealed.data, sealed.expected_offset)
    return [journal, *sealed.forwards]


def _offsets(sealed: dict[int, SealedCommit]) -> dict[TopicPartition, int]:
    """Return the input offsets after these commits, for the group and for tools that show lag."""
    return {
        TopicPartition(entry.topic, partition): entry.offset
        for partition, commit in sealed.items()
        for entry in commit.commit.positions
    }
