"""The projector: every topic but the journal, derived from the journal, exactly once.

`charges` and `rejections` get one record each, `balances` the latest state of each account that a
commit touched, `alerts` what an operator should know. Outputs and the position in the journal are
committed in one transaction, so each of these topics can be deleted and rebuilt.
"""

import threading

import structlog

from engine.adapters.avro.journal import commit_digest, decode_commit, encode_record
from engine.adapters.avro.views import encode_alert, encode_balance
from engine.ports import Batch, CommitFailed, Inputs, RecordLog, TopicPartition, Transactions, Write
from engine.rating.alert import SuspenseAlerts
from engine.rating.balance import balance_of
from engine.rating.charge import Charge, Rejection
from engine.rating.journal import JournalCommit, PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.tariff_book import TariffBook

OUTPUT_TOPICS = ("charges", "balances", "alerts", "rejections")
_POLL_MS = 100
_MAX_WRITES = 5_000
"""Of one transaction: a poll after a long absence may bring a million charges, and a transaction
that outlives its timeout is aborted, again and again."""
_log = structlog.get_logger()


class Projection:
    """What one journal partition projects to. Folding needs no tariffs."""

    def __init__(self, partition: int) -> None:
        self.state = PartitionState(partition, TariffBook(), MemoryIdentities())
        self._alerts = SuspenseAlerts()

    def project(self, data: bytes) -> list[Write]:
        """Fold one commit record in and return what it projects to, in journal order."""
        commit = decode_commit(data)
        self.state.fold(commit, commit_digest(data))
        return [*self._records(commit), *self._balances(commit)]

    def _records(self, commit: JournalCommit) -> list[Write]:
        writes = []
        for record in commit.records:
            key = record.account_id.encode() or None
            if isinstance(record, Charge):
                writes.append(Write("charges", commit.partition, key, encode_record(record)))
                writes += [
                    Write("alerts", commit.partition, key, encode_alert(alert))
                    for alert in self._alerts.of(record)
                ]
            elif isinstance(record, Rejection):
                writes.append(Write("rejections", commit.partition, key, encode_record(record)))
        return writes

    def _balances(self, commit: JournalCommit) -> list[Write]:
        touched = {
            record.account_id: None
            for record in commit.records
            if not isinstance(record, Rejection)
        }
        return [
            Write(
                "balances",
                commit.partition,
                account_id.encode(),
                encode_balance(balance_of(self.state.ledger.accounts[account_id])),
            )
            for account_id in touched
        ]


class Projector:
    """Projects the journal partitions that its group membership assigns to it."""

    def __init__(self, inputs: Inputs, log: RecordLog, transactions: Transactions) -> None:
        self._inputs = inputs
        self._log = log
        self._transactions = transactions
        self._projections: dict[int, Projection] = {}
        self._assigned: frozenset[int] = frozenset()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; ends between two transactions."""
        self._transactions.fence()
        _log.info("projector_started")
        try:
            while not stop.is_set():
                self.turn()
        finally:
            self._inputs.close()
            self._transactions.close()
            _log.info("projector_stopped")

    def turn(self) -> int:
        """Poll once and project what came; return how many commits were projected."""
        batch = self._inputs.poll(_POLL_MS)
        assigned = self._inputs.take_assignment()
        if assigned is not None:
            self._assigned = assigned
            self._recover_all()
            return 0
        try:
            self._project(batch)
        except CommitFailed as error:
            _log.warning("commit_failed", reason=str(error))
            self._recover_all()
            return 0
        return len(batch.records)

    def _project(self, batch: Batch) -> None:
        """Project a batch in transactions that stay far below their timeout."""
        writes: list[Write] = []
        offsets: dict[TopicPartition, int] = {}
        for record in batch.records:
            writes += self._projections[record.partition].project(record.value)
            offsets[TopicPartition("journal", record.partition)] = record.offset + 1
            if len(writes) >= _MAX_WRITES:
                self._transactions.commit(writes, offsets, batch.membership)
                writes, offsets = [], {}
        if offsets:
            self._transactions.commit(writes, offsets, batch.membership)

    def _recover_all(self) -> None:
        """Fold every assigned partition up to where its outputs were committed (CommitFailed)."""
        self._projections.clear()
        self._transactions.fence()
        for partition in sorted(self._assigned):
            journal = TopicPartition("journal", partition)
            position = self._inputs.committed(journal)
            projection = self._projections[partition] = Projection(partition)
            for record in self._log.read(journal, 0, position):
                projection.project(record.value)
            self._inputs.start(partition, {"journal": position})
            _log.info("partition_recovered", partition=partition, commit=projection.state.commit)
