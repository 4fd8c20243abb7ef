"""`tollbook bench http`: what the HTTP ingest takes on this machine."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.broker import obtain_broker
from engine.entrypoints import measuring_http
from engine.entrypoints.cli.bench import new_deployment
from engine.entrypoints.cli.common import AsJson, print_json
from engine.entrypoints.measuring import environment_line


def http(
    events: Annotated[int, typer.Option(min=1_000, help="Usage events.")] = 100_000,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events of a request.")] = 100,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topics.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Measure the HTTP ingest: events acknowledged per second, and the time a balance takes meanwhile.

    Starts a Kafka of its own (or uses TOLLBOOK_BOOTSTRAP) and stops it. Run it on a quiet machine.

    Example: tollbook bench http --events 50000 --batch 50

    Exit codes: 0 measured; 1 it could not be measured.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tollbook-bench-") as name,
        obtain_broker(Path(name)) as broker,
    ):
        settings = new_deployment(broker.bootstrap, partitions)
        found = measuring_http.measure_http(settings, Path(name), events, batch, partitions)
    if as_json:
        print_json({"machine": environment_line(), "partitions": partitions, **found._asdict()})
        return
    typer.echo(f"{environment_line()}, {partitions} partitions, one server")
    typer.echo(
        f"usage    {found.events_per_second:>9,.0f} events/s acknowledged, in batches of {batch}; a "
        f"request p50 {found.request_p50_ms:.1f} ms, p99 {found.request_p99_ms:.1f} ms"
    )
    typer.echo(
        f"balance  p50 {found.balance_idle_p50_ms:.1f} ms, p99 {found.balance_idle_p99_ms:.1f} ms; "
        f"under that load p50 {found.balance_loaded_p50_ms:.1f} ms, "
        f"p99 {found.balance_loaded_p99_ms:.1f} ms"
    )
