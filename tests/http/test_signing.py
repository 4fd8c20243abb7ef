"""Usage of sources that sign, taken in over HTTP: the server signs for them, and a worker believes it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.http.kafka_sink import KafkaUsageSink
from engine.settings import WorkerSettings
from tests.http.calls import event
from tests.http.processes import server
from tests.rating.scenario import at
from tests.stream.deployment import Deployment, usage
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

ACCOUNTS = [f"acme-{number}" for number in range(20)]


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    sources = [
        registered("gateway-1", "acme-*", keys=(KEY, OLD_KEY)),
        registered("gateway-2", "acme-*", keys=(OLD_KEY,)),
        registered("gateway-3", "acme-*"),
    ]
    with registered_alone(kafka_bootstrap, topic_prefix, ACCOUNTS, *sources) as found:
        yield found


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return key_file(tmp_path / "source-keys.json", gateway_1=(KEY, OLD_KEY), gateway_2=(OLD_KEY,))


def decided(deployment: Deployment, keys: Path, events: int) -> dict[str, str]:
    """Return what a worker with the keys made of so many events."""
    with deployment.worker(settings=WorkerSettings(source_keys=keys)) as worker:
        deployment.work_until(worker, events)
    return codes(deployment)


def post(deployment: Deployment, folder: Path, names: list[str]) -> None:
    """Send events of gateway-1 to a server, which must take them all."""
    body = [
        event(name, account_id=ACCOUNTS[number % 20], occurred_at=this_moment())
        for number, name in enumerate(names)
    ]
    with server(deployment.settings, folder) as running:
        response = running.client.post("/v1/usage", json=body)
        assert response.status_code == 202, response.text


def test_a_worker_charges_what_a_server_with_the_key_of_the_source_takes_in(
    deployment: Deployment, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = [f"signed-{number}" for number in range(100)]
    monkeypatch.setenv("TOLLBOOK_SOURCE_KEYS", str(keys))
    post(deployment, tmp_path, signed)
    monkeypatch.delenv("TOLLBOOK_SOURCE_KEYS")
    post(deployment, tmp_path, ["without a key"])
    assert decided(deployment, keys, 101) == {
        **dict.fromkeys(signed, "charged"),
        "without a key": "signature_missing",
    }


def test_sources_with_keys_of_their_own_share_a_server(deployment: Deployment, keys: Path) -> None:
    texts = json.loads(keys.read_text())
    signing_keys = {name: [key.encode() for key in of] for name, of in texts.items()}
    sink = KafkaUsageSink(
        deployment.settings, linger_ms=100, signing_keys={**signing_keys, "gateway-4": []}
    )
    moment = at(this_moment())
    events = [
        usage(f"{source}/{number}", ACCOUNTS[number % 20], source=source, occurred_at=moment)
        for number in range(100)
        for source in ("gateway-1", "gateway-2", "gateway-3")
    ]
    for future in [sink.send([each]) for each in events]:
        future.result(timeout=30)
    sink.close()
    found = decided(deployment, keys, len(events))
    assert found == {each["event_id"]: "charged" for each in events}
