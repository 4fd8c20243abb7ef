"""Small records that come to large commits: each event's outcome is journaled, and nothing stops.

A usage record is at most 1 MiB, but what is decided of it can be many times that. Whatever it is,
the partition has to get past it: a record that can be neither charged nor rejected would stop every
account behind it for ever.
"""

import json
from collections.abc import Iterator

import pytest

from engine.adapters.avro.usage import NO_QUANTITIES, encode_usage, encode_usage_batch
from engine.adapters.kafka.partitioning import partition_of
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

pytestmark = pytest.mark.kafka

HOME = partition_of("acme", PARTITIONS)
LIMIT = 1_000


def broken_events(count: int) -> bytes:
    """Return 52 kB of JSON with so many broken events; the record's bytes go with each refusal."""
    return json.dumps([{"no": "event"}] * count).encode() + b" " * 20_000


def events_of_all_kinds(count: int) -> bytes:
    """Return a batch of so many events with one of every kind: each charge has 19 lines."""
    each = dict.fromkeys(NO_QUANTITIES, 1)
    fields = usage("e", provider="p", model="m", source="g", quantities=each)
    return encode_usage_batch([{**fields, "event_id": f"e{n}"} for n in range(count)])


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix)
    found.publish_tariff(flat("1", per=3))
    found.open_accounts("plan", ["acme"])
    yield found
    found.close()


@pytest.mark.parametrize("record", [broken_events(LIMIT), events_of_all_kinds(LIMIT)])
def test_the_largest_batch_that_is_taken_fits_into_a_commit(
    record: bytes, deployment: Deployment
) -> None:
    deployment.send_raw("usage", HOME, [record, encode_usage(usage("good"))])
    counts = deployment.rate_all(LIMIT + 1)
    assert counts.charges + counts.rejections == LIMIT + 1
    assert "good" in {charge.event_id for charge in deployment.charges()}


@pytest.mark.parametrize("record", [broken_events(2_000), events_of_all_kinds(12_000)])
def test_a_larger_batch_is_rejected_as_a_whole_and_stops_nothing(
    record: bytes, deployment: Deployment
) -> None:
    deployment.send_raw("usage", HOME, [record, encode_usage(usage("good"))])
    counts = deployment.rate_all(2)
    assert (counts.charges, counts.rejections) == (1, 1)
    (rejection,) = deployment.rejections()
    assert rejection.refusal.code == "too_many_events"
    assert rejection.size == len(record)
