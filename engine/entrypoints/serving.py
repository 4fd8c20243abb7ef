"""Wiring the HTTP ingest: keys, a sink to Kafka, a follower of balances, and the server that answers."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from engine.adapters.kafka import KafkaLog
from engine.adapters.source_keys import read_keys
from engine.http.app import Api, Limits
from engine.http.balances import BalanceBook, follow
from engine.http.kafka_sink import KafkaUsageSink
from engine.http.keys import KeyRing
from engine.http.metrics import HttpTelemetry
from engine.http.server import listen, serve
from engine.settings import KafkaSettings, WorkerSettings

_SWITCH_SECONDS = 0.001
"""A thread that reads a large body lets others have the interpreter this often: Python's own 5 ms
would be all the time that the answer to a balance may take."""
_EVERY_SECONDS = 1.0
_log = structlog.get_logger()


class Serving(NamedTuple):
    """How to serve. `linger_ms`: how long usage waits for company."""

    host: str
    port: int
    keys: Path
    limits: Limits = Limits()
    linger_ms: int = 5


def serve_http(
    settings: KafkaSettings, worker: WorkerSettings, serving: Serving, telemetry: HttpTelemetry
) -> None:
    """Answer requests until SIGTERM or Ctrl-C. InvalidDocument if it may not start."""
    ring = KeyRing(serving.keys)
    listener = listen(serving.host, serving.port)
    sink = KafkaUsageSink(
        settings,
        linger_ms=serving.linger_ms,
        signing_keys=read_keys(worker.source_keys) if worker.source_keys else None,
    )
    log = KafkaLog(settings)
    book = BalanceBook(log, sink.partitions)
    telemetry.follows(sink.partitions)
    api = Api(
        ring,
        sink,
        book,
        telemetry,
        allowed_attributes=worker.allowed_attributes,
        limits=serving.limits,
    )

    def served() -> None:
        host, port, *_ = listener.getsockname()
        _log.info("http_served", host=host, port=port)

    def tend(stop: threading.Event) -> None:
        while not stop.wait(_EVERY_SECONDS):
            ring.refresh()
            api.tell_rejected()
            telemetry.waits(sink.waiting)

    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        with (
            _in_background("balances", lambda stop: follow(book, stop, telemetry)),
            _in_background("http-keys", tend),
        ):
            serve(api.application(), listener, served)
    finally:
        sink.close()
        api.tell_rejected()
        log.close()
        _log.info("http_stopped")


@contextmanager
def _in_background(name: str, run: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a function in a thread meanwhile; it is told to stop, and waited for, at the end."""
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)
