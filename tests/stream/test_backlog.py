"""A projector that was away for long: it catches up, however much was journaled meanwhile."""

from collections.abc import Iterator

import pytest

from engine.ports import TopicPartition
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

pytestmark = [pytest.mark.kafka, pytest.mark.soak]

EVENTS = 500_000
ACCOUNTS = [f"tenant-{number}" for number in range(200)]
TURNS = 400
"""Each projects something or joins the group, so this is far more than it takes."""


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix)
    yield found
    found.close()


def test_a_projector_catches_up_with_half_a_million_charges(deployment: Deployment) -> None:
    deployment.publish_tariff(flat("1", per=3))
    deployment.open_accounts("plan", ACCOUNTS)
    deployment.send_usage(
        usage(f"e{number}", ACCOUNTS[number % len(ACCOUNTS)]) for number in range(EVENTS)
    )
    with deployment.worker(max_events=5_000) as worker:
        deployment.work_until(worker, EVENTS)
    names = [TopicPartition("charges", number) for number in range(PARTITIONS)]
    with deployment.projector() as projector:
        for _ in range(TURNS):
            projector.turn()
            if sum(deployment.log.ends(names).values()) > EVENTS:
                break
    assert len(deployment.read("charges")) == EVENTS
    assert deployment.live_balances() == deployment.replayed_balances()
