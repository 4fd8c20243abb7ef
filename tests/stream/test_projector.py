"""What the projector makes of a journal, in memory: balances and alerts, each exactly once."""

from engine.adapters.avro.usage import NO_QUANTITIES
from engine.adapters.avro.views import alert_from, balance_from
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.memory import MemoryInputs, MemoryTransactions
from engine.adapters.memory_caches import MemorySnapshots
from engine.ports import LogRecord, TopicPartition, Write
from engine.rating.alert import Alert
from engine.rating.balance import Balance
from engine.rating.command import SetLimit
from engine.rating.ledger import NoIdentities
from engine.rating.limit import Limit
from engine.rating.money import PICO
from engine.rating.tariff_book import TariffBook
from engine.stream.projector import OUTPUT_TOPICS, Projection, Projector
from engine.stream.recovery import from_snapshot
from engine.telemetry import Telemetry
from replay.balances import replay_balances
from tests.properties.memory_deployment import HOMES, PARTITIONS
from tests.rating.scenario import at
from tests.replay.prepaid_deployment import DECEMBER, JOURNAL, Prepaying

NOW = at("2027-01-01T00:00:00Z")
"""Everything in the deployment is received about then."""


def eventful() -> Prepaying:
    """Return a deployment in which a bucket is used up, ends and is limited, and usage waits."""
    deployment = Prepaying(max_commit_bytes=1)
    deployment.give()
    deployment.order(SetLimit(Limit("budget", "spend", "account", "", "billing_period", 5 * PICO)))
    deployment.use("e1", 85)
    deployment.use("e2", 2, quantities={**NO_QUANTITIES, "unexplained": 2})
    deployment.use("e3", 20, day="2026-11-03")
    deployment.void("v1", "e2")
    deployment.advance(DECEMBER)
    deployment.use("e4", 7, occurred_at=NOW)
    deployment.work()
    return deployment


def project(deployment: Prepaying, snapshots: MemorySnapshots, turns: int, size: int) -> None:
    """Let a new projector take some turns with so many commits each."""
    cluster = deployment.cluster
    projector = Projector(
        MemoryInputs(cluster, ["journal"], group="projectors", slot="p-1", max_records=size),
        deployment.log,
        MemoryTransactions(cluster, slot="p-1"),
        snapshots,
        Telemetry(),
        snapshot_seconds=0.0,
    )
    for _ in range(turns):
        projector.turn()
    projector.close()


def topic(deployment: Prepaying, name: str) -> list[LogRecord]:
    """Return what stands in acme's partition of a topic."""
    partition = TopicPartition(name, HOMES["acme"])
    return list(deployment.log.read(partition, 0, deployment.cluster.end(partition)))


def alerts(deployment: Prepaying) -> list[Alert]:
    decoded = [decode(record.value) for record in topic(deployment, "alerts")]
    return [alert_from(found.fields) for found in decoded if isinstance(found, Decoded)]


def newest(deployment: Prepaying) -> Balance:
    decoded = decode(topic(deployment, "balances")[-1].value)
    assert isinstance(decoded, Decoded)
    return balance_from(decoded.fields)


def expected(deployment: Prepaying) -> list[Write]:
    """Return what the journal projects to when it is read once from its beginning."""
    partition, log = JOURNAL.partition, deployment.log
    start = from_snapshot(
        partition,
        log,
        TariffBook(),
        NoIdentities(),
        MemorySnapshots(),
        deployment.cluster.end(JOURNAL),
    )
    projection = Projection(start)
    return [
        write for record in topic(deployment, "journal") for write in projection.project(record)
    ]


def test_thresholds_that_are_crossed_and_suspense_stand_in_the_alerts_topic() -> None:
    deployment = eventful()
    project(deployment, MemorySnapshots(), turns=9, size=100)
    found = alerts(deployment)
    codes = [(alert.kind, alert.code, alert.service_period) for alert in found]
    assert (
        codes
        == [
            ("bucket", "bucket_used", "2026-11"),
            ("suspense", "no_price", "2026-11"),
            ("bucket", "bucket_used", "2026-11"),
            ("bucket", "exhausted", "2026-11"),
            ("limit", "limit_ahead", "2026-11"),
            ("limit", "limit_reached", "2026-11"),
        ]
        or codes
    )
    sequences = [alert.sequence for alert in found]
    assert sequences == sorted(sequences)
    assert len({alert.alert_id for alert in found}) == len(found)


def test_a_live_balance_is_that_of_the_replay_with_buckets_limits_and_states() -> None:
    deployment = eventful()
    project(deployment, MemorySnapshots(), turns=9, size=100)
    shown = newest(deployment)
    assert [shown] == replay_balances(deployment.log, PARTITIONS)
    assert [limit.period for limit in shown.limits] == ["2027-01"]
    assert shown.suspended_lines == 0
    assert shown.buckets


def test_projectors_that_stop_and_start_again_write_what_one_would_once() -> None:
    deployment, snapshots = eventful(), MemorySnapshots()
    for _ in range(12):
        project(deployment, snapshots, turns=3, size=2)
    for name in OUTPUT_TOPICS:
        written = [write.value for write in expected(deployment) if write.topic == name]
        assert [record.value for record in topic(deployment, name)] == written


def test_a_rebuild_without_snapshots_gives_the_same_records() -> None:
    deployment = eventful()
    for _ in range(12):
        project(deployment, MemorySnapshots(), turns=3, size=1)
    for name in OUTPUT_TOPICS:
        written = [write.value for write in expected(deployment) if write.topic == name]
        assert [record.value for record in topic(deployment, name)] == written
