"""Misrouted usage on a real Kafka: passed on once, charged once, with its first time."""

from collections.abc import Iterator

import pytest

from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.forwarded import encode_forwarded
from engine.adapters.kafka.partitioning import partition_of
from engine.rating.usage import Origin, Position
from tests.rating.scenario import at
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

pytestmark = pytest.mark.kafka

HOME = partition_of("acme", PARTITIONS)
WRONG, WRONG_TOO = (HOME + 1) % PARTITIONS, (HOME + 2) % PARTITIONS


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix)
    found.publish_tariff(flat("1"))
    found.open_accounts("plan", ["acme"])
    yield found
    found.close()


def test_usage_on_a_wrong_partition_is_charged_where_its_account_lives(
    deployment: Deployment,
) -> None:
    deployment.send_raw("usage", WRONG, [encode_usage_batch([usage("e1"), usage("e2")])])
    deployment.send_raw("usage", HOME, [encode_usage(usage("e3"))])
    counts = deployment.rate_all(consumed=5)
    assert (counts.charges, counts.forwarded, counts.rejections) == (3, 2, 0)
    assert counts.conserved
    first = {record.partition: record.appended_at for record in deployment.read("usage")}
    charges = {charge.event_id: charge for charge in deployment.charges()}
    assert {e: (c.position.topic, c.position.partition) for e, c in charges.items()} == {
        "e1": ("usage-forwarded", HOME),
        "e2": ("usage-forwarded", HOME),
        "e3": ("usage", HOME),
    }
    assert charges["e1"].received_at == charges["e2"].received_at == first[WRONG]


def test_the_same_event_on_two_partitions_is_charged_once(deployment: Deployment) -> None:
    for partition in (WRONG, HOME, WRONG_TOO, WRONG):
        deployment.send_raw("usage", partition, [encode_usage(usage("e1"))])
    counts = deployment.rate_all(consumed=7)
    assert (counts.charges, counts.forwarded, counts.duplicates) == (1, 3, 3)


def test_a_second_misroute_is_a_rejection(deployment: Deployment) -> None:
    origin = Origin(Position("usage", HOME, 0), at("2026-11-24T09:00:00Z"))
    deployment.send_raw("usage-forwarded", WRONG, [encode_forwarded(origin, usage("e1"))])
    deployment.send_raw("usage-forwarded", HOME, [b"\xc3\x01garbage", encode_usage(usage("e2"))])
    counts = deployment.rate_all(consumed=3)
    assert (counts.charges, counts.forwarded, counts.rejections) == (0, 0, 3)
    assert sorted(rejection.refusal.code for rejection in deployment.rejections()) == [
        "misrouted",
        "unknown_schema",
        "wrong_record_type",
    ]
