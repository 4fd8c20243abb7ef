"""Kafka goes away under the server, and comes back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.broker import LocalBroker
from engine.adapters.usage_record import read_usage_record
from tests.http.calls import event, problem_of
from tests.http.processes import server
from tests.stream.deployment import Deployment, flat

pytestmark = pytest.mark.kafka
SENDERS = 6
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


def test_what_is_not_acknowledged_in_an_outage_is_sent_again_and_charged_once(
    broker: LocalBroker, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = Deployment(broker.bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ACCOUNTS)
    deployment.close()
    with (
        server(deployment.settings, tmp_path) as running,
        ThreadPoolExecutor(SENDERS) as senders,
    ):

        def send(number: int) -> list[Any]:
            bodies = [body(sender, number) for sender in range(SENDERS)]
            return list(senders.map(lambda one: running.client.post("/v1/usage", json=one), bodies))

        assert [response.status_code for response in send(0)] == [202] * SENDERS
        broker.kill()
        for _ in range(2):
            told = [problem_of(response) for response in send(1)]
            assert told == [(503, "not_acknowledged")] * SENDERS
        broker.restart()
        for number in (1, 2):
            assert [response.status_code for response in send(number)] == [202] * SENDERS
    deployment = Deployment(broker.bootstrap, topic_prefix)
    written = sum(len(read_usage_record(record)) for record in deployment.read("usage"))
    deployment.rate_all(written)
    charged = [charge.event_id for charge in deployment.charges() if charge.kind == "usage"]
    deployment.close()
    expected = [one["event_id"] for s in range(SENDERS) for n in range(3) for one in body(s, n)]
    assert sorted(charged) == sorted(expected)
