"""`tollbook bench`: measure on this machine; bounded, stops by itself, asserts nothing."""

import tempfile
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.adapters.broker import obtain_broker
from engine.adapters.kafka.founding import found_deployment
from engine.adapters.kafka.topics import cluster_id
from engine.entrypoints import measuring, measuring_evidence
from engine.entrypoints.cli.common import (
    AsJson,
    configure_logging,
    opened_log,
    print_json,
    progress_bar,
    say,
)
from engine.entrypoints.cli.stack import running
from engine.settings import KafkaSettings, state_folder
from replay.archive import Identity

app = typer.Typer(help="Measure on this machine.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure on this machine."""


@app.command()
def stream(
    events: Annotated[int, typer.Option(min=20_000, help="For throughput.")] = 200_000,
    rate: Annotated[int, typer.Option(min=1, help="Offered load for latency, events/s.")] = 2_000,
    seconds: Annotated[int, typer.Option(min=1, max=600, help="For latency.")] = 15,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topics.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Measure one worker end to end: usage in Kafka to committed charge, and the latency.

    Starts a Kafka of its own (or uses TOLLBOOK_BOOTSTRAP) and stops it. Run it on a quiet machine.

    Example: tollbook bench stream --events 100000 --rate 2000 --seconds 10

    Exit codes: 0 measured; 1 it could not be measured.
    """
    results: dict[str, Any] = {"machine": measuring.environment_line(), "partitions": partitions}
    with (
        tempfile.TemporaryDirectory(prefix="tollbook-bench-") as folder,
        obtain_broker(Path(folder)) as broker,
    ):
        for name, single in (("batches of 50", False), ("single events", True)):
            settings = new_deployment(broker.bootstrap, partitions)
            say(f"throughput, {name}: publishing {events:,} events ...")
            measuring.load(settings, events, single=single)
            results[name] = _throughput(settings, events, Path(folder))
        settings = new_deployment(broker.bootstrap, partitions)
        say(f"latency: {rate:,} events/s for {seconds} s ...")
        results["latency"] = _latency(settings, rate, seconds, Path(folder))
    if as_json:
        print_json(results)
    else:
        _print(results)


def new_deployment(bootstrap: str, partitions: int) -> KafkaSettings:
    """Make the topics of a deployment that nobody else has, open to any source."""
    settings = KafkaSettings(bootstrap, f"bench-{uuid.uuid4().hex[:8]}.")
    found_deployment(settings, partitions, to_any_source=True)
    return settings


def _throughput(settings: KafkaSettings, events: int, folder: Path) -> dict[str, Any]:
    with (
        running(settings, "run", log=folder / "worker.log", home=folder) as (worker,),
        opened_log(settings) as log,
    ):
        return measuring.measure_throughput(log, worker, events)._asdict()


def _latency(settings: KafkaSettings, rate: int, seconds: int, folder: Path) -> dict[str, Any]:
    measuring.load(settings, 0, single=True)
    warm_up = rate
    with (
        running(settings, "run", log=folder / "worker.log", home=folder) as (_,),
        opened_log(settings) as log,
    ):
        measuring.generate(settings, rate, 1)
        measuring.wait_for(log, warm_up)
        return measuring.measure_latency(settings, log, rate, seconds)._asdict()


def _print(results: dict[str, Any]) -> None:
    typer.echo(f"{results['machine']}, {results['partitions']} partitions, one worker")
    for name in ("batches of 50", "single events"):
        row = results[name]
        typer.echo(
            f"{name:<15} {row['events_per_second']:>9,.0f} events/s usage in Kafka -> committed "
            f"charge ({row['events_measured']:,} events, {row['commits']} commits, peak "
            f"{row['peak_rss_mib']:.0f} MiB)"
        )
    row = results["latency"]
    typer.echo(
        f"latency at {row['offered_per_second']:,}/s: p50 {row['p50_ms']:.1f} ms, p95 "
        f"{row['p95_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms, max {row['max_ms']:.1f} ms "
        f"(publish -> readable, {row['charges']:,} charges)"
    )


@app.command()
def evidence(
    events: Annotated[int, typer.Option(min=20_000, help="Usage events.")] = 200_000,
    accounts: Annotated[int, typer.Option(min=1, help="Accounts: the size of the state.")] = 2_000,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topics.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Measure recovery, archiving and verification of a history that one worker has rated.

    Starts a Kafka of its own (or uses TOLLBOOK_BOOTSTRAP) and stops it. Run it on a quiet machine.

    Example: tollbook bench evidence --events 100000 --accounts 5000

    Exit codes: 0 measured; 1 it could not be measured.
    """
    configure_logging()
    with (
        tempfile.TemporaryDirectory(prefix="tollbook-bench-") as name,
        obtain_broker(Path(name)) as broker,
    ):
        folder, settings = Path(name), new_deployment(broker.bootstrap, partitions)
        say(f"publishing {events:,} events of {accounts:,} accounts ...")
        measuring.load(settings, events, single=False, accounts=accounts)
        with opened_log(settings) as log:
            with running(settings, "run", log=folder / "worker.log", home=folder):
                measuring.wait_for(log, events)
            cluster = cluster_id(settings)
            state = state_folder(cluster, settings.prefix, {"TOLLBOOK_HOME": name})
            say("recovering ...")
            recoveries = measuring_evidence.measure_recovery(log, state)
            identity = Identity(settings.prefix, partitions, cluster)
            say("archiving ...")
            archiving = measuring_evidence.measure_archiving(
                log, folder / "archive", identity, events
            )
        with progress_bar("verifying", None) as progress:
            verifying = measuring_evidence.measure_verifying(folder / "archive", progress)
    if as_json:
        recovery = [found._asdict() for found in recoveries]
        print_json(
            {
                "machine": measuring.environment_line(),
                "recovery": recovery,
                "archiving": archiving._asdict(),
                "verifying": verifying._asdict(),
            }
        )
        return
    typer.echo(f"{measuring.environment_line()}, {partitions} partitions")
    for found in recoveries:
        typer.echo(
            f"recovery, {found.caches:<24} {found.seconds:>6.1f} s ({found.commits_folded:,} commits "
            f"read, {found.accounts:,} accounts, {found.identities:,} identities)"
        )
    typer.echo(
        f"archive  {archiving.events_per_second:>9,.0f} events/s, "
        f"{archiving.megabytes_per_million_events:.0f} MB per million events"
    )
    typer.echo(
        f"verify   {verifying.charges_per_second:>9,.0f} charges/s rated again to the byte, "
        f"{'all equal' if verifying.holds else 'NOT equal'}"
    )


@app.command(hidden=True)
def generate(
    bootstrap: Annotated[str, typer.Option()],
    prefix: Annotated[str, typer.Option()],
    rate: Annotated[int, typer.Option()],
    seconds: Annotated[int, typer.Option()],
) -> None:
    """Send usage on a schedule: the load of `bench stream`, in a process of its own.

    Example: tollbook bench generate --bootstrap host:port --prefix bench. --rate 10 --seconds 1
    """
    measuring.generate(KafkaSettings(bootstrap, prefix), rate, seconds)
