"""Authority on a real Kafka: registrations, signatures and times decide before anything is rated."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.adapters.avro.usage import Fields, encode_usage
from engine.adapters.kafka.founding import found_deployment
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.signing import HEADER, sign
from engine.entrypoints.cli.stack import build_worker
from engine.rating.charge import SUSPENSE
from engine.rating.errors import InvalidDocument
from engine.rating.rules import LATEST_REVISION
from engine.settings import WorkerSettings
from engine.telemetry import Telemetry
from tests.stream.deployment import Deployment, flat, turns_until, usage
from tests.stream.sources import KEY, OLD_KEY, codes, key_file, register, registered

pytestmark = pytest.mark.kafka


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix, to_any_source=False)
    found.publish_tariff(flat("1"))
    found.open_accounts("plan", ["acme", "globex"])
    yield found
    found.close()


def now_usage(deployment: Deployment, event_id: str, **fields: object) -> Fields:
    """Return usage of this moment, by the broker's clock."""
    (offset,) = deployment.send_raw("usage", 0, [b""])
    received = [r for r in deployment.read("usage") if (r.partition, r.offset) == (0, offset)]
    return {**usage(event_id), "occurred_at": received[0].appended_at, **fields}


def test_a_new_deployment_takes_usage_of_registered_sources_only(deployment: Deployment) -> None:
    register(deployment, registered("gateway-1", "acme"), registered("gateway-2", "glob*"))
    event = now_usage(deployment, "e0")
    deployment.send_usage(
        [
            {**event, "event_id": "e1"},
            {**event, "event_id": "e2", "source": "unknown"},
            {**event, "event_id": "e3", "account_id": "globex"},
            {**event, "event_id": "e4", "account_id": "globex", "source": "gateway-2"},
            {**event, "event_id": "e5", "occurred_at": event["occurred_at"] + 600_000_000},
            {**event, "event_id": "e6", "occurred_at": event["occurred_at"] - 91 * 86_400_000_000},
        ]
    )
    counts = deployment.rate_all(consumed=7)
    assert codes(deployment) == {
        "": "empty_record",
        "e1": "charged",
        "e2": "unregistered_source",
        "e3": "account_not_allowed",
        "e4": "charged",
        "e5": "occurred_in_future",
        "e6": "charged",
    }
    assert (counts.charges, counts.rejections) == (3, 4)
    late = next(charge for charge in deployment.charges() if charge.event_id == "e6")
    assert [(line.status, line.reason) for line in late.lines] == [(SUSPENSE, "too_late")]
    assert {charge.rules for charge in deployment.charges()} == {LATEST_REVISION}


def test_a_rejected_event_can_be_sent_again_once_its_source_is_registered(
    deployment: Deployment,
) -> None:
    event = now_usage(deployment, "e1")
    deployment.send_usage([event])
    with deployment.worker() as worker:
        deployment.work_until(worker, 2)
        register(deployment, registered("gateway-1", "acme"))
        deployment.send_usage([event])
        deployment.work_until(worker, 3)
    assert [charge.event_id for charge in deployment.charges()] == ["e1"]


def test_a_signed_source_is_believed_only_with_its_signature(
    deployment: Deployment, tmp_path: Path
) -> None:
    keys = key_file(tmp_path / "keys.yaml", gateway_1=(KEY, OLD_KEY))
    register(deployment, registered("gateway-1", "acme", keys=(KEY, OLD_KEY)))
    event = now_usage(deployment, "e0")
    values = {name: encode_usage({**event, "event_id": name}) for name in ("e1", "e2", "e3", "e4")}
    signatures = {
        "e1": [sign(KEY, values["e1"])],
        "e2": [sign(OLD_KEY, values["e2"])],
        "e3": [],
        "e4": [(HEADER, sign(KEY, values["e1"])[1])],
    }
    for name, headers in signatures.items():
        deployment.send_raw("usage", deployment.home("acme"), [values[name]], headers)
    settings = WorkerSettings(source_keys=keys)
    with deployment.worker(settings=settings) as worker:
        deployment.work_until(worker, 5)
    assert codes(deployment) == {
        "": "empty_record",
        "e1": "charged",
        "e2": "charged",
        "e3": "signature_missing",
        "e4": "signature_wrong",
    }


def test_a_worker_without_the_key_of_a_signed_source_stops_before_it_decides(
    deployment: Deployment,
) -> None:
    register(deployment, registered("gateway-1", "acme", keys=(KEY,)))
    value = encode_usage(now_usage(deployment, "e1"))
    deployment.send_raw("usage", 0, [value], [sign(KEY, value)])
    with pytest.raises(InvalidDocument, match="TOLLBOOK_SOURCE_KEYS, source gateway-1"):
        deployment.rate_all(consumed=2)
    assert deployment.charges() == []


def test_founding_a_deployment_again_changes_nothing(deployment: Deployment) -> None:
    before = len(deployment.read("tariffs"))
    found_deployment(deployment.settings, 3, to_any_source=True)
    assert len(deployment.read("tariffs")) == before


def test_a_worker_stops_at_rules_that_it_does_not_have(
    deployment: Deployment, tmp_path: Path
) -> None:
    with KafkaPublisher(deployment.settings) as publisher:
        publisher.rules(LATEST_REVISION + 1)
    worker = build_worker(deployment.settings, WorkerSettings(), tmp_path, Telemetry())
    try:
        with pytest.raises(InvalidDocument, match="upgrade this program"):
            turns_until(worker.turn, lambda: 0, lambda _: False)
    finally:
        worker.close()
        worker._log.close()  # type: ignore[attr-defined]  # noqa: SLF001 - Kafka's
