"""Closing while Kafka hangs: the folder is free when `close` returns, and nothing in it is lost.

The thread that Kafka holds up may come back at any later moment. It must not touch the folder then:
another publisher has it.
"""

import gc
import logging
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from engine.adapters.broker import LocalBroker
from engine.gateway import Publisher
from engine.gateway.completeness import Arrivals
from engine.gateway.packing import Outgoing
from engine.gateway.spool import Spool
from engine.settings import KafkaSettings
from tests.chaos.expectations import arrivals
from tests.gateway.events import Shelf, event
from tests.stream.deployment import Deployment, flat

PATIENCE_SECONDS = 60.0
HANGING_SECONDS = 0.3

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""kafka-python 3.0.12 leaves the sockets of a broker that did not answer to the GC."""


@pytest.fixture(autouse=True)
def _every_thread_ends(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Wait for threads that were held up: each must end, and takes its sockets with it."""
    caplog.set_level(logging.CRITICAL + 1, "kafka")  # a kept record would keep the socket
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("tollbook-"):
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
    gc.collect()


class _Swallow(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(65_536):
            pass


@pytest.fixture
def swallowing() -> Iterator[str]:
    """Yield the address of a server that takes what is sent, and never answers."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Swallow) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Held(Shelf):
    """A shelf that holds up whoever sends until it is released, also when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.thread: threading.Thread | None = None
        self._is_reached = threading.Event()
        self._is_released = threading.Event()

    def send(self, records: Sequence[Outgoing]) -> None:
        """Take records late."""
        self.wait()
        super().send(records)

    def wait(self) -> None:
        """Hold up this thread."""
        self.thread = threading.current_thread()
        self._is_reached.set()
        assert self._is_released.wait(PATIENCE_SECONDS)

    def hold(self) -> None:
        """Wait until somebody is held up."""
        assert self._is_reached.wait(PATIENCE_SECONDS)

    def release(self) -> None:
        """Let the thread go on, to its end."""
        self._is_released.set()
        assert self.thread is not None
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()


def publisher(folder: Path, shelf: Shelf) -> Publisher:
    return Publisher("nowhere:9", "gateway-1", spool=folder, outlet=shelf)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    """Yield what holds up the thread of a publisher that was closed with ten events."""
    shelf = Held()
    first = publisher(tmp_path, shelf)
    for number in range(1, 11):
        first.publish(event(f"e{number}"))
    shelf.hold()
    assert not first.close(HANGING_SECONDS)
    yield shelf
    shelf.release()


def test_the_folder_is_free_when_close_returns_although_kafka_never_answers(
    swallowing: str, tmp_path: Path
) -> None:
    first = Publisher(swallowing, "gateway-1", spool=tmp_path)
    for number in range(1, 11):
        first.publish(event(f"e{number}"))
    assert not first.close(HANGING_SECONDS)
    shelf = Shelf()
    with publisher(tmp_path, shelf) as second:
        second.publish(event("e11"))
        assert second.flush(PATIENCE_SECONDS)
    assert shelf.sequences() == list(range(1, 12))
    assert first.stats.waiting == 10


def test_a_thread_that_comes_back_late_moves_nobodys_cursor(held: Held, tmp_path: Path) -> None:
    away = Shelf()
    away.is_away = True
    with publisher(tmp_path, away) as second:
        second.publish(event("e11"))
        held.release()
        assert second.stats.waiting == 11
        assert not second.close(0)
    assert held.sequences()[0] == 1
    shelf = Shelf()
    assert publisher(tmp_path, shelf).close(PATIENCE_SECONDS)
    assert shelf.sequences() == list(range(1, 12))


def test_a_thread_that_comes_back_late_takes_nothing_more(held: Held, tmp_path: Path) -> None:
    shelf = Shelf()
    with publisher(tmp_path, shelf) as second:
        for number in range(11, 1_000):
            second.publish(event(f"e{number}"))
        assert second.flush(PATIENCE_SECONDS)
        held.release()
    assert shelf.sequences() == list(range(1, 1_000))
    assert held.sequences()[-1] <= 10


def test_a_thread_that_connects_late_sends_nothing(tmp_path: Path) -> None:
    class Slow(Held):
        def __call__(self) -> "Slow":
            self.wait()
            return self

    shelf = Slow()
    first = publisher(tmp_path, shelf)
    first.publish(event("e1"))
    shelf.hold()
    assert not first.close(HANGING_SECONDS)
    shelf.release()
    assert shelf.records == []


def test_whoever_waits_for_delivery_is_told_when_the_publisher_closes(tmp_path: Path) -> None:
    shelf, answers = Held(), list[bool]()
    edge = publisher(tmp_path, shelf)
    edge.publish(event("e1"))
    shelf.hold()
    waiting = threading.Thread(target=lambda: answers.append(edge.flush()), daemon=True)
    waiting.start()
    edge.close(HANGING_SECONDS)
    waiting.join(PATIENCE_SECONDS)
    assert answers == [False]
    shelf.release()


def test_a_disk_that_fails_at_the_end_keeps_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Spool) -> bool:
        raise OSError(5, "the disk is gone")

    first = publisher(tmp_path, Shelf())
    first.publish(event("e1"))
    monkeypatch.setattr(Spool, "sync", fail)
    first.close(0)
    monkeypatch.undo()
    shelf = Shelf()
    with publisher(tmp_path, shelf) as second:
        second.publish(event("e2"))
    assert {1, 2} >= set(shelf.sequences()) >= {2}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker that a test may stop with a signal."""
    broker = LocalBroker.start(tmp_path / "broker")
    yield broker
    broker.state.process.send(SIGCONT)
    broker.stop()


@pytest.mark.kafka
def test_what_waited_in_a_broker_that_hung_is_charged_once(
    broker: LocalBroker, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = Deployment(broker.bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ["acme"])
    settings = deployment.settings
    first = kafka_publisher(settings, tmp_path / "spool")
    publish(first, range(100))
    assert first.flush(PATIENCE_SECONDS)
    broker.state.process.send(SIGSTOP)
    publish(first, range(100, 200))
    assert not first.close(HANGING_SECONDS)
    second = kafka_publisher(settings, tmp_path / "spool")
    publish(second, range(200, 300))
    broker.state.process.send(SIGCONT)
    assert second.close(PATIENCE_SECONDS)

    arrived = arrivals(deployment).events
    deployment.rate_all(len(arrived))
    charged = Counter(charge.event_id for charge in deployment.charges())
    assert charged == Counter(f"e{number}" for number in range(300))
    numbers = Arrivals()
    for fields in arrived:
        numbers.add(fields["publisher_sequence"])
    found = numbers.judge("edge")
    assert (found.gaps, found.events) == ((), 300)
    deployment.close()


def kafka_publisher(settings: KafkaSettings, spool: Path) -> Publisher:
    return Publisher(settings.bootstrap, "gateway-1", spool=spool, prefix=settings.prefix)


def publish(edge: Publisher, numbers: range) -> None:
    for number in numbers:
        edge.publish(event(f"e{number}"))
