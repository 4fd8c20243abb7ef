"""A worker and a projector as processes that are watched on a port."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.adapters.broker.loopback import free_port
from engine.settings import KafkaSettings
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
