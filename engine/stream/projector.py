"""The projector: every topic but the journal, derived from the journal, exactly once.

`charges` and `rejections` get one record each, `balances` the latest state of each account that a
commit touched, `alerts` what an operator should know. Outputs and the position in the journal are
committed in one transaction, so each of these topics can be deleted and rebuilt.
"""

import threading
import time
from collections.abc import Callable

import structlog

from engine.adapters.avro.journal import commit_digest, decode_commit, encode_record
from engine.adapters.avro.snapshot import encode_snapshot
from engine.adapters.avro.views import encode_alert, encode_balance
from engine.ports import (
    Batch,
    CommitFailed,
    Inputs,
    LogRecord,
    LogStalled,
    LogUnavailable,
    RecordLog,
    Snapshots,
    Stamp,
    TopicPartition,
    Transactions,
    Write,
    next_append,
)
from engine.rating.alert import Alert, SuspenseAlerts, threshold_alert
from engine.rating.balance import balance_of
from engine.rating.charge import Charge
from engine.rating.errors import InvalidDocument
from engine.rating.event import Record, Rejection
from engine.rating.journal import JournalCommit
from engine.rating.ledger import NoIdentities
from engine.rating.tariff_book import TariffBook
from engine.stream.recovery import FromSnapshot, from_snapshot
from engine.stream.turns import take_turns
from engine.telemetry import Telemetry

OUTPUT_TOPICS = ("charges", "balances", "alerts", "rejections")
_POLL_MS = 100
_LAG_SECONDS = 3.0
_MAX_WRITES = 5_000
"""Of one transaction: a poll after a long absence may bring a million charges, and a transaction
that outlives its timeout is aborted, again and again."""
_log = structlog.get_logger()


