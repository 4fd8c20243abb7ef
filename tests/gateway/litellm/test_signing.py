"""A proxy whose source has keys: it signs what it publishes, and a worker charges that alone."""

import signal
from pathlib import Path

import pytest

from engine.settings import WorkerSettings
from tests.gateway.litellm.conftest import MakeProxy
from tests.rating.scenario import at
from tests.stream.deployment import Deployment, flat, usage
from tests.stream.sources import KEY, codes, key_file, register, registered, this_moment

pytestmark = [pytest.mark.kafka, pytest.mark.litellm]

CALLS = 6


def test_the_calls_of_a_proxy_with_the_key_of_its_source_are_charged(
    kafka_bootstrap: str,
    topic_prefix: str,
    new_proxy: MakeProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment(kafka_bootstrap, topic_prefix, to_any_source=False)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ["acme"])
    register(deployment, registered("litellm", "acme", keys=(KEY,)))
    keys = key_file(tmp_path / "keys.yaml", litellm=(KEY,))
    monkeypatch.setenv("TOLLBOOK_SOURCE_KEYS", str(keys))
    proxy = new_proxy(kafka_bootstrap, topic_prefix)
    proxy.start()
    calls = [proxy.call("gpt", stream=bool(number % 2)).call_id for number in range(CALLS)]
    proxy.end(signal.SIGTERM)
    in_its_name = usage("forged", source="litellm", occurred_at=at(this_moment()))
    deployment.send_usage([in_its_name])
    with deployment.worker(settings=WorkerSettings(source_keys=keys)) as worker:
        deployment.work_until(worker, CALLS + 1)
    found = {name.partition("/")[0]: code for name, code in codes(deployment).items()}
    deployment.close()
    assert found == {**dict.fromkeys(calls, "charged"), "forged": "signature_missing"}
