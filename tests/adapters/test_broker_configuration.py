"""One table of settings, in three forms: a local broker's, a container's, compose.yaml's."""

from pathlib import Path

import yaml

from engine.adapters.broker import KAFKA_VERSION
from engine.adapters.broker.configuration import (
    BROKER_SETTINGS,
    Listeners,
    container_environment,
    server_properties,
)

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "compose.yaml").read_text())
KAFKA = COMPOSE["services"]["kafka"]


def test_every_setting_of_the_table_reaches_a_local_broker() -> None:
    written = server_properties(Listeners(20_000, 20_001), Path("data")).splitlines()
    assert {f"{name}={value}" for name, value in BROKER_SETTINGS.items()} <= set(written)


def test_a_local_broker_listens_on_loopback_only() -> None:
    written = server_properties(Listeners(20_000, 20_001), Path("data")).splitlines()
    assert "listeners=PLAINTEXT://127.0.0.1:20000,CONTROLLER://127.0.0.1:20001" in written


def test_a_folder_of_any_name_survives_java_properties() -> None:
    written = server_properties(Listeners(20_000, 20_001), Path("/home/José 😀/data"))
    assert "log.dirs=/home/Jos\\u00e9 \\ud83d\\ude00/data\n" in written


def test_compose_runs_the_same_kafka_with_the_same_settings() -> None:
    assert KAFKA["image"] == f"apache/kafka:{KAFKA_VERSION}"
    environment = {name: str(value) for name, value in KAFKA["environment"].items()}
    assert container_environment().items() <= environment.items()


def test_compose_starts_workers_only_after_the_topics_are_there() -> None:
    for service in ("worker-1", "worker-2", "projector", "archiver"):
        waits = COMPOSE["services"][service]["depends_on"]
        assert waits["init"] == {"condition": "service_completed_successfully"}
    assert COMPOSE["services"]["init"]["depends_on"]["kafka"] == {"condition": "service_healthy"}
