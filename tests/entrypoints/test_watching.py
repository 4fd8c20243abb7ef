"""Watching what runs: a worker and a projector on a port, an account and alerts on a terminal."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from engine.adapters.broker.loopback import free_port
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.main import app
from engine.rating.command import AccountCommand, IssueGrant, Order, SetLimit
from engine.rating.grant import Grant
from engine.rating.limit import Limit
from engine.rating.money import PICO
from engine.settings import KafkaSettings
from tests.rating.scenario import at
from tests.stream.deployment import Deployment, flat, usage

PATIENCE_SECONDS = 60.0
LOOPBACK = "127.0.0.1"
Process = subprocess.Popen[str]


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    yield deployment
    deployment.close()


@contextmanager
def process(settings: KafkaSettings, home: Path, port: int, *command: str) -> Iterator[Process]:
    environment = {
        **os.environ,
        "TOLLBOOK_BOOTSTRAP": settings.bootstrap,
        "TOLLBOOK_PREFIX": settings.prefix,
        "TOLLBOOK_HOME": str(home),
        "TOLLBOOK_METRICS_PORT": str(port),
    }
    program = [sys.executable, "-m", "engine.entrypoints.cli"]
    started = subprocess.Popen(
        [*program, *command], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.terminate()
        started.communicate(timeout=PATIENCE_SECONDS)


def get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=5) as answer:
        return bytes(answer.read())


def figures(port: int) -> dict[tuple[str, str], float]:
    """Return the figures, summed up by name and outcome, code or topic."""
    sums: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(get(port, "/metrics").decode()):
        for sample in family.samples:
            labels = sample.labels
            label = labels.get("outcome") or labels.get("code") or labels.get("topic") or ""
            sums[sample.name, label] = sums.get((sample.name, label), 0.0) + sample.value
    return sums


def wait_until(done: Callable[[], bool], running: Process) -> None:
    since = time.monotonic()
    while True:
        try:
            if done():
                return
        except (urllib.error.URLError, KeyError, ConnectionError):
            pass
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() - since < PATIENCE_SECONDS
        time.sleep(0.1)


def health(port: int) -> dict[str, Any]:
    return dict(json.loads(get(port, "/health")))


def works(port: int) -> bool:
    """Return whether the process is well and has every partition."""
    shown = health(port)
    return (shown["status"], shown["partitions"]) == ("ok", [0, 1, 2])


@pytest.mark.kafka
def test_a_worker_tells_what_it_decides_and_that_it_is_well(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.publish_tariff(flat("0.01"))
    deployment.open_accounts("plan", ["acme"])
    deployment.send_usage([usage("1"), usage("2"), usage("2")])
    deployment.send_raw("usage", 0, [b"not a record of ours"])
    port = free_port()
    with process(deployment.settings, tmp_path, port, "run", "--slot", "w-1") as worker:
        wait_until(lambda: works(port), worker)
        name = "tollbook_usage_events_total"
        wait_until(lambda: figures(port)[name, "charge"] == 2, worker)
        told = figures(port)
        assert (told[name, "duplicate"], told[name, "rejection"]) == (1, 1)
        assert told["tollbook_commit_seconds_count", ""] >= 1
        assert told["tollbook_assigned_partitions", ""] == 3
        assert told["tollbook_recoveries_total", ""] == 3
        assert told["tollbook_lag_records", "usage"] >= 0
        shown = health(port)
        assert (shown["role"], shown["slot"], shown["partitions"]) == ("worker", "w-1", [0, 1, 2])
        assert sum(shown["commits"].values()) >= 1
        worker.terminate()
        assert worker.wait(timeout=PATIENCE_SECONDS) == 0
        with pytest.raises(urllib.error.URLError):
            get(port, "/live")


@pytest.mark.kafka
def test_a_projector_is_watched_in_the_same_way(deployment: Deployment, tmp_path: Path) -> None:
    port = free_port()
    with process(deployment.settings, tmp_path, port, "project") as projector:
        wait_until(lambda: works(port), projector)
        assert health(port)["role"] == "projector"
        assert figures(port)["tollbook_recoveries_total", ""] == 3


@pytest.mark.kafka
def test_a_port_that_is_taken_stops_the_second_process_with_a_sentence(
    deployment: Deployment, tmp_path: Path
) -> None:
    port = free_port()
    with process(deployment.settings, tmp_path, port, "project") as projector:
        wait_until(lambda: health(port)["role"] == "projector", projector)
        with process(deployment.settings, tmp_path, port, "run") as worker:
            assert worker.wait(timeout=PATIENCE_SECONDS) == 1
            assert worker.stderr is not None
            last = worker.stderr.read().splitlines()[-1]
    assert last.startswith(f"metrics port {LOOPBACK}:{port}: got 'Address already in use'")


BUDGET = Limit("budget", "spend", "account", "", "billing_period", PICO)
TOKENS = Grant("allowance", "tokens", 10 * PICO, at("2026-01-01T00:00:00Z"), None,
               at("2026-01-01T00:00:00Z"))  # fmt: skip


def order(deployment: Deployment, *orders: Order) -> None:
    """Send commands to acme."""
    with KafkaPublisher(deployment.settings) as publisher:
        publisher.commands(
            [AccountCommand(f"order-{o.__class__.__name__}", "acme", "", o) for o in orders]
        )


@contextmanager
def following(deployment: Deployment, home: Path, *command: str, screen: int) -> Iterator[Process]:
    """Run a command whose output goes to a screen (a file descriptor), and leave it by Ctrl-C."""
    environment = {
        **os.environ,
        "TOLLBOOK_BOOTSTRAP": deployment.settings.bootstrap,
        "TOLLBOOK_PREFIX": deployment.settings.prefix,
        "TOLLBOOK_HOME": str(home),
        "COLUMNS": "140",
        "LINES": "60",
    }
    program = [sys.executable, "-m", "engine.entrypoints.cli", *command]
    started = subprocess.Popen(
        program, env=environment, stdout=screen, stderr=subprocess.PIPE, text=True
    )
    try:
        yield started
    except BaseException:
        started.kill()
        started.communicate()
        raise
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=PATIENCE_SECONDS)
    assert (started.returncode, "Traceback" in said) == (0, False), said


@pytest.mark.kafka
def test_a_watched_account_is_a_line_of_json_per_change_in_a_pipe_until_ctrl_c(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.publish_tariff(flat("0.5"))
    deployment.open_accounts("plan", ["acme"])
    order(deployment, IssueGrant(TOKENS))
    deployment.send_usage([usage("1", subject="anna", quantities={"input": 4})])
    deployment.rate_all(1)
    deployment.project_all()

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]

    with (
        (tmp_path / "lines").open("w") as out,
        following(
            deployment, tmp_path, "balance", "acme", "--watch", screen=out.fileno()
        ) as watcher,
    ):
        wait_until(lambda: len(lines()) == 1, watcher)
        deployment.send_usage([usage("2", subject="bert", quantities={"input": 8})])
        deployment.rate_all(2)
        deployment.project_all()
        wait_until(lambda: len(lines()) == 2, watcher)
    before, after = lines()
    assert (before["account_id"], before["due"]) == ("acme", "0")
    assert [bucket["remaining"] for bucket in before["buckets"]] == ["6"]
    assert "exhausted" not in before
    assert (after["due"], after["exhausted"]) == ("1", True)
    by_subject = after["spend"]["by_subject"]["greatest"]
    assert [(spend["name"], spend["amount"]) for spend in by_subject] == [
        ("bert", "1"),
        ("anna", "0"),
    ]
    assert [charge["usage"]["event_id"] for charge in after["last_charges"][:2]] == ["2", "1"]
    assert {alert["code"] for alert in after["alerts"]} == {"bucket_used", "exhausted"}


@pytest.mark.kafka
def test_a_watched_account_moves_on_a_terminal_until_ctrl_c(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.publish_tariff(flat("0.5"))
    deployment.open_accounts("plan", ["acme"])
    order(deployment, IssueGrant(TOKENS))
    mine, theirs = pty.openpty()
    shown = bytearray()

    def look() -> None:
        with suppress(OSError):  # the end, on Linux
            while seen := os.read(mine, 65_536):
                shown.extend(seen)

    def shows(text: str) -> bool:
        return text.encode() in shown

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    with following(deployment, tmp_path, "balance", "acme", "--watch", screen=theirs) as watcher:
        os.close(theirs)
        wait_until(lambda: shows("waiting for a balance of acme"), watcher)
        deployment.send_usage([usage("1", quantities={"input": 4})])
        deployment.rate_all(1)
        deployment.project_all()
        wait_until(lambda: shows("6 tokens"), watcher)
        deployment.send_usage([usage("2", quantities={"input": 8})])
        deployment.rate_all(2)
        deployment.project_all()
        wait_until(lambda: shows("exhausted: nothing remains"), watcher)
    looking.join(timeout=PATIENCE_SECONDS)
    os.close(mine)


@pytest.mark.kafka
def test_alerts_are_listed_and_followed_until_ctrl_c(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.publish_tariff(flat("0.5"))
    deployment.open_accounts("plan", ["acme", "globex"])
    order(deployment, IssueGrant(TOKENS), SetLimit(BUDGET))
    deployment.send_usage([usage("1", quantities={"input": 8}), usage("2", "globex", model="")])
    deployment.rate_all(2)
    deployment.project_all()

    def codes() -> list[str]:
        text = (tmp_path / "lines").read_text()
        return [json.loads(line)["code"] for line in text.splitlines()]

    command = ("alerts", "acme", "--follow", "--json")
    with (
        (tmp_path / "lines").open("w") as out,
        following(deployment, tmp_path, *command, screen=out.fileno()) as follower,
    ):
        wait_until(lambda: codes() == ["bucket_used"], follower)
        deployment.send_usage([usage("3", quantities={"input": 4})])
        deployment.rate_all(3)
        deployment.project_all()
        wait_until(lambda: len(codes()) == 5, follower)
    assert codes()[1:] == ["bucket_used", "exhausted", "limit_ahead", "limit_reached"]
    settings = deployment.settings
    environment = {"TOLLBOOK_BOOTSTRAP": settings.bootstrap, "TOLLBOOK_PREFIX": settings.prefix}
    listed = CliRunner(env=environment).invoke(app, ["alerts", "--kind", "limit", "--limit", "1"])
    assert listed.exit_code == 0, listed.output
    assert "limit_reached" in listed.stdout
    assert "bucket" not in listed.stdout
    assert "the newest 1 of 2" in listed.stderr
