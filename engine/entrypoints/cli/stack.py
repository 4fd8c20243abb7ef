"""`tollbook run`, `project` and `up`: the long-running processes (`clock` is one more)."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.broker import LocalBroker
from engine.adapters.identities import RocksIdentityIndexes
from engine.adapters.kafka import KafkaInputs, KafkaLog, KafkaTransactions
from engine.adapters.kafka.checking import refuse_wrong_settings
from engine.adapters.kafka.founding import found_deployment
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.topics import cluster_id, create_topics, forget_topics, replication_of
from engine.adapters.metrics import ProjectorTelemetry, WorkerTelemetry
from engine.adapters.signing import Signatures
from engine.adapters.snapshots import FolderSnapshots
from engine.adapters.source_keys import read_keys
from engine.entrypoints.cli.broker import default_folder
from engine.entrypoints.cli.common import (
    Bootstrap,
    configure_logging,
    kafka,
    opened_log,
    partition_count,
    say,
)
from engine.entrypoints.cli.observing import LOOPBACK, MetricsHost, MetricsPort, observed
from engine.settings import KafkaSettings, WorkerSettings, state_folder, worker_settings
from engine.stream.intake import Intake
from engine.stream.keeping import Keeper
from engine.stream.projector import OUTPUT_TOPICS, Projector
from engine.stream.worker import USAGE_TOPICS, Worker
from engine.telemetry import Telemetry
from replay.archive import PrunedLog

LOCAL_CLOCK = "clock --every 10"
"""A person at a terminal sees what is due within seconds."""

WORKER_GROUP = "workers"
PROJECTOR_GROUP = "projectors"

Slot = Annotated[
    str | None,
    typer.Option(help="Stable name of this process in its group.", show_default="TOLLBOOK_SLOT"),
]


def build_worker(
    kafka_settings: KafkaSettings,
    settings: WorkerSettings,
    folder: Path,
    telemetry: Telemetry,
) -> Worker:
    """Wire a worker to Kafka; its caches live in `folder`. InvalidDocument if it may not start."""
    kafka_log = KafkaLog(kafka_settings)
    partitions = partition_count(kafka_log)
    log = PrunedLog(kafka_log, settings.archive) if settings.archive else kafka_log
    return Worker(
        KafkaInputs(
            kafka_settings,
            USAGE_TOPICS,
            group=WORKER_GROUP,
            slot=settings.slot,
            max_records=settings.max_events,
        ),
        log,
        KafkaTransactions(
            kafka_settings,
            slot=f"{WORKER_GROUP}.{settings.slot}",
            timeout_seconds=settings.commit_timeout_seconds,
        ),
        Intake(
            lambda account_id: partition_of(account_id, partitions),
            settings.allowed_attributes,
            Signatures(read_keys(settings.source_keys) if settings.source_keys else {}),
        ),
        Keeper(
            log,
            RocksIdentityIndexes(folder / "identities"),
            FolderSnapshots(folder / "snapshots"),
            telemetry,
            snapshot_seconds=settings.snapshot_seconds,
        ),
        settings,
        telemetry,
    )


def build_projector(
    kafka_settings: KafkaSettings, slot: str, folder: Path, telemetry: Telemetry
) -> Projector:
    """Wire a projector to Kafka; its snapshots live in `folder`."""
    log = KafkaLog(kafka_settings)
    partition_count(log)
    return Projector(
        KafkaInputs(kafka_settings, ["journal"], group=PROJECTOR_GROUP, slot=slot, max_records=200),
        log,
        KafkaTransactions(kafka_settings, slot=f"{PROJECTOR_GROUP}.{slot}", timeout_seconds=30.0),
        FolderSnapshots(folder / "projections"),
        telemetry,
    )


def run_worker(
    bootstrap: Bootstrap = None,
    slot: Slot = None,
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = LOOPBACK,
) -> None:
    """Run a worker: rate usage and write the journal, exactly once, until SIGTERM or Ctrl-C.

    Example: tollbook run --slot worker-1

    Exit codes: 0 stopped cleanly; 1 it could not start, or a setting of Kafka would lose data (the
    message says what to change); 70 a transaction hung and its watchdog ended the process (start it
    again: nothing is lost).
    """
    configure_logging()
    settings = worker_settings()
    if slot:
        settings = settings._replace(slot=slot)
    kafka_settings = kafka(bootstrap)
    refuse_wrong_settings(kafka_settings, WORKER_GROUP)
    telemetry = WorkerTelemetry(settings.slot)
    folder = state_folder(cluster_id(kafka_settings), kafka_settings.prefix)
    with observed(telemetry, metrics_host, metrics_port):
        worker = build_worker(kafka_settings, settings, folder, telemetry)
        _until_stopped(worker.run)


def run_projector(
    bootstrap: Bootstrap = None,
    slot: Annotated[
        str, typer.Option(help="Stable name of this process in its group.")
    ] = "projector-1",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Delete these topics and derive them again.")
    ] = False,
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = LOOPBACK,
) -> None:
    """Derive charges, balances, alerts and rejections from the journal, until SIGTERM or Ctrl-C.

    With --rebuild, the four topics are deleted first and derived again from the journal's start;
    no other projector may run meanwhile.

    Example: tollbook project

    Exit codes: 0 stopped cleanly; 1 it could not start; 70 a transaction hung (start it again).
    """
    configure_logging()
    settings = kafka(bootstrap)
    if rebuild:
        rebuild_outputs(settings)
    refuse_wrong_settings(settings, PROJECTOR_GROUP)
    telemetry = ProjectorTelemetry(slot)
    folder = state_folder(cluster_id(settings), settings.prefix)
    with observed(telemetry, metrics_host, metrics_port):
        projector = build_projector(settings, slot, folder, telemetry)
        _until_stopped(projector.run)


def rebuild_outputs(settings: KafkaSettings) -> None:
    """Delete and create the projected topics and forget how far they were."""
    with opened_log(settings) as log:
        partitions = partition_count(log)
    forget_topics(settings, OUTPUT_TOPICS, PROJECTOR_GROUP)
    create_topics(settings, partitions, replication_of(settings, "journal"), OUTPUT_TOPICS)


def _until_stopped(run: Callable[[threading.Event], None]) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(stop)


@contextmanager
def running(
    settings: KafkaSettings, *commands: str, log: Path | None = None, home: Path | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `tollbook COMMAND` processes; each is stopped, and waited for, at the end.

    Their messages go to `log`, or to this process's stderr; their caches to `home`, or to
    TOLLBOOK_HOME.
    """
    environment = {
        **os.environ,
        "TOLLBOOK_BOOTSTRAP": settings.bootstrap,
        "TOLLBOOK_PREFIX": settings.prefix,
        "TOLLBOOK_METRICS_PORT": "",  # one port cannot serve several processes
        **({"TOLLBOOK_HOME": str(home)} if home else {}),
    }
    program = [sys.executable, "-m", "engine.entrypoints.cli"]
    with ExitStack() as stack:
        errors = stack.enter_context(log.open("ab")) if log else None
        processes = [
            subprocess.Popen([*program, *command.split()], env=environment, stderr=errors)  # noqa: S603 - our own
            for command in commands
        ]
        try:
            yield processes
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=60)


def up(
    partitions: Annotated[int, typer.Option(min=1, help="Of new topics.")] = 4,
) -> None:
    """Run the whole local stack (broker, topics, worker, projector, clock) until Ctrl-C.

    Other commands find the broker by themselves. Data stays for the next time.

    Example: tollbook up

    Exit codes: 0 stopped; 1 a part of it failed.
    """
    broker = LocalBroker.start(default_folder())
    settings = kafka(broker.bootstrap)
    try:
        found_deployment(settings, partitions, to_any_source=True)
        with running(settings, "run", "project", LOCAL_CLOCK) as processes:
            say(f"tollbook is up at {broker.bootstrap}; Ctrl-C stops it")
            say(
                "a new deployment here is open: it takes usage of any source (tollbook source list)"
            )
            typer.echo(broker.bootstrap)
            _wait(processes)
    finally:
        if broker.started_here:
            broker.stop()
        say("stopped")


def _wait(processes: list[subprocess.Popen[bytes]]) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        for process in processes:
            if process.poll() is not None:
                say(f"{process.args!r} ended with exit code {process.returncode}")
                raise typer.Exit(1)
        time.sleep(0.2)
