"""Publishers whose surroundings fail: threads go on, closing ends, and what was taken arrives."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from engine.adapters.kafka.partitioning import partition_of
from engine.gateway import Publisher, record_publisher
from engine.gateway.normalise import Normalised
from engine.gateway.record_publisher import RecordPublisher
from engine.gateway.spool import Spool
from tests.gateway.events import Shelf, event
from tests.gateway.test_record_publisher import PATIENCE_SECONDS, arrived, body, context, until


def publisher(folder: Path, shelf: Shelf) -> Publisher:
    return Publisher("nowhere:9", "gateway-1", spool=folder, outlet=shelf)


@pytest.fixture
def broken_log() -> Iterator[None]:
    """Let nothing be logged: the gateway has set up its structlog wrongly."""

    def broken(*_: Any) -> Any:
        raise KeyError("no such processor")

    structlog.configure(processors=[broken])
    yield
    structlog.reset_defaults()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, type[Exception]], list[int]]:
    """Let a method of every spool fail three times."""

    def fail(name: str, error: type[Exception]) -> list[int]:
        calls: list[int] = []
        method = getattr(Spool, name)

        def called(*arguments: Any) -> Any:
            calls.append(1)
            if len(calls) <= 3:
                raise error("now and then")
            return method(*arguments)

        monkeypatch.setattr(Spool, name, called)
        monkeypatch.setattr("engine.gateway.keeping._FAULT_SECONDS", 0.01)
        return calls

    return fail


@pytest.mark.usefixtures("broken_log")
def test_a_log_that_fails_stops_no_delivery(
    tmp_path: Path,
    failing: Callable[[str, type[Exception]], list[int]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    shelf = Shelf()
    shelf.is_away = True
    failing("sync", OSError)
    with RecordPublisher(publisher(tmp_path, shelf)) as taking:
        taking.publish("nonsense", body(0), context(0))
        taking.publish("openai_chat", body(1), context(1))
        until(lambda: taking.publisher.stats.last_error != "")
        shelf.is_away = False
        until(lambda: arrived(shelf) == ["call-1"])
    assert "no such processor" in capfd.readouterr().err


@pytest.mark.parametrize("error", [OSError, ValueError, MemoryError])
@pytest.mark.parametrize("method", ["sync", "prepare", "read", "acknowledge"])
def test_a_fault_of_the_disk_is_no_end(
    tmp_path: Path,
    failing: Callable[[str, type[Exception]], list[int]],
    method: str,
    error: type[Exception],
) -> None:
    shelf = Shelf()
    calls = failing(method, error)
    with RecordPublisher(publisher(tmp_path, shelf)) as taking:
        taking.publish("openai_chat", body(1), context(1))
        assert taking.publisher.publish(event("e1")) > 0
        until(lambda: len(calls) > 3)
        assert taking.close(PATIENCE_SECONDS)
    assert set(arrived(shelf)) == {"call-1", "e1"}
    assert not taking.publisher.stats.last_error


def test_the_stats_say_that_the_disk_does_not_take_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Spool) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Spool, "sync", refuse)
    monkeypatch.setattr("engine.gateway.keeping._FAULT_SECONDS", 0.01)
    edge = publisher(tmp_path, Shelf())
    edge.publish(event("e1"))
    until(lambda: edge.stats.last_error == "OSError: [Errno 5] Input/output error")
    assert edge.stats.waiting == 1
    monkeypatch.undo()
    assert edge.flush(PATIENCE_SECONDS)
    assert edge.close(PATIENCE_SECONDS)
    assert not edge.stats.last_error


def test_an_outlet_that_can_not_be_closed_is_replaced(tmp_path: Path) -> None:
    class Stuck(Shelf):
        def close(self) -> None:
            raise RuntimeError("it is stuck")

        def send(self, records: Any) -> None:
            super().send(records)
            if len(self.records) == 1:
                raise ConnectionResetError("after it was written")

    shelf = Stuck()
    with publisher(tmp_path, shelf) as edge:
        edge.publish(event("e1"))
        assert edge.flush(PATIENCE_SECONDS)
    assert shelf.sequences() == [1, 1]


def test_the_partitions_are_those_that_the_topic_has_by_then(tmp_path: Path) -> None:
    class Growing(Shelf):
        def partitions(self) -> int:
            return 1 + len(self.records)

    shelf = Growing()
    with publisher(tmp_path, shelf) as edge:
        for number in range(3):
            edge.publish(event(f"e{number}", "acme"))
            assert edge.flush(PATIENCE_SECONDS)
    partitions = [record.partition for record in shelf.records]
    assert partitions == [partition_of("acme", number) for number in (1, 2, 3)]


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def test_a_record_that_is_nested_too_deeply_holds_nothing_up(tmp_path: Path) -> None:
    shelf = Shelf()
    odd = 0
    with RecordPublisher(publisher(tmp_path, shelf)) as taking:
        for depth in range(500, 1_000, 3):
            try:
                taking.publish("nonsense", nested(depth), context(0))
                odd += 1
            except RecursionError:
                break
        taking.publish("openai_chat", body(1), context(1))
        assert taking.close(PATIENCE_SECONDS)
        assert taking.tally.counts["unusable"] == odd > 100
    with RecordPublisher(publisher(tmp_path, shelf)) as again:
        until(lambda: again.tally.counts["unusable"] > 100)
        again.publish("openai_chat", body(2), context(2))
        assert again.close(PATIENCE_SECONDS)
    assert arrived(shelf) == ["call-1", "call-2"]


def test_a_damaged_file_of_what_was_set_aside_holds_nothing_up(tmp_path: Path) -> None:
    shelf = Shelf()
    folder = tmp_path / "records"
    folder.mkdir(parents=True)
    (folder / "unusable.jsonl").write_bytes(b"\xff\0half a line\n[]\n{}\n" + b"{" * 1_000_000)
    with RecordPublisher(publisher(tmp_path, shelf)) as taking:
        taking.publish("openai_chat", body(1), context(1))
        assert taking.close(PATIENCE_SECONDS)
    assert arrived(shelf) == ["call-1"]
    assert (folder / "unusable.damaged").exists()


def test_when_the_time_is_up_no_further_record_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, calls = threading.Event(), list[int]()

    def slow(*_: Any) -> Normalised:
        calls.append(1)
        assert gate.wait(PATIENCE_SECONDS)
        return Normalised((), "an error")

    monkeypatch.setattr(record_publisher, "normalise", slow)
    taking = RecordPublisher(publisher(tmp_path, Shelf()))
    for number in range(100):
        taking.publish("openai_chat", body(number), context(number))
    until(lambda: bool(calls) and taking._spool.synced == 100)  # noqa: SLF001
    closing = threading.Thread(target=taking.close, args=(0.0,), daemon=True)
    closing.start()
    until(taking._giving_up.is_set)  # noqa: SLF001
    gate.set()
    closing.join(PATIENCE_SECONDS)
    assert not closing.is_alive()
    assert len(calls) == 1
    assert taking.waiting >= 99


@pytest.mark.parametrize("makes_records", [False, True])
def test_closing_may_be_asked_for_while_it_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, makes_records: bool
) -> None:
    """As a second signal does, whose handler closes too."""
    edge = publisher(tmp_path, Shelf())
    closing = RecordPublisher(edge) if makes_records else edge
    flush, answers = edge.flush, list[bool]()

    def interrupted(timeout_seconds: float) -> bool:
        answers.append(closing.close())
        return flush(timeout_seconds)

    monkeypatch.setattr(edge, "flush", interrupted)
    edge.publish(event("e1"))
    thread = threading.Thread(target=closing.close, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert len(answers) == 1
    assert edge.stats.waiting == 0


def test_a_close_that_is_interrupted_frees_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> bool:
        raise KeyboardInterrupt

    away, shelf = Shelf(), Shelf()
    away.is_away = True
    first = publisher(tmp_path, away)
    monkeypatch.setattr(first, "flush", interrupted)
    first.publish(event("e1"))
    with pytest.raises(KeyboardInterrupt):
        first.close()
    with publisher(tmp_path, shelf) as second:
        second.publish(event("e2"))
    assert shelf.sequences() == [1, 2]


def _end_child(taking: RecordPublisher) -> None:
    taking.close()
    taking.publisher.flush()
    os._exit(0)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_waits_for_no_thread_of_its_parent(tmp_path: Path) -> None:
    away = Shelf()
    away.is_away = True
    taking = RecordPublisher(publisher(tmp_path, away))
    taking.publisher.publish(event("e1"))
    is_held, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        with taking._closing, taking.publisher._closing:  # noqa: SLF001 - as a thread that closes
            is_held.set()
            is_done.wait(PATIENCE_SECONDS)

    threading.Thread(target=hold, daemon=True).start()
    assert is_held.wait(PATIENCE_SECONDS)
    child = multiprocessing.get_context("fork").Process(target=_end_child, args=(taking,))
    child.start()
    child.join(PATIENCE_SECONDS)
    is_done.set()
    is_alive = child.is_alive()
    child.kill()
    child.join()
    assert not is_alive
    assert not taking.close(0)
