"""The publisher: what it takes is delivered once Kafka is there, and it never waits for that."""

import asyncio
import multiprocessing
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.signing import sign
from engine.gateway import Publisher, PublisherClosed, SpoolFull, UsageRefused, event_id
from engine.rating.errors import InvalidDocument
from tests.gateway.events import PARTITIONS, Shelf, event

PATIENCE_SECONDS = 30.0


def publisher(folder: Path, shelf: Shelf, **more: Any) -> Publisher:
    return Publisher("nowhere:9", "gateway-1", spool=folder / "spool", outlet=shelf, **more)


def test_events_arrive_numbered_in_the_partition_of_their_account(tmp_path: Path) -> None:
    shelf = Shelf()
    with publisher(tmp_path, shelf, publisher="edge") as edge:
        for number in range(200):
            edge.publish(event(f"e{number}", f"tenant-{number % 7}"))
        assert edge.flush(PATIENCE_SECONDS)
        assert edge.stats.delivered == edge.stats.published == 200
    assert sorted(shelf.sequences()) == list(range(1, 201))
    for record in shelf.records:
        assert partition_of(record.key.decode(), PARTITIONS) == record.partition
    for fields in shelf.arrived():
        assert fields["publisher"] == edge.stats.publisher
        assert fields["publisher"].startswith("edge-")
        assert fields["source"] == "gateway-1"


def test_each_record_is_signed_with_the_key(tmp_path: Path) -> None:
    shelf, key = Shelf(), b"a key of thirty-two bytes length!"
    with publisher(tmp_path, shelf, signing_key=key) as edge:
        for number in range(1_200):
            edge.publish(event(f"e{number}", f"tenant-{number % 7}"))
    assert {record.headers for record in shelf.records} == {
        (sign(key, record.value),) for record in shelf.records
    }
    assert len(shelf.arrived()) == 1_200


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    shelf = Shelf()
    with publisher(tmp_path, shelf) as edge:
        edge.publish(event("e1"))
    assert [record.headers for record in shelf.records] == [()]


@pytest.mark.parametrize("key", [b"", b"fifteen bytes.."])
def test_a_key_that_is_too_short_is_refused_before_the_spool_is_taken(
    key: bytes, tmp_path: Path
) -> None:
    with pytest.raises(InvalidDocument, match="signing_key: got 'a key', expected a text of at"):
        publisher(tmp_path, Shelf(), signing_key=key)
    assert not list(tmp_path.iterdir())


def test_events_of_an_account_arrive_in_order(tmp_path: Path) -> None:
    shelf = Shelf()
    with publisher(tmp_path, shelf) as edge:
        for number in range(3_000):
            edge.publish(event(f"e{number}"))
    assert shelf.sequences() == list(range(1, 3_001))


