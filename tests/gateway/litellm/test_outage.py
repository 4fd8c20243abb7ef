"""Kafka goes away under a proxy with traffic, the proxy dies meanwhile: each call is charged once."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.adapters.broker import LocalBroker
from engine.adapters.usage_record import read_usage_record
from tests.gateway.litellm.conftest import MakeProxy
from tests.gateway.litellm.proxy import Proxy
from tests.stream.deployment import Deployment, flat, turns_until

pytestmark = [pytest.mark.kafka, pytest.mark.litellm]

LONGEST_CALL_SECONDS = 5.0
"""A call takes milliseconds; one that waited for Kafka would take at least this long."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker that the test may kill."""
    broker = LocalBroker.start(tmp_path / "broker")
    yield broker
    broker.stop()


def answered_calls(proxy: Proxy, number: int) -> list[str]:
    """Make calls, every other one a stream; each must be answered, and at once."""
    calls: list[str] = []
    for n in range(number):
        since = time.monotonic()
        answer = proxy.call("gpt", stream=bool(n % 2))
        assert answer.status == 200, answer.body
        assert time.monotonic() - since < LONGEST_CALL_SECONDS
        calls.append(answer.call_id)
    return calls


def a_moment() -> int:
    """Wait a moment: the proxy does the work."""
    time.sleep(0.2)
    return 0


def usage_calls(deployment: Deployment) -> list[str]:
    """Return the call ids of the usage in Kafka, one per record."""
    calls: list[str] = []
    for record in deployment.read("usage"):
        for fields in read_usage_record(record):
            assert isinstance(fields, dict), fields
            calls.append(fields["event_id"].partition("/")[0])
    return calls


def test_calls_go_on_without_kafka_and_each_is_charged_once_when_it_is_back(
    broker: LocalBroker, topic_prefix: str, new_proxy: MakeProxy
) -> None:
    deployment = Deployment(broker.bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ["acme"])
    deployment.close()
    proxy = new_proxy(broker.bootstrap, topic_prefix)
    proxy.start()
    calls = answered_calls(proxy, 10)
    broker.kill()
    calls += answered_calls(proxy, 30)
    proxy.end(signal.SIGKILL)
    proxy.start()
    calls += answered_calls(proxy, 10)
    broker.restart()
    deployment = Deployment(broker.bootstrap, topic_prefix)
    turns_until(
        a_moment,
        lambda: usage_calls(deployment),
        lambda arrived: set(arrived) >= set(calls),
    )
    calls += answered_calls(proxy, 2)
    proxy.end(signal.SIGTERM)
    arrived = usage_calls(deployment)
    counts = deployment.rate_all(len(arrived))
    charged = [charge.event_id.partition("/")[0] for charge in deployment.charges()]
    deployment.close()
    assert sorted(charged) == sorted(calls)
    assert (counts.consumed, counts.rejections) == (len(arrived), 0)
