"""What every command shares: where Kafka is, how to print, how to read times."""

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from engine.adapters.broker import BrokerError, LocalBroker
from engine.adapters.client_log import route_client_log
from engine.adapters.kafka.log import KafkaLog
from engine.entrypoints.cli.broker import default_folder
from engine.rating.errors import InvalidDocument
from engine.rating.period import instant
from engine.settings import KafkaSettings, kafka_settings

EXIT_FAILED = 1
EXIT_NOT_FOUND = 3
EXIT_REJECTED = 4

Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        envvar="TOLLBOOK_BOOTSTRAP",
        show_default="the broker of `tollbook broker start`, if it runs",
        help="Kafka, as host:port.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def say(message: str) -> None:
    """Tell the person something, on stderr."""
    typer.echo(message, err=True)


def kafka(bootstrap: str | None) -> KafkaSettings:
    """Return how to reach Kafka: the option, the environment, or the local broker that runs."""
    if not bootstrap:
        try:
            bootstrap = LocalBroker.attach(default_folder()).bootstrap
        except BrokerError:
            bootstrap = None
    return kafka_settings(bootstrap)


@contextmanager
def opened_log(settings: KafkaSettings) -> Iterator[KafkaLog]:
    """Open a reader of topics, and close it."""
    log = KafkaLog(settings)
    try:
        yield log
    finally:
        log.close()


def partition_count(log: KafkaLog) -> int:
    """Return the deployment's partition count; an error if its topics do not exist."""
    count = log.partitions("journal")
    if not count:
        raise InvalidDocument("topic journal", "none", "the topics of `tollbook topics create`")
    return count


def parse_time(text: str | None, name: str) -> int | None:
    """Return a time option as us UTC; InvalidDocument if it is no RFC 3339 time with a zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDocument(name, text, "a time such as 2026-11-01T00:00:00Z") from error
    if moment.tzinfo is None:
        raise InvalidDocument(name, text, "a time with its zone, such as 2026-11-01T00:00:00Z")
    return instant(moment)


def now() -> int:
    """Return the machine's time as us UTC: a default for options, never for rating."""
    return instant(datetime.now(UTC))


def print_json(value: object) -> None:
    """Print one JSON document on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def print_rows(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, as_json: bool, numbers: str = ""
) -> None:
    """Print rows as JSON lines, or as a table; `numbers` names the columns set to the right."""
    if as_json:
        for row in rows:
            print_json(dict(row))
        return
    right = numbers.split()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Any]:
    """Show a progress bar on stderr when a person watches; yields a function of the steps done."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)


def read_lines(path: Path | None) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of a file, or of stdin for None or ``-``; blank lines skipped."""
    if path is None or str(path) == "-":
        yield from _numbered(sys.stdin)
        return
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as stream:
            yield from _numbered(stream)
    except OSError as error:
        raise InvalidDocument(str(path), error.strerror, "a readable file") from error


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line


class _LogStream(io.TextIOBase):
    """Where events are written. A disk that is full stops no process: what it would tell is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)


def configure_logging() -> None:
    """Log events on stderr: for people on a terminal, JSON everywhere else."""
    renderer: Any = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _LogStream(sys.stderr))),
    )
    route_client_log()


def not_found(message: str) -> typer.Exit:
    """Say that something does not exist and return the exit to raise."""
    say(message)
    return typer.Exit(EXIT_NOT_FOUND)
