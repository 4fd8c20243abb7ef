"""Telemetry as Prometheus reads it: the figures, and that no label can grow without end."""

from importlib.metadata import version as distribution_version

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from engine.adapters.metrics import (
    MOST_VALUES,
    OTHER,
    TIME_BUCKETS,
    ProcessTelemetry,
    ProjectorTelemetry,
    WorkerTelemetry,
)
from engine.rating.journal import Counts
from engine.telemetry import Telemetry

ALLOWED_LABELS = {
    "partition", "topic", "outcome", "code", "reason", "le", "role", "slot", "version",
}  # fmt: skip


@pytest.fixture
def worker() -> WorkerTelemetry:
    return WorkerTelemetry("worker-1")


def value(telemetry: ProcessTelemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def everything_happens(telemetry: Telemetry) -> None:
    telemetry.turn()
    telemetry.assigned([0, 1])
    telemetry.recovered(0, 1.5, 30)
    telemetry.decided(0, 7, Counts(consumed=5, charges=3, duplicates=1, rejections=1, commands=2))
    telemetry.rejected("unknown_account")
    telemetry.suspended("no_price")
    telemetry.batch_took(0.02)
    telemetry.commit_took(0.004)
    telemetry.commit_failed("CommitFailed")
    telemetry.lag("usage", 0, 12)
    telemetry.identities(0, 1_000)
    telemetry.snapshot_took(0, 0.3, 4_096)
    telemetry.snapshot_failed(0)
    telemetry.unavailable(False)


def test_outcomes_are_counted_commit_by_commit(worker: WorkerTelemetry) -> None:
    worker.decided(0, 1, Counts(consumed=5, charges=3, duplicates=1, rejections=1, commands=2))
    worker.decided(
        1, 1, Counts(consumed=3, charges=2, forwarded=1, commands_rejected=1, commands=1)
    )
    name = "tollbook_usage_events_total"
    assert value(worker, name, outcome="charge") == 5
    assert value(worker, name, outcome="duplicate") == 1
    assert value(worker, name, outcome="rejection") == 1
    assert value(worker, name, outcome="forwarded") == 1
    assert value(worker, "tollbook_commands_total", outcome="accepted") == 2
    assert value(worker, "tollbook_commands_total", outcome="rejected") == 1
    assert value(worker, "tollbook_journal_commit", partition="1") == 1


def test_an_outcome_that_never_happened_is_zero_and_not_missing(worker: WorkerTelemetry) -> None:
    assert value(worker, "tollbook_usage_events_total", outcome="duplicate") == 0
    assert value(worker, "tollbook_commands_total", outcome="rejected") == 0


def test_times_fall_into_buckets_from_a_millisecond_to_the_watchdog(
    worker: WorkerTelemetry,
) -> None:
    worker.commit_took(0.004)
    worker.commit_took(20.0)
    name = "tollbook_commit_seconds_bucket"
    assert (TIME_BUCKETS[0], TIME_BUCKETS[-1]) == (0.001, 30.0)
    assert value(worker, name, le="0.0025") == 0
    assert value(worker, name, le="0.005") == 1
    assert value(worker, name, le="30.0") == 2


def test_a_partition_that_went_to_another_worker_is_not_reported_twice(
    worker: WorkerTelemetry,
) -> None:
    worker.assigned([0, 1])
    for partition in (0, 1):
        worker.lag("usage", partition, 10)
        worker.lag("usage-forwarded", partition, 0)
        worker.identities(partition, 5)
        worker.recovered(partition, 0.1, 2)
    worker.assigned([1])
    assert value(worker, "tollbook_lag_records", topic="usage", partition="0") is None
    assert value(worker, "tollbook_identities", partition="0") is None
    assert value(worker, "tollbook_recovery_seconds", partition="0") is None
    assert value(worker, "tollbook_lag_records", topic="usage", partition="1") == 10
    assert value(worker, "tollbook_assigned_partitions") == 1


def test_a_label_takes_only_so_many_values(worker: WorkerTelemetry) -> None:
    for number in range(MOST_VALUES + 50):
        worker.rejected(f"code_{number}")
    worker.suspended("x" * 500)
    assert value(worker, "tollbook_rejections_total", code=OTHER) == 50
    assert value(worker, "tollbook_suspended_lines_total", reason=OTHER) == 1


@pytest.mark.parametrize("telemetry", [WorkerTelemetry("a"), ProjectorTelemetry("a"), Telemetry()])
def test_every_telemetry_hears_everything(telemetry: Telemetry) -> None:
    everything_happens(telemetry)


@pytest.mark.parametrize("telemetry", [WorkerTelemetry("a"), ProjectorTelemetry("a")])
def test_what_is_exposed_is_valid_named_by_rule_and_labelled_with_little(
    telemetry: ProcessTelemetry,
) -> None:
    everything_happens(telemetry)
    text = generate_latest(telemetry.registry).decode()
    families = [
        f for f in text_string_to_metric_families(text) if not f.name.startswith("process_")
    ]
    assert families
    for family in families:
        assert family.name.startswith("tollbook_")
        assert family.documentation.endswith(".")
        assert {label for sample in family.samples for label in sample.labels} <= ALLOWED_LABELS
        assert not any(sample.name.endswith("_created") for sample in family.samples)


def test_two_processes_of_one_program_do_not_share_figures() -> None:
    first, second = WorkerTelemetry("a"), WorkerTelemetry("b")
    first.commit_failed("CommitFailed")
    assert value(second, "tollbook_commit_failures_total", reason="CommitFailed") is None
    assert (
        value(
            second,
            "tollbook_process_info",
            role="worker",
            slot="b",
            version=distribution_version("tollbook"),
        )
        == 1
    )