def test_an_outage_holds_events_and_delivers_them_afterwards(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.is_away = True
    with publisher(tmp_path, shelf) as edge:
        edge.publish(event("e1"))
        assert not edge.flush(0.3)
        assert edge.stats.waiting == 1
        assert edge.stats.last_error == "KafkaConnectionError: KafkaConnectionError: away"
        shelf.is_away = False
        assert edge.flush(PATIENCE_SECONDS)
        assert edge.stats.waiting == 0
        assert not edge.stats.last_error
    assert shelf.sequences() == [1]


def test_what_one_process_leaves_the_next_one_delivers(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.is_away = True
    first = publisher(tmp_path, shelf)
    for number in range(10):
        first.publish(event(f"e{number}"))
    assert not first.close(0.1)
    shelf.is_away = False
    with publisher(tmp_path, shelf) as second:
        assert second.flush(PATIENCE_SECONDS)
        second.publish(event("e10"))
    assert shelf.sequences() == list(range(1, 12))


def test_events_that_arrived_before_a_fault_come_again_under_the_same_number(
    tmp_path: Path,
) -> None:
    shelf = Shelf()

    class Torn(Shelf):
        def send(self, records: Any) -> None:
            if len(shelf.records) < 3:
                shelf.records.extend(records)
                raise ConnectionResetError("after it was written")
            shelf.records.extend(records)

    with publisher(tmp_path, Torn()) as edge:
        for number in range(5):
            edge.publish(event(f"e{number}"))
        assert edge.flush(PATIENCE_SECONDS)
    ids = {(each["publisher_sequence"], each["event_id"]) for each in shelf.arrived()}
    assert ids == {(number + 1, f"e{number}") for number in range(5)}


@pytest.mark.parametrize(
    ("malformed", "message"),
    [
        ({"quantities": {"tokens": 1}}, "unknown_kind: quantities: got 'tokens'"),
        ({"occurred_at": "yesterday"}, "invalid_time: occurred_at: got 'yesterday'"),
        ({"account_id": ""}, "missing_field: account_id"),
        ({"source": "gateway-2"}, "invalid_field: source: got 'gateway-2', expected 'gateway-1'"),
        ({"attributes": {"note": "x" * 70_000}}, "record_too_large: event: got 70"),
    ],
)
def test_a_malformed_event_is_refused_and_takes_no_number(
    malformed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    shelf = Shelf()
    with publisher(tmp_path, shelf) as edge:
        with pytest.raises(UsageRefused, match=message):
            edge.publish(event("bad", **malformed))
        edge.publish(event("good"))
        assert edge.stats.refused_events == 1
    assert [(each["event_id"], each["publisher_sequence"]) for each in shelf.arrived()] == [
        ("good", 1)
    ]


def test_a_publisher_numbers_events_itself(tmp_path: Path) -> None:
    shelf = Shelf()
    with publisher(tmp_path, shelf) as edge:
        edge.publish(event("e1", publisher="me", publisher_sequence=77))
    assert shelf.sequences() == [1]


def test_a_full_spool_refuses_at_once_and_keeps_what_it_took(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.is_away = True
    edge = publisher(tmp_path, shelf, max_spool_bytes=2 * 4_096, segment_bytes=4_096)
    taken = 0
    try:
        for number in range(1_000):
            edge.publish(event(f"e{number}"))
            taken += 1
    except SpoolFull:
        assert edge.stats.refused_full == 1
    assert 0 < taken < 1_000
    assert edge.stats.spool_bytes <= 2 * 4_096
    shelf.is_away = False
    assert edge.flush(PATIENCE_SECONDS)
    edge.publish(event("there is room again"))
    assert edge.close()
    assert sorted(set(shelf.sequences())) == list(range(1, taken + 2))


def test_threads_share_a_publisher_and_the_sequence_has_no_gap(tmp_path: Path) -> None:
    shelf = Shelf()
    with publisher(tmp_path, shelf, segment_bytes=64 * 1024) as edge:

        def work(name: str) -> None:
            for number in range(500):
                edge.publish(event(f"{name}-{number}", name))

        threads = [threading.Thread(target=work, args=(f"tenant-{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(shelf.sequences()) == list(range(1, 2_001))
    assert len({each["event_id"] for each in shelf.arrived()}) == 2_000


def test_async_use_delivers_on_exit(tmp_path: Path) -> None:
    shelf = Shelf()

    async def serve() -> None:
        async with publisher(tmp_path, shelf) as edge:
            for number in range(20):
                await edge.apublish(event(f"e{number}"))

    asyncio.run(serve())
    assert shelf.sequences() == list(range(1, 21))


def test_a_closed_publisher_takes_nothing_and_closing_again_is_no_error(tmp_path: Path) -> None:
    edge = publisher(tmp_path, Shelf())
    assert edge.close()
    assert edge.close()
    with pytest.raises(PublisherClosed):
        edge.publish(event("late"))


def _publish_after_fork(edge: Publisher, answer: Any, done: Any) -> None:
    try:
        edge.publish(event("forked"))
    except PublisherClosed:
        answer.put("closed")
    done.wait(PATIENCE_SECONDS)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_write_its_parents_spool(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    shelf = Shelf()
    with publisher(tmp_path, shelf) as edge:
        answer = context.Queue()
        done = context.Event()
        child = context.Process(target=_publish_after_fork, args=(edge, answer, done))
        child.start()
        assert answer.get(timeout=PATIENCE_SECONDS) == "closed"
        edge.publish(event("e1"))
    with publisher(tmp_path, shelf) as successor:  # the child lives and does not hold the spool
        successor.publish(event("e2"))
    done.set()
    child.join()
    assert shelf.sequences() == [1, 2]


@pytest.mark.parametrize("name", ["", "x" * 200, "line\nbreak"])
def test_a_source_must_have_a_printable_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="source"):
        Publisher("nowhere:9", name, spool=tmp_path)


def test_an_address_that_can_not_be_one_is_refused_before_the_spool_is_taken(
    tmp_path: Path,
) -> None:
    with pytest.raises(InvalidDocument, match="bootstrap: got ':::', expected host:port"):
        Publisher(":::", "gateway-1", spool=tmp_path / "spool")
    assert not list(tmp_path.iterdir())


def test_the_first_attempt_of_a_call_has_the_calls_id_and_further_ones_their_own() -> None:
    assert event_id("call-7") == "call-7"
    assert event_id("call-7", 2) == "call-7/2"
