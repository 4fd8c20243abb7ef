"""Rejections on a real Kafka, as an operator sees them: list, mend, send again, and it is charged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.archive import identity_of
from engine.entrypoints.cli.archive_kafka import delete_before
from engine.entrypoints.cli.main import app
from engine.ports import TopicPartition
from engine.settings import WorkerSettings
from replay.archive.archiver import Archiver, Limits
from replay.archive.folder import Archive
from tests.stream.deployment import Deployment, flat
from tests.stream.sources import KEY, registered
from tests.stream.test_sources import now_usage

pytestmark = pytest.mark.kafka

UNKNOWN_SCHEMA = b"\xc3\x01" + bytes(8) + b"body"


class Operator:
    """A person at the command line of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def run(self, *command: str, answer: str = "") -> Result:
        settings = self._deployment.settings
        environment = {
            "TOLLBOOK_BOOTSTRAP": settings.bootstrap,
            "TOLLBOOK_PREFIX": settings.prefix,
            "TOLLBOOK_ARCHIVE": None,
        }
        return CliRunner(env=environment).invoke(app, ["rejections", *command], input=answer)

    def rows(self, *command: str, exit_code: int = 0) -> list[dict[str, Any]]:
        ran = self.run(*command, "--json")
        assert ran.exit_code == exit_code, ran.output
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def states(self) -> dict[str, str]:
        return {row["event_id"]: row["state"] for row in self.rows("list", "--all")}


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix, to_any_source=False)
    found.publish_tariff(flat("1"))
    found.open_accounts("plan", ["acme", "globex"])
    yield found
    found.close()


@pytest.fixture
def operator(deployment: Deployment) -> Operator:
    return Operator(deployment)


def register(deployment: Deployment, source: str = "gateway-1", *keys: bytes) -> None:
    with KafkaPublisher(deployment.settings) as publisher:
        publisher.source(registered(source, "acme", "globex", keys=keys))


def total(deployment: Deployment, topic: str = "usage") -> int:
    return len(deployment.read(topic))


def test_usage_of_an_unregistered_source_is_charged_once_after_the_fix_and_a_redrive(
    deployment: Deployment, operator: Operator
) -> None:
    event = now_usage(deployment, "e1")
    other = {**event, "event_id": "e2", "account_id": "globex"}
    deployment.send_usage([event, {**event, "event_id": "e3"}, other])
    by_code = ("--code", "unregistered_source")
    with deployment.worker() as worker:
        deployment.work_until(worker, 4)
        assert {row["code"] for row in operator.rows("list")} == {
            "empty_record",
            "unregistered_source",
        }
        register(deployment)
        told = operator.rows("redrive", *by_code, "--dry-run")
        assert [row["outcome"] for row in told] == ["would be sent"] * 3
        assert total(deployment) == 4 - 1  # e1 and e3 share a batch
        assert operator.run("redrive", *by_code, answer="n\n").exit_code == 1
        assert total(deployment) == 4 - 1
        told = operator.rows("redrive", *by_code, "--yes")
        assert [row["outcome"] for row in told] == ["sent"] * 3
        counts = deployment.work_until(worker, 7)
        assert (counts.charges, counts.rejections, counts.duplicates) == (3, 4, 0)
        told = operator.rows("redrive", *by_code)  # nothing is open, so nothing is asked
        assert [row["outcome"] for row in told] == ["skipped"] * 3
    assert operator.states() == {"": "open", "e1": "resolved", "e2": "resolved", "e3": "resolved"}
    assert [row["id"] for row in operator.rows("list")] == ["usage/0/0/0"]
    assert sorted(charge.event_id for charge in deployment.charges()) == ["e1", "e2", "e3"]
    assert {charge.position.partition for charge in deployment.charges()} == {
        deployment.home("acme"),
        deployment.home("globex"),
    }
    (counted,) = operator.rows("list", "--by", "code", *by_code)
    assert (counted["open"], counted["resolved"]) == (0, 3)


def test_sending_again_before_the_worker_has_caught_up_gives_duplicates_only(
    deployment: Deployment, operator: Operator
) -> None:
    deployment.send_usage([now_usage(deployment, "e1")])
    with deployment.worker() as worker:
        deployment.work_until(worker, 2)
        register(deployment)
        (rejection,) = operator.rows("list", "--code", "unregistered_source")
        for _ in range(2):
            (told,) = operator.rows("redrive", rejection["id"])
            assert told["outcome"] == "sent"
        counts = deployment.work_until(worker, 4)
    assert (counts.charges, counts.duplicates, counts.rejections) == (1, 1, 2)


def test_one_event_out_of_a_batch_goes_out_alone(
    deployment: Deployment, operator: Operator
) -> None:
    register(deployment)
    event = now_usage(deployment, "e1")
    bad = {**event, "event_id": "e2", "source": "gateway-9"}
    batch = encode_usage_batch([event, bad, {**event, "event_id": "e3"}])
    (offset,) = deployment.send_raw("usage", deployment.home("acme"), [batch])
    with deployment.worker() as worker:
        deployment.work_until(worker, 4)
        register(deployment, "gateway-9")
        operator.rows("redrive", f"usage/{deployment.home('acme')}/{offset}/1")
        counts = deployment.work_until(worker, 5)
    assert (counts.charges, counts.duplicates) == (3, 0)
    assert encode_usage(bad) in [record.value for record in deployment.read("usage")]


