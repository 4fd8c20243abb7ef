"""Watching a long-running process: the port it answers on, if it was given one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
import typer

from engine.adapters.metrics import ProcessTelemetry
from engine.adapters.metrics_server import serving

MetricsPort = Annotated[
    int,
    typer.Option(
        min=0,
        max=65_535,
        envvar="TOLLBOOK_METRICS_PORT",
        show_default="none",
        help="Port of /metrics, /health and /live; 0 for none.",
    ),
]
MetricsHost = Annotated[
    str,
    typer.Option(
        envvar="TOLLBOOK_METRICS_HOST", help="Address of that port: whoever reaches it may read it."
    ),
]
LOOPBACK = "127.0.0.1"
_log = structlog.get_logger()


@contextmanager
def observed(telemetry: ProcessTelemetry, host: str, port: int) -> Iterator[None]:
    """Answer on a port meanwhile; on none if it is 0."""
    if not port:
        yield
        return
    with serving(telemetry, host, port):
        _log.info("metrics_served", host=host, port=port)
        yield
