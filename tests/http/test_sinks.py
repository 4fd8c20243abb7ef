"""The contract of `UsageSink`, which the sink on Kafka and the one in memory both pass."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from engine.adapters.kafka.founding import found_deployment
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.usage_record import MAX_RECORD_BYTES, read_usage_record
from engine.http.kafka_sink import KafkaUsageSink
from engine.http.memory_sink import MemoryUsageSink
from engine.http.ports import NotAcknowledged, SinkFull, UsageSink
from engine.ports import LogRecord, TopicPartition
from engine.settings import KafkaSettings
from tests.stream.deployment import usage

PARTITIONS = 3
ROOM = 2_000


class Case(NamedTuple):
    """A sink, and what its topic holds as (partition, event id) in order."""

    sink: UsageSink
    written: Callable[[], list[tuple[int, str]]]


def _kafka_records(log: KafkaLog) -> Iterator[LogRecord]:
    places = [TopicPartition("usage", number) for number in range(PARTITIONS)]
    for place, end in log.ends(places).items():
        yield from log.read(place, 0, end)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "memory":
        sink = MemoryUsageSink(PARTITIONS, most_events=ROOM)
        yield Case(
            sink, lambda: [(sink.partition(e["account_id"]), e["event_id"]) for e in sink.events]
        )
        return
    settings = KafkaSettings(
        request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("topic_prefix")
    )
    found_deployment(settings, PARTITIONS, to_any_source=True)
    log = KafkaLog(settings)
    kafka_sink = KafkaUsageSink(settings, most_waiting=ROOM)

    def written() -> list[tuple[int, str]]:
        found = []
        for record in _kafka_records(log):
            assert len(record.value) <= MAX_RECORD_BYTES
            for fields in read_usage_record(record):
                assert isinstance(fields, dict)
                found.append((record.partition, fields["event_id"]))
        return found

    yield Case(kafka_sink, written)
    kafka_sink.close()
    log.close()


def test_what_is_acknowledged_is_written_once_on_its_accounts_partition(case: Case) -> None:
    events = [usage(f"call-{n}", f"account-{n % 17}") for n in range(ROOM // 2)]
    case.sink.send(events).result(timeout=30)
    expected = [(partition_of(e["account_id"], PARTITIONS), e["event_id"]) for e in events]
    assert sorted(case.written()) == sorted(expected)


def test_an_account_keeps_its_order_over_requests(case: Case) -> None:
    futures = [case.sink.send([usage(f"call-{n:03d}")]) for n in range(100)]
    for future in futures:
        future.result(timeout=30)
    ids = [event_id for _, event_id in case.written()]
    assert ids == sorted(ids)


def test_many_threads_may_send(case: Case) -> None:
    def send(name: int) -> None:
        for n in range(20):
            case.sink.send([usage(f"{name}/{n}", f"account-{name}")]).result(timeout=30)

    threads = [threading.Thread(target=send, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = [event_id for _, event_id in case.written()]
    assert len(written) == len(set(written)) == 160


def test_the_partition_is_the_topics_own(case: Case) -> None:
    assert [case.sink.partition(a) for a in ("acme", "globex", "ünïcode")] == [
        partition_of(a, PARTITIONS) for a in ("acme", "globex", "ünïcode")
    ]


def test_what_there_is_no_room_for_is_not_taken_in_part(case: Case) -> None:
    with pytest.raises(SinkFull):
        case.sink.send([usage(f"call-{n}") for n in range(ROOM + 1)])
    assert case.written() == []


def test_nothing_is_taken_once_it_is_closed(case: Case) -> None:
    case.sink.send([usage("before")]).result(timeout=30)
    case.sink.close()
    with pytest.raises(NotAcknowledged):
        case.sink.send([usage("after")])
    assert [event_id for _, event_id in case.written()] == ["before"]


def test_batches_of_the_longest_texts_stay_below_the_largest_record(case: Case) -> None:
    long = "\U0001f310" * 250
    names = ("subject", "provider", "model", "operation", "region", "trace_id", "publisher")
    texts: dict[str, Any] = dict.fromkeys(names, long)
    events = [usage(f"call-{n}", "acme", parent_event_id=long, **texts) for n in range(300)]
    case.sink.send(events).result(timeout=30)
    assert [event_id for _, event_id in case.written()] == [e["event_id"] for e in events]
