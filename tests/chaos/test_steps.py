"""A worker killed or stopped at each step of a transaction: nothing lost, nothing twice."""

import signal

import pytest
from kafka.admin import TransactionState

from engine.adapters.kafka.admin import opened_admin
from engine.adapters.kafka.open_transactions import end_open_transactions
from engine.ports import TopicPartition
from tests.chaos.processes import wait_until
from tests.chaos.stopping_worker import STEPS
from tests.chaos.stream import Stream
from tests.stream.deployment import PARTITIONS

pytestmark = pytest.mark.kafka

_ZOMBIES = [
    step if step == "offsets" else pytest.param(step, marks=pytest.mark.soak) for step in STEPS
]
"""Stopped just before its commit it has most to lose; the others take part in the soak."""


def kill_at(stream: Stream, slot: str, step: str, delay_ms: float = 0.0) -> None:
    """Let a worker kill itself at a step."""
    worker = stream.stopping(slot, step, "SIGKILL", "--delay-ms", str(delay_ms))
    stream.send_until(worker.has_killed_itself, f"{slot} killed itself after {step}")


def test_killed_at_every_step_and_started_again_it_charges_every_event_once(
    stream: Stream,
) -> None:
    """The retry of an aborted transaction charges; that of a committed one does not."""
    for step in STEPS:
        kill_at(stream, "worker-1", step)
    worker = stream.worker("worker-1")
    stream.wait_until_decided()
    worker.stop()
    stream.expect_exactly_once()


def test_the_new_owner_of_a_killed_workers_partition_neither_folds_short_nor_skips(
    stream: Stream,
) -> None:
    """Another slot takes over while the transaction of the dead one is open.

    Recovery ends it, and folds to the end that uncommitted readers see.
    """
    kill_at(stream, "worker-1", "offsets")
    other = stream.worker("worker-2")
    stream.wait_until_decided()
    other.stop()
    stream.expect_exactly_once()


def test_a_transaction_that_a_dead_worker_left_open_is_ended_by_whoever_takes_over(
    stream: Stream,
) -> None:
    kill_at(stream, "worker-1", "offsets")
    settings = stream.deployment.settings
    name = f"{settings.prefix}workers.worker-1"
    with opened_admin(settings) as admin:
        assert admin.describe_transactions([name])[name].state == TransactionState.ONGOING
        end_open_transactions(settings, [TopicPartition("journal", n) for n in range(PARTITIONS)])
        assert admin.describe_transactions([name])[name].state == TransactionState.EMPTY


@pytest.mark.soak
@pytest.mark.parametrize("step", STEPS)
def test_another_slot_takes_over_from_a_worker_killed_at_any_step(
    step: str, stream: Stream
) -> None:
    for slot, other_slot in (("worker-1", "worker-2"), ("worker-2", "worker-3")):
        kill_at(stream, slot, step)
        stream.send()
        other = stream.worker(other_slot)
        stream.wait_until_decided()
        other.stop()
    stream.expect_exactly_once()


@pytest.mark.soak
def test_killed_between_the_markers_of_its_commit_it_is_neither_folded_short_nor_skipped(
    stream: Stream,
) -> None:
    """Swept over the milliseconds in which the broker writes the markers, from slot to slot."""
    for number, delay_ms in enumerate((0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 13)):
        kill_at(stream, f"worker-{number % 2 + 1}", "commit sent", delay_ms)
    worker = stream.worker("worker-3")
    stream.wait_until_decided()
    worker.stop()
    stream.expect_exactly_once()


@pytest.mark.parametrize("step", _ZOMBIES)
def test_a_zombie_that_wakes_past_its_session_timeout_changes_nothing(
    step: str, stream: Stream
) -> None:
    zombie = stream.stopping("worker-1", step, "SIGSTOP")
    stream.send_until(lambda: zombie.is_stopped, f"the worker stopped itself after {step}")
    other = stream.worker("worker-2")
    stream.wait_until_decided()  # which takes all partitions: the session has timed out
    journal = stream.deployment.read("journal")
    zombie.process.send_signal(signal.SIGCONT)
    if step not in ("commit sent", "commit"):  # then its transaction may have been complete
        wait_until(lambda: any(zombie.events("commit_failed")), "the zombie is refused")
    wait_until(lambda: len(zombie.events("partitions_assigned")) > 1, "it has joined again")
    assert stream.deployment.read("journal") == journal
    stream.send(300)
    stream.wait_until_decided()
    zombie.stop()
    other.stop()
    stream.expect_exactly_once()
