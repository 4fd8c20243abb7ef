"""Workers that share the load: partitions move between them, and a slot belongs to one process."""

from typing import Any

import pytest

from tests.chaos.processes import wait_until
from tests.chaos.stream import Started, Stream

pytestmark = pytest.mark.kafka

_ROUNDS = 12


def charge_in_rounds(stream: Stream, rounds: int) -> None:
    """Send and wait again and again, so that every partition has at least so many commits."""
    for _ in range(rounds):
        stream.send()
        stream.wait_until_decided()


def recovered(worker: Started) -> list[dict[str, Any]]:
    """Return a worker's recoveries of partitions that had a history."""
    return [each for each in worker.events("partition_recovered") if each["commit"] >= _ROUNDS]


def test_the_new_owner_of_a_partition_goes_on_from_what_the_old_one_kept(stream: Stream) -> None:
    first, second = stream.worker("worker-1"), stream.worker("worker-2")
    charge_in_rounds(stream, _ROUNDS)
    third = stream.worker("worker-3")
    wait_until(lambda: bool(recovered(third)), "the third worker has a partition")
    charge_in_rounds(stream, 2)
    third.stop()
    charge_in_rounds(stream, 2)  # decided by the two that stay
    back = recovered(first) + recovered(second)
    moved = {each["partition"] for each in recovered(third)}
    assert moved
    assert moved <= {each["partition"] for each in back}
    folded = [each["folded"] for each in recovered(third) + back]
    assert max(folded) <= 2, folded
    first.stop()
    second.stop()
    stream.expect_exactly_once()


def test_a_process_whose_slot_another_one_takes_ends_with_a_sentence(stream: Stream) -> None:
    first = stream.worker("worker-1")
    charge_in_rounds(stream, 1)
    second = stream.worker("worker-1")
    wait_until(lambda: first.process.poll() is not None, "the first process has noticed")
    assert first.process.returncode == 1
    assert "a slot that another process uses" in first.log.read_text()
    assert "Traceback" not in first.log.read_text()
    charge_in_rounds(stream, 2)
    second.stop()
    stream.expect_exactly_once()