def test_bytes_that_nobody_can_read_go_out_as_they_are_and_stay_rejected(
    deployment: Deployment, operator: Operator
) -> None:
    deployment.send_raw("usage", 1, [UNKNOWN_SCHEMA], [("x", b"1")])
    with deployment.worker() as worker:
        deployment.work_until(worker, 1)
        (told,) = operator.rows("redrive", "usage/1/0/0")
        assert told["detail"] == "to usage[1]"
        deployment.work_until(worker, 2)
    first, second = deployment.read("usage")
    assert (second.key, second.value, second.headers) == (first.key, first.value, first.headers)
    assert [row["state"] for row in operator.rows("list")] == ["open", "open"]


def test_what_must_be_signed_is_signed_with_the_key_that_is_given(
    deployment: Deployment, operator: Operator, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(json.dumps({"gateway-1": KEY.decode()}))
    deployment.send_usage([now_usage(deployment, "e1")])
    with deployment.worker(settings=WorkerSettings(source_keys=keys)) as worker:
        deployment.work_until(worker, 2)
        register(deployment, "gateway-1", KEY)
        (told,) = operator.rows("redrive", "--code", "unregistered_source", "--yes", exit_code=4)
        assert told["outcome"] == "not sent"
        assert "signs its records" in told["detail"]
        operator.rows("redrive", "--code", "unregistered_source", "--yes", "--key-file", str(keys))
        deployment.work_until(worker, 3)
    assert [charge.event_id for charge in deployment.charges()] == ["e1"]


def test_an_original_that_kafka_forgot_comes_from_the_archive(
    deployment: Deployment, operator: Operator, tmp_path: Path
) -> None:
    event = now_usage(deployment, "e1")
    home = deployment.home("acme")
    deployment.send_raw("usage", home, [encode_usage(event)])
    deployment.send_raw("usage", home, [encode_usage({**event, "event_id": "e2"})])
    archive = archived(deployment, tmp_path / "archive", consumed=3)
    ids = {row["event_id"]: row["id"] for row in operator.rows("list")}
    pruned = int(ids["e2"].split("/")[2])
    delete_before(deployment.settings, {TopicPartition("usage", home): pruned})
    register(deployment)
    told = operator.rows("redrive", ids["e1"], ids["e2"], exit_code=4)
    assert [row["outcome"] for row in told] == ["not sent", "sent"]
    assert "deleted from Kafka" in told[0]["detail"]
    shown = operator.run("show", ids["e1"])
    assert "give --archive" in shown.stdout
    (told_again,) = operator.rows("redrive", ids["e1"], "--archive", str(archive))
    assert told_again["outcome"] == "sent"
    deployment.rate_all(5)
    assert sorted(charge.event_id for charge in deployment.charges()) == ["e1", "e2"]


def archived(deployment: Deployment, folder: Path, consumed: int) -> Path:
    """Rate everything, archive it, and return the archive's folder."""
    deployment.rate_all(consumed)
    archive = Archive.of(folder, identity_of(deployment.settings, deployment.log))
    with archive.writing():
        assert Archiver(archive, deployment.log, Limits()).catch_up() == []
    return folder


def test_a_rejection_is_shown_with_what_was_sent(
    deployment: Deployment, operator: Operator
) -> None:
    event = now_usage(deployment, "e1", subject="\x1b[31m")
    home = deployment.home("acme")
    offsets = deployment.send_raw("usage", home, [encode_usage(event), UNKNOWN_SCHEMA, b'{"a": 1}'])
    deployment.rate_all(4)
    texts = [operator.run("show", f"usage/{home}/{offset}/0").stdout for offset in offsets]
    assert f"rejection usage/{home}/{offsets[0]}/0: open" in texts[0]
    assert "unprintable_text" in texts[0]
    assert '"event_id": "e1"' in texts[0]
    assert "whole, in its topic" in texts[0]
    assert "\x1b" not in texts[0]
    assert f"bytes:\n{UNKNOWN_SCHEMA.hex()}" in texts[1]
    assert '"a": 1' in texts[2]
    (document,) = operator.rows("show", f"usage/{home}/{offsets[0]}/0")
    assert document["original"]["json"]["event_id"] == "e1"
    assert document["original"]["in_topic"] is True
    assert "e1" in operator.run("list").stdout


@pytest.mark.parametrize("name", ["usage/0/99/0", "usage/0", "nothing"])
def test_an_id_that_is_none_is_not_found(operator: Operator, name: str) -> None:
    for command in ("show", "redrive"):
        ran = operator.run(command, name)
        assert ran.exit_code == 3, ran.output


def test_ids_or_a_code_must_be_given_and_not_both(operator: Operator) -> None:
    assert operator.run("redrive").exit_code == 2
    assert operator.run("redrive", "usage/0/0/0", "--code", "empty_record").exit_code == 2
    assert operator.run("redrive", "--code", "empty_record", "--yes").exit_code == 3


def test_ids_that_are_not_found_do_not_keep_the_others_back(
    deployment: Deployment, operator: Operator
) -> None:
    deployment.send_raw("usage", 1, [b"junk"])
    deployment.rate_all(1)
    (told,) = operator.rows("redrive", "usage/1/0/0", "usage/1/7/0", "junk", exit_code=4)
    assert (told["id"], told["outcome"]) == ("usage/1/0/0", "sent")
