"""Metrics: telemetry as Prometheus reads it.

Each process has a registry of its own. Names say the unit (`_seconds`, `_bytes`, `_total`), labels
take few values: partitions of this process, codes and reasons that stand in the code. An account,
a source or an event never becomes a label; who it was stands in the journal.
docs/reference/metrics.md explains each one and is held to this module by a test.
"""

from collections.abc import Sequence
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from engine.adapters.health import Vitals
from engine.rating.journal import Counts
from engine.telemetry import Telemetry

TIME_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""From a small transaction to the watchdog that ends a stuck one."""
MOST_VALUES = 100
"""Of one label: a fault in the code must not fill Prometheus."""
OTHER = "other"
"""What further values of a label are counted as."""


class FewValues:
    """The values that a label has taken, and no more than Prometheus should hold."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._seen: set[str] = set()

    def name(self, value: str) -> str:
        """Return the value, or OTHER once there are too many."""
        if value not in self._seen:
            if len(self._seen) >= self._most or len(value) > MOST_VALUES:
                return OTHER
            self._seen.add(value)
        return value


class ProcessTelemetry(Telemetry):
    """What a worker and a projector have in common: transactions, what waits, recovery, health."""

    def __init__(self, role: str, slot: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # and of no use to Prometheus
        self.registry = CollectorRegistry()
        self.vitals = Vitals(role, slot)
        self._by_partition: list[Gauge] = []
        ProcessCollector(registry=self.registry)
        self._info = Info(
            "tollbook_process", "Role, slot and version of this process.", registry=self.registry
        )
        self._info.info({"role": role, "slot": slot, "version": version("tollbook")})
        self._last_turn = self._gauge(
            "tollbook_last_turn_timestamp_seconds",
            "When the latest turn began: an old time means that the process is stuck.",
        )
        self._partitions = self._gauge(
            "tollbook_assigned_partitions", "Partitions that this process works on."
        )
        self._unavailable = self._gauge(
            "tollbook_broker_unavailable", "1 while Kafka does not answer."
        )
        self._commit = self._histogram(
            "tollbook_commit_seconds", "Time of a transaction, from its begin to its commit."
        )
        self._commit_failures = self._counter(
            "tollbook_commit_failures_total",
            "Transactions that failed; their inputs are decided again.",
            "reason",
        )
        self._recoveries = self._counter("tollbook_recoveries_total", "Partitions recovered.")
        self._recovery = self._gauge(
            "tollbook_recovery_seconds", "Time of a partition's latest recovery.", "partition"
        )
        self._folded = self._gauge(
            "tollbook_recovery_folded_commits",
            "Commits folded in a partition's latest recovery.",
            "partition",
        )
        self._lag = self._gauge(
            "tollbook_lag_records", "Records that wait to be taken in.", "topic", "partition"
        )
        self._snapshot_failures = self._counter(
            "tollbook_snapshot_failures_total", "Snapshots and indexes that were not written."
        )
        self._reasons = FewValues()

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, buckets=TIME_BUCKETS, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        gauge = Gauge(name, meaning, labels, registry=self.registry)
        if "partition" in labels:
            self._by_partition.append(gauge)
        return gauge

    def turn(self) -> None:
        """Note that the process is alive."""
        self.vitals.turned()
        self._last_turn.set_to_current_time()

    def assigned(self, partitions: Sequence[int]) -> None:
        """Note the partitions, and forget the figures of those that went to another process."""
        for lost in self.vitals.assigned(partitions):
            self._forget(lost)
        self._partitions.set(len(partitions))

    def _forget(self, partition: int) -> None:
        for gauge in self._by_partition:
            for sample in next(iter(gauge.collect())).samples:
                if sample.labels["partition"] == str(partition):
                    gauge.remove(*sample.labels.values())

    def commit_took(self, seconds: float) -> None:
        """Note a transaction's time."""
        self._commit.observe(seconds)

    def commit_failed(self, reason: str) -> None:
        """Count a transaction that failed."""
        self.vitals.dropped()
        self._commit_failures.labels(self._reasons.name(reason)).inc()

    def recovered(self, partition: int, seconds: float, folded: int) -> None:
        """Note a recovery."""
        self.vitals.recovered(partition)
        self._recoveries.inc()
        self._recovery.labels(str(partition)).set(seconds)
        self._folded.labels(str(partition)).set(folded)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Note what waits."""
        self._lag.labels(topic, str(partition)).set(records)

    def snapshot_failed(self, partition: int) -> None:  # noqa: ARG002 - the log names it
        """Count a snapshot or index that could not be written."""
        self._snapshot_failures.inc()

    def unavailable(self, is_away: bool) -> None:
        """Note whether the broker is away."""
        self.vitals.unavailable(is_away)
        self._unavailable.set(is_away)


class WorkerTelemetry(ProcessTelemetry):
    """What a worker tells: what it decided, how fast, and what waits."""

    def __init__(self, slot: str) -> None:
        super().__init__("worker", slot)
        self._usage = self._counter(
            "tollbook_usage_events_total",
            "Usage events decided and committed, by outcome.",
            "outcome",
        )
        self._commands = self._counter(
            "tollbook_commands_total",
            "Account commands decided and committed, by outcome.",
            "outcome",
        )
        self._rejections = self._counter(
            "tollbook_rejections_total", "Usage events and commands rejected, by code.", "code"
        )
        self._suspended = self._counter(
            "tollbook_suspended_lines_total",
            "Charge lines without a price, by reason: usage that nobody pays for yet.",
            "reason",
        )
        self._batch = self._histogram(
            "tollbook_batch_seconds", "Time of deciding and committing what one poll brought."
        )
        self._journal_commit = self._gauge(
            "tollbook_journal_commit",
            "Number of the latest journal commit that this process wrote to a partition.",
            "partition",
        )
        self._identities = self._gauge(
            "tollbook_identities", "Identities in a partition's index, about.", "partition"
        )
        self._snapshot = self._histogram(
            "tollbook_snapshot_seconds", "Time of writing a partition's snapshot."
        )
        self._snapshot_bytes = self._gauge(
            "tollbook_snapshot_bytes", "Size of a partition's latest snapshot.", "partition"
        )
        self._snapshot_time = self._gauge(
            "tollbook_snapshot_timestamp_seconds",
            "When a partition's latest snapshot was written.",
            "partition",
        )
        self._codes, self._suspense = FewValues(), FewValues()
        self._start_outcomes()

    def _start_outcomes(self) -> None:
        """Show every outcome from the start: of a series that appears later, a rate misses one."""
        for outcome in _usage_outcomes(Counts()):
            self._usage.labels(outcome)
        for outcome in _command_outcomes(Counts()):
            self._commands.labels(outcome)

    def decided(self, partition: int, commit: int, counts: Counts) -> None:
        """Count what a commit decided."""
        self.vitals.committed(partition, commit)
        self._journal_commit.labels(str(partition)).set(commit)
        for outcome, events in _usage_outcomes(counts).items():
            self._usage.labels(outcome).inc(events)
        for outcome, commands in _command_outcomes(counts).items():
            self._commands.labels(outcome).inc(commands)

    def rejected(self, code: str) -> None:
        """Count a rejection."""
        self._rejections.labels(self._codes.name(code)).inc()

    def suspended(self, reason: str) -> None:
        """Count a line in suspense."""
        self._suspended.labels(self._suspense.name(reason)).inc()

    def batch_took(self, seconds: float) -> None:
        """Note a batch's time."""
        self._batch.observe(seconds)

    def identities(self, partition: int, size: int) -> None:
        """Note the size of an index."""
        self._identities.labels(str(partition)).set(size)

    def snapshot_took(self, partition: int, seconds: float, size_bytes: int) -> None:
        """Note a snapshot."""
        self._snapshot.observe(seconds)
        self._snapshot_bytes.labels(str(partition)).set(size_bytes)
        self._snapshot_time.labels(str(partition)).set_to_current_time()


class ProjectorTelemetry(ProcessTelemetry):
    """What a projector tells: it decides nothing, so what every process tells is all."""

    def __init__(self, slot: str) -> None:
        super().__init__("projector", slot)


def _usage_outcomes(counts: Counts) -> dict[str, int]:
    return {
        "charge": counts.charges,
        "pending": counts.pending,
        "duplicate": counts.duplicates,
        "rejection": counts.rejections,
        "forwarded": counts.forwarded,
    }


def _command_outcomes(counts: Counts) -> dict[str, int]:
    return {
        "accepted": counts.commands - counts.commands_rejected,
        "rejected": counts.commands_rejected,
    }
