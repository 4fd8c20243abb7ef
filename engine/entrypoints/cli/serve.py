"""`tollbook serve`: the HTTP ingest, and the balances that gateways ask for."""

from typing import Annotated

import typer

from engine.entrypoints.cli.common import Bootstrap, configure_logging, kafka, say
from engine.entrypoints.cli.http_key import KeyFile, key_file
from engine.entrypoints.cli.observing import LOOPBACK, MetricsHost, MetricsPort, observed
from engine.settings import worker_settings


def serve(
    host: Annotated[str, typer.Option(help="Address to answer on.")] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = 8080,
    keys: KeyFile = None,
    max_body_bytes: Annotated[
        int, typer.Option(min=1_024, max=64 * 1024 * 1024, help="Of a request, decompressed.")
    ] = 4 * 1024 * 1024,
    body_seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="How long a client may take to send it.")
    ] = 10.0,
    linger_ms: Annotated[
        int, typer.Option(min=0, max=1_000, help="How long usage waits for company.")
    ] = 5,
    bootstrap: Bootstrap = None,
    metrics_port: MetricsPort = 0,
    metrics_host: MetricsHost = LOOPBACK,
) -> None:
    """Take usage in over HTTP, and tell balances, until SIGTERM or Ctrl-C.

    Make a key first (`tollbook http-key add`). This is plain HTTP: put what ends TLS in front of it. Any
    number of these may run side by side.

    Example: tollbook serve --port 8080

    Exit codes: 0 stopped cleanly; 1 it could not start.
    """
    try:
        from engine.entrypoints import serving  # noqa: PLC0415 - an extra that may not be installed
        from engine.http.app import Limits  # noqa: PLC0415
        from engine.http.metrics import HttpTelemetry  # noqa: PLC0415
    except ImportError as error:
        say(f"tollbook serve needs: pip install 'tollbook[engine,http]' (missing: {error.name})")
        raise typer.Exit(1) from error

    configure_logging()
    telemetry = HttpTelemetry("http")
    how = serving.Serving(
        host, port, key_file(keys), Limits(max_body_bytes, body_seconds), linger_ms
    )
    with observed(telemetry, metrics_host, metrics_port):
        serving.serve_http(kafka(bootstrap), worker_settings(), how, telemetry)
