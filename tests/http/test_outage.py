"""Kafka goes away under the server, and comes back."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.broker import LocalBroker
from engine.adapters.usage_record import read_usage_record
from tests.http.calls import event, problem_of
from tests.http.processes import Running, server
from tests.stream.deployment import Deployment, flat

pytestmark = pytest.mark.kafka
SENDERS = 6
ACCEPTED = 202
ACCOUNTS = [f"acme-{number}" for number in range(20)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker that the test may kill."""
    broker = LocalBroker.start(tmp_path / "broker")
    yield broker
    broker.stop()


def body(sender: int, number: int) -> list[dict[str, Any]]:
    """Return events on every partition."""
    return [event(f"{sender}/{number}/{name}", account_id=name) for name in ACCOUNTS]


def post(running: Running, events: list[dict[str, Any]]) -> Any:
    """Send a body, at a gateway's pace."""
    time.sleep(0.02)
    return running.client.post("/v1/usage", json=events)


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_what_is_not_acknowledged_in_an_outage_is_sent_again_and_charged_once(
    broker: LocalBroker, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = Deployment(broker.bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ACCOUNTS)
    deployment.close()
    is_over, told = threading.Event(), set[tuple[int, str]]()
    with (
        server(deployment.settings, tmp_path) as running,
        ThreadPoolExecutor(SENDERS) as senders,
    ):

        def send(sender: int) -> int:
            """Send one body after another, each until it is taken; return how many."""
            for number in itertools.count():
                while (answer := post(running, body(sender, number))).status_code != ACCEPTED:
                    told.add(problem_of(answer))
                if is_over.is_set():
                    return number + 1
            raise AssertionError

        sending = [senders.submit(send, sender) for sender in range(SENDERS)]
        time.sleep(1)
        broker.kill()  # with requests on their way
        wait_until(lambda: bool(told))
        broker.restart()
        is_over.set()
        counts = [future.result() for future in sending]
    assert told == {(503, "not_acknowledged")}
    deployment = Deployment(broker.bootstrap, topic_prefix)
    written = sum(len(read_usage_record(record)) for record in deployment.read("usage"))
    deployment.rate_all(written)
    charged = [charge.event_id for charge in deployment.charges() if charge.kind == "usage"]
    deployment.close()
    expected = [
        one["event_id"]
        for sender, count in enumerate(counts)
        for number in range(count)
        for one in body(sender, number)
    ]
    assert sorted(charged) == sorted(expected)
