"""`tollbook usage completeness` on a real topic: a lost event is a gap, and the exit code says so."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.main import app
from tests.stream.deployment import Deployment, usage

pytestmark = pytest.mark.kafka


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    yield deployment
    deployment.close()


def completeness(deployment: Deployment, *options: str) -> tuple[int, str]:
    settings = deployment.settings
    environment = {"TOLLBOOK_BOOTSTRAP": settings.bootstrap, "TOLLBOOK_PREFIX": settings.prefix}
    done = CliRunner().invoke(app, ["usage", "completeness", *options], env=environment)
    return done.exit_code, done.stdout


def test_a_lost_event_is_a_gap_a_repeated_one_is_not(deployment: Deployment) -> None:
    with KafkaPublisher(deployment.settings) as publisher:
        for sequence in (1, 2, 2, 3):
            publisher.usage(usage(f"a{sequence}", publisher="whole-1", publisher_sequence=sequence))
        for sequence in (1, 5):
            fields = usage(f"b{sequence}", f"tenant-{sequence}")
            publisher.usage(fields | {"publisher": "torn-1", "publisher_sequence": sequence})
        publisher.usage(usage("c1"))  # of a publisher that does not number
        publisher.usage_record("acme", b"unreadable")
    assert completeness(deployment, "--publisher", "whole")[0] == 0
    code, shown = completeness(deployment)
    assert code == 4
    assert "2-4" in shown
    code, shown = completeness(deployment, "--json")
    assert code == 4
    assert [json.loads(line) for line in shown.splitlines()] == [
        {
            "publisher": "torn-1",
            "events": 2,
            "last_sequence": 5,
            "duplicates": 0,
            "missing": 3,
            "gaps": [{"first": 2, "last": 4}],
        },
        {
            "publisher": "whole-1",
            "events": 3,
            "last_sequence": 3,
            "duplicates": 1,
            "missing": 0,
            "gaps": [],
        },
    ]
    assert completeness(deployment, "--publisher", "nobody")[0] == 3
