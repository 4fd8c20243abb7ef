"""Measuring the publisher of a gateway: what a request pays, and what one publisher sustains.

A request pays for `publish`: measured call by call, one after another, and paced (with a pause
before each call, so that caches are cold, as they are in a gateway). Once while Kafka is away and
once while it takes everything. Sustained is from the first `publish` to the last acknowledgement.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engine.gateway import Publisher
from engine.settings import KafkaSettings

_NOWHERE = "127.0.0.1:9"
_PACE_SECONDS = 0.0005
_ACCOUNTS = 200
_FLUSH_SECONDS = 120.0
_IMPORT = (
    "import time; since = time.perf_counter(); import engine.gateway; "
    "print((time.perf_counter() - since) * 1000)"
)
_IMPORTS = 5


class Latency(NamedTuple):
    """Microseconds of a call of `publish`."""

    calls: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


class PublisherFigures(NamedTuple):
    """All of it. `events_per_second`: published and acknowledged by Kafka."""

    import_ms: float
    away: Latency
    away_paced: Latency
    present: Latency
    present_paced: Latency
    events: int
    events_per_second: float


def measure_publisher(settings: KafkaSettings, events: int, folder: Path) -> PublisherFigures:
    """Measure a publisher on a deployment, with spools in a folder."""
    with Publisher(_NOWHERE, "bench", spool=folder / "away") as publisher:
        away = _latency(publisher.publish, events)
        away_paced = _latency(publisher.publish, events // 50, _PACE_SECONDS)
        publisher.close(0)
    options = dict(settings.options)
    with Publisher(
        *(settings.bootstrap, "bench"),
        spool=folder / "present",
        prefix=settings.prefix,
        options=options,
    ) as publisher:
        publisher.publish(native_event(0, "first"))
        publisher.flush(_FLUSH_SECONDS)
        rate = _sustained(publisher, events)
        present = _latency(publisher.publish, events)
        publisher.flush(_FLUSH_SECONDS)
        present_paced = _latency(publisher.publish, events // 50, _PACE_SECONDS)
    return PublisherFigures(
        _import_ms(), away, away_paced, present, present_paced, events, events / rate
    )


def native_event(number: int, run: str) -> dict[str, Any]:
    """Return a usage event as gateways make them."""
    return {
        "event_id": f"{run}-{number}",
        "occurred_at": "2026-11-24T09:15:02.120000Z",
        "account_id": f"account-{number % _ACCOUNTS:03d}",
        "subject": f"login-{number % 37}",
        "provider": "openai",
        "model": "gpt-4o",
        "quantities": {"input": 1_000 + number % 977, "cache_read": 512, "output": number % 331},
        "attributes": {"team": "search"},
    }


def _sustained(publisher: Publisher, events: int) -> float:
    """Return the seconds from the first event to the acknowledgement of the last."""
    since = time.perf_counter()
    for number in range(events):
        publisher.publish(native_event(number, "sustained"))
    publisher.flush(_FLUSH_SECONDS)
    return time.perf_counter() - since


def _latency(
    publish: Callable[[dict[str, Any]], None], calls: int, pause_seconds: float = 0.0
) -> Latency:
    took = []
    run = f"{time.time_ns()}"
    for number in range(calls):
        event = native_event(number, run)
        if pause_seconds:
            time.sleep(pause_seconds)
        since = time.perf_counter_ns()
        publish(event)
        took.append(time.perf_counter_ns() - since)
    took.sort()
    return Latency(
        calls,
        took[calls // 2] / 1_000,
        took[calls * 99 // 100] / 1_000,
        took[calls * 999 // 1_000] / 1_000,
        took[-1] / 1_000,
    )


def _import_ms() -> float:
    """Return how long a fresh interpreter takes to import the package; the best of a few."""
    return min(
        float(
            subprocess.run(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(_IMPORTS)
    )
