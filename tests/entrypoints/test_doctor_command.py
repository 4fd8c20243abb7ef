"""`tollbook doctor`, and what starts no worker: each wrong setting on a real Kafka, told in words."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kafka
import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaTimeoutError
from typer.testing import CliRunner

from engine.adapters.kafka.admin import opened_admin
from engine.adapters.kafka.broker_checks import check_open_transactions
from engine.adapters.kafka.checking import check_deployment, refuse_wrong_settings
from engine.adapters.kafka.topics import CONFIGS, create_topics
from engine.entrypoints.cli import doctor
from engine.entrypoints.cli.main import app
from engine.rating.errors import InvalidDocument
from engine.settings import KafkaSettings

PATIENCE_SECONDS = 60.0


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str) -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap, topic_prefix)


@pytest.fixture
def deployment(settings: KafkaSettings) -> KafkaSettings:
    create_topics(settings, 3)
    return settings


def alter(settings: KafkaSettings, name: str, configs: Mapping[str, str]) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, settings.topic(name), configs=dict(configs))
    asked = ConfigResource(ConfigResourceType.TOPIC, settings.topic(name))
    since = time.monotonic()
    with opened_admin(settings) as admin:
        admin.alter_configs([resource])
        while any(
            admin.describe_configs([asked], config_filter="all")["topic"][asked.name][key]["value"]
            != value
            for key, value in configs.items()
        ):
            assert time.monotonic() - since < PATIENCE_SECONDS, configs
            time.sleep(0.05)


def tollbook(home: Path, settings: KafkaSettings | None, *command: str) -> tuple[int, str, str]:
    """Run the command to its end; return exit code, stdout and stderr."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOLLBOOK_")}
    ours = {"TOLLBOOK_HOME": str(home)}
    if settings:
        ours |= {"TOLLBOOK_BOOTSTRAP": settings.bootstrap, "TOLLBOOK_PREFIX": settings.prefix}
    done = subprocess.run(
        [sys.executable, "-m", "engine.entrypoints.cli", *command],
        env={**kept, **ours},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def errors(settings: KafkaSettings) -> list[str]:
    return [found.place for found in check_deployment(settings) if found.level == "error"]


@pytest.mark.kafka
def test_a_new_deployment_is_well_and_both_kinds_of_process_may_start(
    deployment: KafkaSettings, tmp_path: Path
) -> None:
    assert errors(deployment) == []
    refuse_wrong_settings(deployment, "workers")
    refuse_wrong_settings(deployment, "projectors")
    code, out, messages = tollbook(tmp_path, deployment, "doctor", "--all")
    assert (code, messages.count("errors: 0")) == (0, 1)
    assert f"topic {deployment.prefix}journal, retention.ms: -1" in out


@pytest.mark.kafka
def test_each_setting_that_is_altered_is_found_and_refused_until_it_is_put_right(
    deployment: KafkaSettings,
) -> None:
    for name, key, value in [
        ("usage", "retention.ms", "3600000"),
        ("usage-forwarded", "retention.bytes", "1000000"),
        ("accounts", "message.timestamp.type", "CreateTime"),
        ("tariffs", "cleanup.policy", "compact"),
        ("journal", "max.message.bytes", "1048588"),
        ("journal", "unclean.leader.election.enable", "true"),
        ("journal", "min.insync.replicas", "2"),
    ]:
        place = f"topic {deployment.topic(name)}, {key}"
        alter(deployment, name, {key: value})
        assert errors(deployment) == [place]
        with pytest.raises(InvalidDocument, match=rf"^{place}: got '{value}'.*--add-config {key}="):
            refuse_wrong_settings(deployment, "workers")
        right = {"unclean.leader.election.enable": "false", "min.insync.replicas": "1"}
        alter(deployment, name, {key: CONFIGS[name].get(key) or right[key]})
    refuse_wrong_settings(deployment, "workers")


@pytest.mark.kafka
def test_a_worker_does_not_start_on_a_journal_that_deletes_and_says_what_to_run(
    deployment: KafkaSettings, tmp_path: Path
) -> None:
    alter(deployment, "journal", {"retention.ms": "3600000"})
    code, out, messages = tollbook(tmp_path, deployment, "run")
    journal = deployment.topic("journal")
    assert (code, out) == (1, "")
    assert messages.splitlines()[-1] == (
        f"topic {journal}, retention.ms: got '3600000', expected -1. As it is, records are deleted "
        "by age, whether archived or not. Run kafka-configs.sh --alter --entity-type topics "
        f"--entity-name {journal} --add-config retention.ms=-1"
    )
    assert tollbook(tmp_path, deployment, "project")[0] == 1
    code, out, _ = tollbook(tmp_path, deployment, "doctor", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 4
    assert [row["place"] for row in found if row["level"] == "error"] == [
        f"topic {journal}, retention.ms"
    ]


@pytest.mark.kafka
def test_a_topic_that_only_the_projector_writes_stops_the_projector_and_no_worker(
    deployment: KafkaSettings,
) -> None:
    alter(deployment, "rejections", {"max.message.bytes": "1048588"})
    refuse_wrong_settings(deployment, "workers")
    with pytest.raises(InvalidDocument, match=r"rejections, max\.message\.bytes"):
        refuse_wrong_settings(deployment, "projectors")


@pytest.mark.kafka
def test_another_partition_count_is_refused(settings: KafkaSettings, tmp_path: Path) -> None:
    create_topics(settings, 4, names=["usage"])
    create_topics(settings, 3, names=[name for name in CONFIGS if name != "usage"])
    code, _, messages = tollbook(tmp_path, settings, "run")
    assert code == 1
    assert f"topic {settings.topic('usage')}, partitions: got '4', expected 3." in messages
    assert "Never add partitions" in messages


@pytest.mark.kafka
def test_topics_that_are_missing_are_refused_with_the_command_that_makes_them(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    code, _, messages = tollbook(tmp_path, settings, "run")
    assert code == 1
    assert "tollbook topics create" in messages
    assert tollbook(tmp_path, settings, "doctor")[0] == 4


@pytest.fixture
def foreigner(deployment: KafkaSettings) -> Iterator[Any]:
    """Have a consumer of somebody else in the workers' group, with another assignor."""
    consumer = kafka.KafkaConsumer(
        group_id=f"{deployment.prefix}workers",
        partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        **deployment.client(),
    )
    consumer.subscribe([deployment.topic("usage")])
    since = time.monotonic()
    while not consumer.assignment():
        assert time.monotonic() - since < PATIENCE_SECONDS
        consumer.poll(10_000)  # a poll that ends amid a rebalance may lose it (docs/decisions/0003)
    yield consumer
    consumer.close()


@pytest.mark.kafka
def test_a_group_with_another_assignor_is_refused(
    deployment: KafkaSettings,
    foreigner: Any,  # noqa: ARG001 - it only has to be there
    tmp_path: Path,
) -> None:
    code, _, messages = tollbook(tmp_path, deployment, "run")
    group = f"{deployment.prefix}workers"
    assert code == 1
    assert f"group {group}, assignor: got 'roundrobin', expected range." in messages
    assert f"Stop every other consumer of the group {group}" in messages
    code, out, _ = tollbook(tmp_path, deployment, "doctor")
    assert code == 4
    assert f"error    group {group}, assignor: roundrobin, expected range" in out


@pytest.mark.kafka
def test_a_transaction_that_stays_open_is_told(deployment: KafkaSettings) -> None:
    assert errors(deployment) == []  # and every partition has a leader
    producer = kafka.KafkaProducer(transactional_id=f"{deployment.prefix}x", **deployment.client())
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(deployment.topic("journal"), b"open", partition=1)
    producer.flush()
    with opened_admin(deployment) as admin:
        (now,) = check_open_transactions(admin, deployment)
        (later,) = check_open_transactions(admin, deployment, time.time() + 60)
    producer.abort_transaction()
    producer.close()
    assert (now.level, later.level) == ("ok", "warning")
    assert later.value.startswith("partition 1 for ")


def test_a_kafka_that_does_not_answer_as_one_is_told_with_what_was_found_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_kafka(_settings: KafkaSettings) -> None:
        raise KafkaTimeoutError("Unable to bootstrap")

    monkeypatch.setattr(doctor, "refuse_unreachable", not_kafka)
    ran = CliRunner().invoke(app, ["doctor", "--all", "--bootstrap", "127.0.0.1:9"])
    assert ran.exit_code == 1
    assert "ok       Python" in ran.stdout
    assert "error    Kafka: KafkaTimeoutError: Unable to bootstrap" in ran.stdout


@pytest.mark.parametrize("command", [["doctor"], ["doctor", "--json"]])
def test_without_kafka_doctor_checks_the_machine_and_says_where_it_looked(
    command: list[str], tmp_path: Path
) -> None:
    code, out, messages = tollbook(tmp_path, KafkaSettings("127.0.0.1:1"), *command)
    assert code == 1
    assert "127.0.0.1:1: Connection refused" in out
    assert "errors: 1" in messages


def test_without_any_address_doctor_says_which_variable_to_set(tmp_path: Path) -> None:
    code, out, _ = tollbook(tmp_path, None, "doctor")
    assert code == 1
    assert "TOLLBOOK_BOOTSTRAP" in out
