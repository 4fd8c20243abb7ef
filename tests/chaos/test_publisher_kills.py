"""A gateway killed at random moments while Kafka goes down and comes back.

What must hold: every event for which `publish` returned is charged exactly once, and the publisher's
numbers, which outlive every kill, have no gap.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.adapters.broker import LocalBroker
from engine.gateway.completeness import Arrivals as Numbers
from tests.chaos.expectations import arrivals, expect_verified
from tests.chaos.processes import DYING_BROKER, TOLLBOOK, kill, start, stop, wait_until
from tests.chaos.storm import patiently
from tests.chaos.stream import ACCOUNTS, Stream

pytestmark = [pytest.mark.kafka, *DYING_BROKER]

_SEED = 7
_LIVES = 8
_LONGEST_LIFE_SECONDS = 1.5
_DEATHS_OF_KAFKA = {2: "killed", 4: "started", 5: "killed", 6: "started"}
"""Before which life of the gateway the broker dies, or comes back."""


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


class Gateway:
    """A gateway process and what it has noted."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._taken = stream.folder / "taken"

    def start(self) -> "subprocess.Popen[bytes]":
        """Begin a life, some numbers behind the last: the one under way at a kill is unknown."""
        before = len(self.taken())
        first = max(self.taken(), default=-2) + 2
        process = start(
            self._stream.deployment.settings,
            str(self._stream.folder / "spool"),
            str(self._taken),
            str(first),
            *ACCOUNTS,
            log=self._stream.folder / "gateway.log",
            module="tests.chaos.publishing_gateway",
        )
        wait_until(lambda: len(self.taken()) > before, "the gateway publishes")
        return process

    def taken(self) -> list[int]:
        """Return the numbers of events for which publish returned; a cut line is not one."""
        if not self._taken.exists():
            return []
        *whole, _ = self._taken.read_bytes().split(b"\n")
        return [int(line) for line in whole]


def test_a_gateway_killed_while_kafka_comes_and_goes_has_every_event_charged_once(
    own_stream: Stream, broker: LocalBroker
) -> None:
    chance = random.Random(_SEED)  # noqa: S311 - a repeatable test, no secret
    gateway = Gateway(own_stream)
    for life in range(_LIVES):
        match _DEATHS_OF_KAFKA.get(life):
            case "killed":
                broker.kill()
            case "started":
                broker.restart()
        process = gateway.start()
        time.sleep(chance.uniform(0, _LONGEST_LIFE_SECONDS))
        kill(process)
    last = gateway.start()
    assert stop(last) == 0, (own_stream.folder / "gateway.log").read_text()[-3000:]

    taken = gateway.taken()
    worker = own_stream.worker("worker-1")
    arrived = patiently(lambda: arrivals(own_stream.deployment)).events
    wait_until(
        lambda: patiently(own_stream.deployment.counts).consumed >= len(arrived),
        "everything that arrived is decided",
    )
    worker.stop()
    charged = Counter(charge.event_id for charge in own_stream.deployment.charges())
    assert set(charged.values()) == {1}
    assert {f"e{number}" for number in taken} <= charged.keys()
    assert charged.keys() == {fields["event_id"] for fields in arrived}
    assert own_stream.deployment.rejections() == []
    expect_verified(own_stream.deployment)
    expect_no_gap(own_stream, len(charged))


def expect_no_gap(stream: Stream, events: int) -> None:
    """Check the numbers in the topic, here and with the command; each number is of one event."""
    numbers = Numbers()
    owners: dict[int, str] = {}
    for fields in arrivals(stream.deployment).events:
        numbers.add(fields["publisher_sequence"])
        owner = owners.setdefault(fields["publisher_sequence"], fields["event_id"])
        assert owner == fields["event_id"]
    found = numbers.judge("edge")
    assert (found.gaps, found.events) == ((), events)
    settings = stream.deployment.settings
    done = subprocess.run(
        [sys.executable, "-m", TOLLBOOK, "usage", "completeness", "--json", "--publisher", "edge"],
        env={"TOLLBOOK_BOOTSTRAP": settings.bootstrap, "TOLLBOOK_PREFIX": settings.prefix},
        capture_output=True,
        text=True,
        check=True,
    )
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["events"], row["missing"], row["gaps"]) == (events, 0, [])
