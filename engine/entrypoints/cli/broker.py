"""`tollbook broker`: a real Kafka on this machine, for a tutorial, a test or an afternoon.

Data goes to stdout and messages to stderr, so that

    export TOLLBOOK_BOOTSTRAP=$(tollbook broker start)

is all it takes. Exit codes: 0 done; 1 it failed, or the broker runs but does not answer; 2 wrong
usage; 3 there is no running broker to show or to stop.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.broker import BrokerError, BrokerStatus, LocalBroker, NoBrokerRecorded

EXIT_FAILED = 1
EXIT_NOT_RUNNING = 3

app = typer.Typer(
    name="broker",
    help="Run a one-node Kafka on this machine, for trials and tests.",
    no_args_is_help=True,
)


def default_folder() -> Path:
    """Return the broker's folder where none is named: under TOLLBOOK_HOME, or the user's home."""
    home = os.environ.get("TOLLBOOK_HOME")
    return (Path(home) if home else Path.home() / ".tollbook") / "broker"


Folder = Annotated[
    Path,
    typer.Option(
        default_factory=default_folder,
        show_default="$TOLLBOOK_HOME/broker, or ~/.tollbook/broker",
        help="Where the broker keeps its data, its logs and its state file.",
        file_okay=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a line.")]
Port = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        show_default="the port it had last time, else a free one",
        help="Listen on this loopback port.",
    ),
]


@app.command()
def start(folder: Folder, port: Port = None, as_json: AsJson = False) -> None:
    """Start the broker and print the address for clients; if it runs already, just print it.

    The first start ever fetches Apache Kafka (45 MB) into a cache; later ones
    need no network. The broker stays on until `tollbook broker stop`.

    Example: export TOLLBOOK_BOOTSTRAP=$(tollbook broker start)

    Exit codes: 0 it answers; 1 it could not be started.
    """
    with _errors_reported(as_json=as_json):
        broker = LocalBroker.start(folder, port=port)
        status = broker.status()
    _print_status(status, broker.folder, as_json=as_json)
    _tell("started" if broker.started_here else "already running")
    _exit_unless_answering(status)


@app.command()
def stop(folder: Folder, as_json: AsJson = False) -> None:
    """Stop the broker; its data stays for the next start.

    Example: tollbook broker stop

    Exit codes: 0 stopped; 1 it could not be stopped; 3 no broker was running.
    """
    with _errors_reported(as_json=as_json):
        broker = LocalBroker.attach(folder)
        was_running = broker.status().running
        broker.stop()
        status = broker.status()
    if as_json:
        _print_status(status, broker.folder, as_json=True)
    if not was_running:
        _tell(status.explanation)
        raise typer.Exit(EXIT_NOT_RUNNING)
    _tell(f"stopped process {broker.state.process_id} at {broker.bootstrap}")


@app.command()
def status(folder: Folder, as_json: AsJson = False) -> None:
    """Print the address of the running broker.

    Example: tollbook broker status --json

    Exit codes: 0 it runs and answers; 1 it runs but does not answer; 3 no broker is running.
    """
    with _errors_reported(as_json=as_json):
        broker = LocalBroker.attach(folder)
        now = broker.status()
    if as_json or now.running:
        _print_status(now, broker.folder, as_json=as_json)
    _tell(now.explanation)
    _exit_unless_answering(now)


def _print_status(now: BrokerStatus, folder: Path, *, as_json: bool) -> None:
    if not as_json:
        typer.echo(now.state.bootstrap)
        return
    record = asdict(now.state) | {
        "running": now.running,
        "answering": now.answering,
        "folder": str(folder),
    }
    typer.echo(json.dumps(record))


def _exit_unless_answering(now: BrokerStatus) -> None:
    if not now.running:
        raise typer.Exit(EXIT_NOT_RUNNING)
    if not now.answering:
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def _errors_reported(*, as_json: bool) -> Iterator[None]:
    """Turn the broker's errors into a message and an exit code; bugs keep their traceback."""
    try:
        yield
    except NoBrokerRecorded as error:
        if as_json:
            nothing = {"running": False, "answering": False, "folder": str(error.folder)}
            typer.echo(json.dumps(nothing))
        _tell(str(error))
        raise typer.Exit(EXIT_NOT_RUNNING) from error
    except BrokerError as error:
        _tell(str(error))
        raise typer.Exit(EXIT_FAILED) from error


def _tell(message: str) -> None:
    typer.echo(f"tollbook broker: {message}", err=True)
