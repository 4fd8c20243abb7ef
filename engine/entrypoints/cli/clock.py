"""`tollbook clock`: tells every partition how late it is, because the engine looks at no clock.

What is due when time passes (buckets that expire and open again, months that close, warnings) happens
when an `advance_to` comes, and is worked out from each account's state: twice the same time changes
nothing, so several clocks, or a clock and cron, do no harm. Each tick opens its own connection; a
broker that is away costs a tick and no more.
"""

import signal
import threading
from typing import Annotated

import structlog
import typer
from kafka.errors import KafkaError

from engine.adapters.kafka.publisher import KafkaPublisher, NotAcknowledged
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    configure_logging,
    kafka,
    now,
    parse_time,
    print_rows,
)
from engine.rating.command import AdvanceTo
from engine.rating.errors import InvalidDocument
from engine.rating.period import FIRST_INSTANT, format_instant
from engine.settings import KafkaSettings

_MOST_PAUSE_SECONDS = 10.0
_PATIENCE_SECONDS = 5.0
"""A clock that looks for a broker does not hear that it is to stop."""

_log = structlog.get_logger()


def clock(
    once: Annotated[
        bool, typer.Option("--once", help="Write the time once and end: for cron.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds from one tick to the next.")
    ] = 60.0,
    to: Annotated[
        str | None,
        typer.Option(show_default="now", help="Write this time once and end; it must have come."),
    ] = None,
    principal: Annotated[str, typer.Option(help="Who says so, for the record.")] = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Let time pass for all accounts: write the time to every partition, again and again.

    Buckets expire, roll over and open again, months close and warnings come as of that time. It stops
    cleanly on SIGTERM or Ctrl-C. While Kafka does not answer it says so and tries again.

    Example: tollbook clock --every 60

    Exit codes: 0 written, or stopped cleanly; 1 with --once or --to: Kafka failed; a topic is missing.
    """
    until = parse_time(to, "--to")
    if until is not None and not FIRST_INSTANT <= until <= now():
        raise InvalidDocument("--to", to, "a time from 2000 on that has come")
    settings = kafka(bootstrap)
    if not once and until is None:
        _tick_until_stopped(settings, every, principal)
        return
    at = now() if until is None else until
    row = {"until": format_instant(at), "partitions": advance(settings, at, principal)}
    print_rows(tuple(row), [row], as_json=as_json, numbers="partitions")


def advance(
    settings: KafkaSettings, until: int, principal: str, patience_seconds: float = 30.0
) -> int:
    """Write a time (us UTC) to every partition; return how many there are."""
    with KafkaPublisher(settings, patience_seconds=patience_seconds) as publisher:
        return len(publisher.advance(AdvanceTo(until, principal)))


def _tick_until_stopped(settings: KafkaSettings, every: float, principal: str) -> None:
    configure_logging()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _log.info("clock_started", every_seconds=every)
    while not stop.is_set():
        until = now()
        try:
            partitions = advance(settings, until, principal, _PATIENCE_SECONDS)
        except (KafkaError, NotAcknowledged) as error:
            pause = min(every, _MOST_PAUSE_SECONDS)
            reason = f"{type(error).__name__}: {error}"
            _log.warning("broker_unavailable", reason=reason, pause_seconds=pause)
        else:
            pause = every
            _log.info("time_advanced", until=format_instant(until), partitions=partitions)
        stop.wait(pause)
    _log.info("clock_stopped")
