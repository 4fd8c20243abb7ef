"""`tollbook demo`: a month of an enterprise on a real Kafka in one go, and proof of what it shows."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from engine.adapters.broker import obtain_broker
from engine.adapters.kafka.founding import found_deployment
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.account_statement import account_records, statement_picture
from engine.entrypoints.cli.audit import explanation_lines
from engine.entrypoints.cli.balance_view import balance_picture
from engine.entrypoints.cli.common import opened_log, say
from engine.entrypoints.cli.stack import running
from engine.entrypoints.live import LiveBalances, LiveCounts
from engine.entrypoints.story_data import ACCOUNT, PERIOD
from engine.entrypoints.story_news import news_of, story_time
from engine.entrypoints.story_telling import AccountJournal, Teller
from engine.rating.account import Account
from engine.rating.balance import Balance, balance_of
from engine.rating.charge import USAGE, Charge
from engine.rating.event import AccountEvent
from engine.rating.journal import Counts
from engine.settings import KafkaSettings
from replay.balances import replay_balances
from replay.explain import explain_charge
from replay.statement import statement
from replay.verify import Verifier

_PARTITIONS = 4
_POLL_SECONDS = 0.05
_REFRESH_SECONDS = 0.1


def demo(
    prefix: str = typer.Option("demo.", help="Prefix of the demo's topics."),
) -> None:
    """Show a month of an enterprise: packages drain, alerts fire, the month closes and adds up.

    Starts a Kafka of its own (or uses TOLLBOOK_BOOTSTRAP), a worker and a projector; publishes
    3,993 recorded requests of 40 logins over October 2026, with a promotion, two packages, a
    top-up, a limit, voids, late usage, duplicates, one conflict and some garbage; shows the balance
    while it moves; prints the statement; then proves what it shows. Leaves nothing running.

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
    with opened_log(settings) as log:
        journal = AccountJournal(log, _PARTITIONS)
        with KafkaPublisher(settings) as publisher:
            total = _tell(publisher, journal, console)
        counts = _settled_counts(log, total)
        live = _settled_balances(log, journal)
        found = statement(account_records(log, ACCOUNT), PERIOD)
        console.print("")
        console.print(statement_picture(found))
        proved = _prove(log, live, counts, console)
        explained = _explain(log, journal, console)
        return not found.problems and proved and explained


def _tell(publisher: KafkaPublisher, journal: AccountJournal, console: Console) -> int:
    """Tell the story and show the balance move; return how many events were published."""
    with Live(console=console, auto_refresh=False, transient=True) as screen:
        shown_at = 0.0

        def heard(record: Charge | AccountEvent, now: int) -> None:
            line = news_of(record, now)
            if line:
                console.print(line, highlight=False, markup=False, soft_wrap=True)

        def watch(now: int) -> None:
            nonlocal shown_at
            if console.is_terminal and time.monotonic() - shown_at > _REFRESH_SECONDS:
                shown_at = time.monotonic()
                screen.update(_screen(journal.account, now), refresh=True)

        return Teller(publisher, journal, heard, watch).tell()


def _screen(account: Account, now: int) -> Group:
    """Return the balance at the story's time."""
    clock = Text(f"{story_time(now)} in Shanghai" if now else "")
    return Group(Text(""), clock, balance_picture(balance_of(account)))


def _settled_counts(log: KafkaLog, total: int) -> Counts:
    """Return the counts once all that was published is decided."""
    live = LiveCounts(log)
    while (counts := live.refresh()).consumed < total:
        time.sleep(_POLL_SECONDS)
    return counts


def _settled_balances(log: KafkaLog, journal: AccountJournal) -> dict[str, Balance]:
    """Return the live balances once the projector has caught up with the journal."""
    last = journal.records[-1].sequence
    live = LiveBalances(log)
    while (found := live.refresh().get(ACCOUNT)) is None or found.sequence < last:
        time.sleep(_POLL_SECONDS)
    return live.balances


def _prove(log: KafkaLog, live: dict[str, Balance], counts: Counts, console: Console) -> bool:
    console.print(
        f"conservation   consumed {counts.consumed:,} = charges {counts.charges:,} + pending "
        f"{counts.pending} + duplicates {counts.duplicates} + rejections {counts.rejections} "
        f"+ forwarded {counts.forwarded}: {'holds' if counts.conserved else 'BROKEN'}"
    )
    replayed = {balance.account_id: balance for balance in replay_balances(log, _PARTITIONS)}
    equal = replayed == live
    console.print(
        "replay         the balance and its buckets rebuilt from the journal: "
        f"{'equal to the live one' if equal else 'DIFFERENT from the live one'}"
    )
    verified = Verifier(log, _PARTITIONS, lambda name: partition_of(name, _PARTITIONS)).verify(live)
    console.print(
        f"verify         {verified.charges:,} charges, {verified.corrections} corrections, "
        f"{verified.settlements} settlements, {verified.movements} movements of buckets worked out "
        f"again: {'equal to the byte' if verified.holds else verified.difference}",
        soft_wrap=True,
    )
    return counts.conserved and equal and verified.holds


def _explain(log: KafkaLog, journal: AccountJournal, console: Console) -> bool:
    """Explain the first request that a token bucket covers in part, and money pays for the rest."""
    charge = next(
        record
        for record in journal.records
        if isinstance(record, Charge)
        and record.kind == USAGE
        and len(record.drawdowns) > 1
        and record.amount
    )
    found = explain_charge(log, _PARTITIONS, charge.charge_id)
    if found is None:
        console.print("explain        the charge is NOT in the journal")
        return False
    console.print("")
    lines = "\n".join(explanation_lines(found))
    console.print(lines, highlight=False, markup=False, soft_wrap=True)
    return found.holds