class Projection:
    """What one journal partition projects to. Folding needs neither tariffs nor identities."""

    def __init__(self, found: FromSnapshot) -> None:
        self.state, self.stamp, raised = found
        self.snapshot = found.stamp
        self._alerts = SuspenseAlerts(raised)

    def snapshot_bytes(self) -> bytes:
        """Return a snapshot: the state, and which alerts were raised."""
        return encode_snapshot(self.state, sorted(self._alerts.raised))

    def project(self, record: LogRecord) -> list[Write]:
        """Fold one commit record in and return what it projects to, in journal order."""
        commit, digest = decode_commit(record.value), commit_digest(record.value)
        self.state.fold(commit, digest)
        self.stamp = Stamp(commit.commit, digest, record.offset)
        return [*self._records(commit), *self._balances(commit)]

    def _records(self, commit: JournalCommit) -> list[Write]:
        writes = []
        for record in commit.records:
            key = record.account_id.encode() or None
            if isinstance(record, Charge):
                writes.append(Write("charges", commit.partition, key, encode_record(record)))
            elif isinstance(record, Rejection):
                writes.append(Write("rejections", commit.partition, key, encode_record(record)))
            writes += [
                Write("alerts", commit.partition, key, encode_alert(alert))
                for alert in self._alerts_of(record)
            ]
        return writes

    def _alerts_of(self, record: Record) -> list[Alert]:
        """Return what a record alerts of: suspense in a charge, or a threshold that is crossed."""
        if isinstance(record, Charge):
            return self._alerts.of(record)
        if isinstance(record, Rejection):
            return []
        zone = self.state.ledger.accounts[record.account_id].zone
        alert = threshold_alert(record, zone)
        return [] if alert is None else [alert]

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

    def __init__(
        self,
        inputs: Inputs,
        log: RecordLog,
        transactions: Transactions,
        snapshots: Snapshots,
        telemetry: Telemetry,
        *,
        snapshot_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inputs = inputs
        self._log = log
        self._transactions = transactions
        self._snapshots = snapshots
        self._telemetry = telemetry
        self._snapshot_seconds = snapshot_seconds
        self._clock = clock
        self._snapshots_due_at = clock() + snapshot_seconds
        self._lag_due_at = clock()
        self._projections: dict[int, Projection] = {}
        self._assigned: frozenset[int] = frozenset()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; ends between two transactions."""
        _log.info("projector_started")
        try:
            take_turns(self.turn, stop, self._telemetry)
            self._keep()
        finally:
            self.close()
            _log.info("projector_stopped")

    def close(self) -> None:
        """Leave the group."""
        self._inputs.close()
        self._transactions.close()

    def turn(self) -> int:
        """Poll once and project what came; return how many commits were projected.

        LogUnavailable, LogStalled or CommitFailed if the broker is away: the next turn recovers.
        """
        batch = self._inputs.poll(_POLL_MS)
        assigned = self._inputs.take_assignment()
        if assigned is not None:
            self._assigned = assigned
            self._telemetry.assigned(sorted(assigned))
            self._keep()
            self._projections.clear()
        if assigned is not None or self._projections.keys() != self._assigned:
            self._recover_all()
            return 0
        try:
            self._project(batch)
        except (CommitFailed, LogStalled, LogUnavailable) as error:
            _log.warning("commit_failed", reason=str(error))
            self._telemetry.commit_failed(type(error).__name__)
            self._projections.clear()
            return 0
        if self._clock() >= self._snapshots_due_at:
            self._keep()
        if self._clock() >= self._lag_due_at:
            self._look_at_lag()
        return len(batch.records)

    def _look_at_lag(self) -> None:
        """Tell how far behind it is. LogUnavailable if the broker is away: a poll would not say."""
        journals = [TopicPartition("journal", partition) for partition in self._projections]
        for journal, end in self._log.ends(journals).items():
            # The marker of a transaction stands behind its commit record.
            behind = max(end - next_append(self._projections[journal.partition].stamp.offset), 0)
            self._telemetry.lag("journal", journal.partition, behind)
        self._lag_due_at = self._clock() + _LAG_SECONDS

    def _project(self, batch: Batch) -> None:
        """Project a batch in transactions that stay far below their timeout."""
        writes: list[Write] = []
        offsets: dict[TopicPartition, int] = {}
        for record in batch.records:
            writes += self._projections[record.partition].project(record)
            offsets[TopicPartition("journal", record.partition)] = record.offset + 1
            if len(writes) >= _MAX_WRITES:
                self._commit(writes, offsets, batch.membership)
                writes, offsets = [], {}
        if offsets:
            self._commit(writes, offsets, batch.membership)

    def _commit(
        self, writes: list[Write], offsets: dict[TopicPartition, int], membership: object
    ) -> None:
        started = self._clock()
        self._transactions.commit(writes, offsets, membership)
        self._telemetry.commit_took(self._clock() - started)

    def _recover_all(self) -> None:
        """Fold every assigned partition up to where its outputs were committed (CommitFailed)."""
        self._projections.clear()
        self._transactions.fence()
        found: dict[int, Projection] = {}
        for partition in sorted(self._assigned):
            started = self._clock()
            journal = TopicPartition("journal", partition)
            position = self._inputs.committed(journal)
            self._refuse_lost_position(partition, position)
            projection = found[partition] = Projection(
                from_snapshot(
                    partition, self._log, TariffBook(), NoIdentities(), self._snapshots, position
                )
            )
            folded = 0
            for record in self._log.read(journal, projection.stamp.offset + 1, position):
                projection.project(record)
                folded += 1
            self._inputs.start(partition, {"journal": position})
            self._telemetry.recovered(partition, self._clock() - started, folded)
            commit = projection.state.commit
            _log.info("partition_recovered", partition=partition, commit=commit, folded=folded)
        self._projections = found

    def _refuse_lost_position(self, partition: int, position: int) -> None:
        """Refuse to begin anew beside what was projected before. InvalidDocument."""
        charges = TopicPartition("charges", partition)
        end = self._log.ends([charges])[charges]
        if position == 0 and next(iter(self._log.read(charges, 0, end)), None) is not None:
            raise InvalidDocument(
                f"position of the projectors' group in journal partition {partition}",
                "none, although charges were projected",
                "the one it had; derive the topics again with tollbook project --rebuild",
            )

    def _keep(self) -> None:
        """Write a snapshot of each partition that moved; a full disk only costs time later."""
        for partition, projection in self._projections.items():
            if projection.stamp == projection.snapshot:
                continue
            try:
                data = projection.snapshot_bytes()
                self._snapshots.save(partition, projection.stamp, data)
                projection.snapshot = projection.stamp
            except OSError as error:
                _log.warning("snapshot_not_written", partition=partition, reason=str(error))
                self._telemetry.snapshot_failed(partition)
        self._snapshots_due_at = self._clock() + self._snapshot_seconds
