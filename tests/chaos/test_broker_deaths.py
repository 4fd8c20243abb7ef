"""A broker that dies while a commit is under way: the outcome is unknown, the journal knows it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.adapters.broker import LocalBroker
from engine.adapters.kafka.transactions import EXIT_STUCK
from tests.chaos.processes import DYING_BROKER, wait_until
from tests.chaos.storm import patiently
from tests.chaos.stream import Started, Stream
from tests.stream.deployment import PARTITIONS

pytestmark = [pytest.mark.kafka, *DYING_BROKER]

_HANGING_SECONDS = 240.0
"""A broker may come back without the markers of a commit that it has acknowledged: recovery waits
for a minute, then aborts what hangs and begins again."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker that a test may kill."""
    broker = LocalBroker.start(tmp_path / "broker")
    yield broker
    broker.stop()


@pytest.fixture
def own_stream(broker: LocalBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Stream]:
    stream = Stream(broker.bootstrap, topic_prefix, tmp_path)
    yield stream
    stream.close()


def kill_broker_at(
    stream: Stream, broker: LocalBroker, step: str, delay_ms: float = 0.0
) -> Started:
    """Let a worker kill its broker at a step of its first transaction; start the broker again.

    Returns the worker that went on: its successor, if its watchdog had to end it.
    """
    worker = stream.stopping(
        *("worker-1", step, "SIGKILL", "--process", str(broker.state.process_id)),
        *("--delay-ms", str(delay_ms), "--transaction", "1"),
    )
    wait_until(
        lambda: len(worker.events("partition_recovered")) >= PARTITIONS, "the worker has begun"
    )
    worker.process.send_signal(signal.SIGSTOP)  # so that all usage is there before it decides
    stream.send()
    worker.process.send_signal(signal.SIGCONT)
    wait_until(lambda: not broker.state.process.is_running(), f"the broker died at {step}")
    broker.restart()
    wait_until(
        lambda: (
            worker.process.poll() is not None
            or patiently(stream.deployment.counts).consumed >= len(stream.sent)
        ),
        f"the worker goes on, or its watchdog ends it; see {worker.log}",
        _HANGING_SECONDS,
    )
    if worker.process.poll() is None:
        return worker
    assert worker.process.returncode == EXIT_STUCK, worker.log.read_text()[-2000:]
    return stream.worker("worker-1")


def expect_all_charged_in_the_end(stream: Stream, worker: Started) -> None:
    """Send more to a worker that saw its broker die, stop it, and check everything."""
    patiently(stream.send)
    stream.wait_until_decided()
    worker.stop()
    stream.expect_exactly_once()


def test_a_broker_killed_during_commit_leaves_every_event_charged_once(
    own_stream: Stream, broker: LocalBroker
) -> None:
    worker = kill_broker_at(own_stream, broker, "commit sent", delay_ms=1.0)
    expect_all_charged_in_the_end(own_stream, worker)


@pytest.mark.soak
@pytest.mark.parametrize("step", ["flush", "offsets", "commit"])
def test_a_broker_killed_at_a_step_leaves_every_event_charged_once(
    step: str, own_stream: Stream, broker: LocalBroker
) -> None:
    worker = kill_broker_at(own_stream, broker, step)
    expect_all_charged_in_the_end(own_stream, worker)


@pytest.mark.soak
@pytest.mark.parametrize("first_ms", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
def test_a_broker_killed_within_milliseconds_of_a_commit_leaves_every_event_charged_once(
    first_ms: float, own_stream: Stream, broker: LocalBroker
) -> None:
    """Three deaths each: together they sweep the first twelve milliseconds."""
    for delay_ms in (first_ms, first_ms + 4, first_ms + 9):
        worker = kill_broker_at(own_stream, broker, "commit sent", delay_ms)
        expect_all_charged_in_the_end(own_stream, worker)
