"""`tollbook demo`: the main path on a real Kafka in one go, with real requests and real prices."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from engine.adapters.broker import obtain_broker
from engine.adapters.kafka.founding import found_deployment
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.audit import explanation_lines
from engine.entrypoints.cli.common import opened_log, say
from engine.entrypoints.cli.stack import running
from engine.entrypoints.demo_data import (
    ACCOUNTS,
    GARBAGE,
    DemoStream,
    demo_commands,
    demo_stream,
    demo_tariff,
)
from engine.entrypoints.live import LiveBalances, LiveCounts
from engine.rating.balance import Balance
from engine.rating.journal import Counts
from engine.rating.money import format_pico
from engine.settings import DEFAULT_ATTRIBUTES, KafkaSettings
from replay.balances import replay_balances
from replay.explain import explain_charge
from replay.verify import Verifier

_PARTITIONS = 4
_CHUNK = 300
_SHOWN = 12


def demo(
    prefix: str = typer.Option("demo.", help="Prefix of the demo's topics."),
) -> None:
    """Show the main path: real requests and prices in, charges out, balances rebuilt by replay.

    Starts a Kafka of its own (or uses TOLLBOOK_BOOTSTRAP), a worker and a projector; publishes
    8,819 recorded requests of 50 accounts with duplicates, one conflict and some garbage; shows
    balances while they move; then proves what it shows. Leaves nothing running.

    Example: tollbook demo

    Exit codes: 0 everything held; 1 something did not, or could not be started.
    """
    console = Console(width=None if Console().is_terminal else 110)
    with tempfile.TemporaryDirectory(prefix="tollbook-demo-") as folder:
        say("starting Kafka ...")
        with obtain_broker(Path(folder)) as broker:
            settings = KafkaSettings(broker.bootstrap, prefix)
            found_deployment(settings, _PARTITIONS, to_any_source=True)
            with (
                _quiet(Path(folder)) as log_file,
                running(settings, "run", "project", log=log_file, home=Path(folder)),
            ):
                held = _play(settings, console)
    if not held:
        raise typer.Exit(1)


@contextmanager
def _quiet(folder: Path) -> Iterator[Path]:
    """Keep the processes' log in a file, and show it if the demo fails."""
    path = folder / "processes.log"
    try:
        yield path
    except BaseException:
        say(path.read_text(encoding="utf-8") if path.exists() else "")
        raise


def _play(settings: KafkaSettings, console: Console) -> bool:
    stream = demo_stream()
    with opened_log(settings) as log:
        with KafkaPublisher(settings) as publisher:
            publisher.tariff(demo_tariff())
            publisher.commands(demo_commands())
            publisher.flush()
            counts = _stream(publisher, log, stream, console)
        live = _settled_balances(log, counts)
        console.print(_table(live, counts, everything=True))
        return _prove(log, live, counts, console)


def _stream(
    publisher: KafkaPublisher, log: KafkaLog, stream: DemoStream, console: Console
) -> Counts:
    """Publish the stream and show balances and counts move until all of it is decided."""
    balances, counts = LiveBalances(log), LiveCounts(log)
    total = len(stream.events) + len(GARBAGE)
    with Live(console=console, auto_refresh=False, transient=True) as screen:
        for start in range(0, len(stream.events), _CHUNK):
            for fields in stream.events[start : start + _CHUNK]:
                publisher.usage(fields)
            publisher.flush()
            screen.update(_table(balances.refresh(), counts.refresh()), refresh=True)
        for key, value in GARBAGE:
            publisher.usage_record(key, value)
        publisher.flush()
        while (seen := counts.refresh()).consumed < total:
            screen.update(_table(balances.refresh(), seen), refresh=True)
    return seen


def _settled_balances(log: KafkaLog, counts: Counts) -> dict[str, Balance]:
    """Return the live balances once the projector has caught up with the journal."""
    balances = LiveBalances(log)
    while sum(balance.charges for balance in balances.refresh().values()) < counts.charges:
        pass
    return balances.balances


def _table(balances: dict[str, Balance], counts: Counts, *, everything: bool = False) -> Table:
    table = Table(title="Azure LLM inference trace 2023 (code), gpt-4o list prices")
    for name in ("account", "charges", "due USD", "account", "charges", "due USD"):
        table.add_column(name, justify="left" if name == "account" else "right")
    ordered = [balances[key] for key in sorted(balances)]
    shown = ordered if everything else ordered[: 2 * _SHOWN]
    half = (len(shown) + 1) // 2
    for left in range(half):
        pair = shown[left::half][:2]
        cells = [(b.account_id, f"{b.charges:,}", format_pico(b.due)) for b in pair]
        table.add_row(*(cell for row in cells for cell in row))
    due = format_pico(sum(balance.due for balance in ordered))
    table.caption = f"{counts.consumed:,} events decided, {due} USD due"
    return table


def _prove(log: KafkaLog, live: dict[str, Balance], counts: Counts, console: Console) -> bool:
    console.print(
        f"conservation   consumed {counts.consumed:,} = charges {counts.charges:,} + pending "
        f"{counts.pending} + duplicates {counts.duplicates} + rejections {counts.rejections} "
        f"+ forwarded {counts.forwarded}: {'holds' if counts.conserved else 'BROKEN'}"
    )
    replayed = {balance.account_id: balance for balance in replay_balances(log, _PARTITIONS)}
    equal = replayed == live
    due = format_pico(sum(balance.due for balance in replayed.values()))
    console.print(
        f"replay         {len(replayed)} balances rebuilt from the journal, {due} USD: "
        f"{'equal to the live ones' if equal else 'DIFFERENT from the live ones'}"
    )
    verified = Verifier(log, _PARTITIONS, lambda name: partition_of(name, _PARTITIONS)).verify(live)
    console.print(
        f"verify         {verified.charges:,} charges rated again: "
        f"{'equal to the byte' if verified.holds else verified.difference}"
    )
    event = demo_stream().events[0]
    found = explain_charge(
        log, _PARTITIONS, DemoStream.charge_id(event), frozenset(DEFAULT_ATTRIBUTES)
    )
    if found is None:
        console.print("explain        the first event has NO charge")
        return False
    console.print("")
    console.print("\n".join(explanation_lines(found)), highlight=False, markup=False)
    proved = equal and verified.holds and verified.charges == counts.charges and found.holds
    return counts.conserved and proved and len(live) == ACCOUNTS
