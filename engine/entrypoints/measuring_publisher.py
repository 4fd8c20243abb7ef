"""Measuring the publisher of a gateway: what a request pays, and what one publisher sustains.

A request pays for `publish`, of an event or of a record: measured call by call, one after another,
and paced (with a pause before each call, so that caches are cold, as they are in a gateway). Once
while Kafka is away and once while it takes everything. Sustained is from the first `publish` of an
event to the last acknowledgement.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from engine.gateway import Publisher
from engine.gateway.normalise import Context
from engine.gateway.record_publisher import RecordPublisher
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
    """All of it. `events_per_second`: published and acknowledged by Kafka.

    `latency`: by what is published (event, record), whether Kafka is there, and the pace.
    """

    import_ms: float
    latency: dict[str, Latency]
    events: int
    events_per_second: float


def measure_publisher(settings: KafkaSettings, events: int, folder: Path) -> PublisherFigures:
    """Measure a publisher on a deployment, with spools in a folder."""
    away = settings._replace(bootstrap=_NOWHERE)
    with RecordPublisher(_publisher(away, folder / "away")) as records:
        latency = _latencies("Kafka away", records, events)
        records.close(0)
    with RecordPublisher(_publisher(settings, folder / "there")) as records:
        records.publisher.publish(native_event(0, "first"))
        records.publisher.flush(_FLUSH_SECONDS)
        seconds = _sustained(records.publisher, events)
        latency |= _latencies("Kafka there", records, events)
        records.close(_FLUSH_SECONDS)
    return PublisherFigures(_import_ms(), latency, events, events / seconds)


def _publisher(settings: KafkaSettings, folder: Path) -> Publisher:
    options = dict(settings.options)
    return Publisher(
        settings.bootstrap, "bench", spool=folder, prefix=settings.prefix, options=options
    )


def _latencies(kafka: str, records: RecordPublisher, events: int) -> dict[str, Latency]:
    """Return what a call costs, of events and, a tenth as many, of records."""
    run = f"{time.time_ns()}"

    def event(number: int) -> Callable[[], object]:
        return partial(records.publisher.publish, native_event(number, run))

    def record(number: int) -> Callable[[], object]:
        about = Context(f"account-{number % _ACCOUNTS:03d}", "bench", f"{run}-record-{number}")
        return partial(records.publish, "openai_chat", answer(number), about)

    found = {}
    for what, call, calls in (("event", event, events), ("record", record, events // 10)):
        found[f"{what}, {kafka}, one after another"] = _latency(call, calls)
        while records.waiting:
            time.sleep(_PACE_SECONDS)
        found[f"{what}, {kafka}, 0.5 ms apart"] = _latency(call, events // 50, _PACE_SECONDS)
    return found


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


def answer(number: int) -> dict[str, Any]:
    """Return what a provider's answer says of usage."""
    usage = {
        "prompt_tokens": 1_000 + number % 977,
        "completion_tokens": number % 331,
        "total_tokens": 1_000 + number % 977 + number % 331,
        "prompt_tokens_details": {"cached_tokens": 512},
    }
    about = {"object": "chat.completion", "created": 1764000000, "model": "gpt-4o"}
    return {"id": f"chatcmpl-{number}", **about, "usage": usage}


def _sustained(publisher: Publisher, events: int) -> float:
    """Return the seconds from the first event to the acknowledgement of the last."""
    since = time.perf_counter()
    for number in range(events):
        publisher.publish(native_event(number, "sustained"))
    publisher.flush(_FLUSH_SECONDS)
    return time.perf_counter() - since


def _latency(
    make: Callable[[int], Callable[[], object]], calls: int, pause_seconds: float = 0.0
) -> Latency:
    took = []
    for number in range(calls):
        call = make(number)
        if pause_seconds:
            time.sleep(pause_seconds)
        since = time.perf_counter_ns()
        call()
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
