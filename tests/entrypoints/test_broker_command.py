"""`tollbook broker`: one life of a broker as a person types it, and what goes wrong."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.adapters.broker import LocalBroker, NoBrokerRecorded
from engine.adapters.broker.probe import cluster_id_at
from engine.entrypoints.cli.broker import app

PROGRAM = "from engine.entrypoints.cli.broker import app; app()"


def tollbook_broker(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TOLLBOOK_HOME of the test's own, without a running broker at its end."""
    monkeypatch.setenv("TOLLBOOK_HOME", str(tmp_path))
    yield tmp_path
    try:
        LocalBroker.attach(tmp_path / "broker").kill()
    except NoBrokerRecorded:
        return


@pytest.mark.kafka
def test_a_broker_outlives_the_command_that_started_it_until_it_is_stopped(home: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-c", PROGRAM, "start"], capture_output=True, text=True, check=True
    )
    address = started.stdout.strip()
    assert "started" in started.stderr

    again = tollbook_broker("start")
    assert (again.exit_code, again.stdout.strip()) == (0, address)
    assert "already running" in again.stderr

    status = tollbook_broker("status", "--json")
    told = json.loads(status.stdout)
    assert status.exit_code == 0
    assert told["bootstrap"] == address
    assert told["answering"]
    assert told["folder"] == str(home / "broker")
    assert cluster_id_at(address) == told["cluster_id"]

    stopped = tollbook_broker("stop")
    assert (stopped.exit_code, stopped.stdout) == (0, "")
    assert address in stopped.stderr
    assert cluster_id_at(address) is None

    assert tollbook_broker("status").exit_code == 3
    assert tollbook_broker("stop").exit_code == 3


@pytest.mark.kafka
def test_a_port_that_is_taken_fails_and_says_which(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        result = tollbook_broker("start", "--port", port, "--folder", str(home / "other"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"port {port}" in result.stderr


@pytest.mark.parametrize("command", ["status", "stop"])
def test_where_no_broker_ever_ran_the_exit_code_is_3(command: str, home: Path) -> None:
    result = tollbook_broker(command, "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout) == {
        "running": False,
        "answering": False,
        "folder": str(home / "broker"),
    }


@pytest.mark.parametrize("command", ["start", "stop", "status"])
def test_help_has_an_example_and_the_exit_codes(command: str) -> None:
    text = tollbook_broker(command, "--help").stdout
    assert "Example:" in text
    assert "Exit codes:" in text
