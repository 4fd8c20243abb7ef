"""A source that signs: what its publisher sends is charged, what is sent in its name is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.gateway import Publisher
from engine.settings import WorkerSettings
from tests.gateway.events import Shelf, event
from tests.stream.deployment import Deployment
from tests.stream.sources import (
    KEY,
    OLD_KEY,
    codes,
    key_file,
    registered,
    registered_alone,
    this_moment,
)

pytestmark = pytest.mark.kafka

ACCOUNTS = [f"tenant-{number}" for number in range(6)]
"""At home on all three partitions."""


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    sources = [registered("gateway-1", "tenant-*", keys=(KEY, OLD_KEY))]
    with registered_alone(kafka_bootstrap, topic_prefix, ACCOUNTS, *sources) as found:
        yield found


def publish(deployment: Deployment, spool: Path, key: bytes | None, events: list[str]) -> None:
    settings = deployment.settings
    with Publisher(
        settings.bootstrap, "gateway-1", spool=spool, prefix=settings.prefix, signing_key=key
    ) as edge:
        for number, name in enumerate(events):
            edge.publish(event(name, ACCOUNTS[number % 6], occurred_at=this_moment()))
        assert edge.flush(30)


def test_a_worker_charges_what_a_signing_publisher_sends_and_rejects_the_rest(
    deployment: Deployment, tmp_path: Path
) -> None:
    signed = [f"signed-{number}" for number in range(600)]
    publish(deployment, tmp_path / "signed", KEY, signed)
    publish(deployment, tmp_path / "before", OLD_KEY, ["signed with the key of before"])
    publish(deployment, tmp_path / "unsigned", None, ["unsigned"])
    publish(deployment, tmp_path / "forged", b"a key that somebody made up", ["forged"])
    settings = WorkerSettings(source_keys=key_file(tmp_path / "keys", gateway_1=(KEY, OLD_KEY)))
    with deployment.worker(settings=settings) as worker:
        deployment.work_until(worker, len(signed) + 3)
    assert codes(deployment) == {
        **dict.fromkeys(signed, "charged"),
        "signed with the key of before": "charged",
        "unsigned": "signature_missing",
        "forged": "signature_wrong",
    }


def test_what_was_spooled_without_a_key_is_signed_by_the_publisher_that_has_one(
    deployment: Deployment, tmp_path: Path
) -> None:
    away = Shelf()
    away.is_away = True
    with Publisher("nowhere:9", "gateway-1", spool=tmp_path / "spool", outlet=away) as edge:
        edge.publish(event("waits", ACCOUNTS[0], occurred_at=this_moment()))
        assert not edge.close(0)
    publish(deployment, tmp_path / "spool", KEY, ["follows"])
    settings = WorkerSettings(source_keys=key_file(tmp_path / "keys", gateway_1=(KEY, OLD_KEY)))
    with deployment.worker(settings=settings) as worker:
        deployment.work_until(worker, 2)
    assert codes(deployment) == {"waits": "charged", "follows": "charged"}
