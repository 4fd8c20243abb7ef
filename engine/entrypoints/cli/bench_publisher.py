"""`tollbook bench publisher`: what a request pays for publishing, and what one publisher sustains."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.broker import obtain_broker
from engine.entrypoints import measuring
from engine.entrypoints.cli.bench import new_deployment
from engine.entrypoints.cli.common import AsJson, configure_logging, print_json, say
from engine.entrypoints.measuring_publisher import measure_publisher


def publisher(
    events: Annotated[int, typer.Option(min=10_000, help="For each measurement.")] = 200_000,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topics.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Measure a gateway's publisher: the latency of a call, and the events per second it delivers.

    Starts a Kafka of its own (or uses TOLLBOOK_BOOTSTRAP) and stops it. Run it on a quiet machine.

    Example: tollbook bench publisher --events 100000

    Exit codes: 0 measured; 1 it could not be measured.
    """
    configure_logging()
    with (
        tempfile.TemporaryDirectory(prefix="tollbook-bench-") as folder,
        obtain_broker(Path(folder)) as broker,
    ):
        settings = new_deployment(broker.bootstrap, partitions)
        say(f"publishing {events:,} events, without and with Kafka ...")
        found = measure_publisher(settings, events, Path(folder))
    if as_json:
        latency = {name: row._asdict() for name, row in found.latency.items()}
        rows = {**found._asdict(), "latency": latency}
        print_json({"machine": measuring.environment_line(), **rows})
        return
    typer.echo(f"{measuring.environment_line()}, {partitions} partitions, one publisher")
    typer.echo(f"import engine.gateway: {found.import_ms:.0f} ms")
    typer.echo(
        f"sustained: {found.events_per_second:,.0f} events/s published and acknowledged "
        f"({found.events:,} events)"
    )
    for name, row in found.latency.items():
        typer.echo(
            f"{name:<39} p50 {row.p50_us:>6.1f} us, p99 {row.p99_us:>6.1f} us, p99.9 "
            f"{row.p999_us:>7.1f} us, max {row.max_us:>8.1f} us ({row.calls:,} calls)"
        )
