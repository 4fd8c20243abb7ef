"""`tollbook account statement`: what one account used in a month, who paid, and that it adds up."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.entrypoints.cli.account_commands import AccountId
from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    opened_log,
    partition_count,
    print_json,
    progress_bar,
)
from engine.ports import TopicPartition
from engine.rating.charge import Charge
from engine.rating.event import AccountEvent
from engine.rating.money import format_pico
from replay.journal import read_journal
from replay.statement import Covered, Priced, Statement
from replay.statement import statement as statement_of

_LINE = ("", "", "tokens", "units", "amount")
_BUCKET = ("bucket", "granted", "remaining", "drawn", "expired", "rolled", "voided")
_MOVED = _BUCKET[1:]


def statement(
    account_id: AccountId,
    period: Annotated[
        str, typer.Argument(help="Month in the account's zone: 2026-11. Left out: its latest.")
    ] = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show what an account used in a month, what that came to and who paid, from the journal.

    Late usage and voids count in the month of the use. The statement checks itself: amounts are what
    money buckets paid and what became due; a bucket's units are all accounted for.

    Example: tollbook account statement acme 2026-11

    Exit codes: 0 shown, and it adds up; 1 the journal can not be read or is broken; 3 it does not name
    the account; 4 the statement does not add up.
    """
    with opened_log(kafka(bootstrap)) as log, progress_bar("reading the journal", None) as progress:
        records = list(account_records(log, account_id, progress))
    if not records:
        raise not_found(f"account {account_id}: the journal does not name it; does a worker run?")
    found = statement_of(records, period)
    if as_json:
        print_json(statement_json(found))
    else:
        Console(width=None if Console().is_terminal else 110).print(statement_picture(found))
    if found.problems:
        raise typer.Exit(EXIT_REJECTED)


def account_records(
    log: KafkaLog, account_id: str, progress: Any = lambda _: None
) -> Iterator[Charge | AccountEvent]:
    """Yield the records of an account, from the first one on; the journal's chain is checked."""
    partition = TopicPartition("journal", partition_of(account_id, partition_count(log)))
    for read in read_journal(log, partition, log.ends([partition])[partition]):
        progress(1)
        for record in read.commit.records:
            if isinstance(record, Charge | AccountEvent) and record.account_id == account_id:
                yield record


def statement_picture(found: Statement) -> RenderableType:
    """Return a statement as people read it: its lines, who paid, each bucket, and that it adds up."""
    state = "closed" if found.is_closed else "open"
    title = f"{found.account_id}, {found.period} in {found.time_zone} ({state})"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in _LINE[:-1]:
        table.add_column(column, justify="right" if column else "left")
    table.add_column(found.currency, justify="right")
    for row in _lines(found):
        table.add_row(*row)
    table.add_section()
    for row in _totals(found):
        table.add_row(*row)
    parts: list[RenderableType] = [table]
    if found.buckets:
        parts += [Text(""), _buckets(found)]
    verdict = "; ".join(found.problems) or "it adds up"
    return Group(*parts, Text(""), Text(f"statement      {verdict}"))


def _lines(found: Statement) -> Iterator[tuple[str, ...]]:
    uses, voids = f"{found.events:,} events", f"{found.voids:,} voids"
    for row in found.covered:
        yield _covered(f"covered by {row.bucket}", row)
    for line in found.priced:
        yield _priced(line.component, line)
    for row in found.returned:
        yield _covered(f"voids, back to {row.bucket}", row)
    for line in found.voided:
        yield _priced(f"voids, {line.component}", line)
    for waiting in found.suspended:
        yield f"in suspense: {waiting.reason}", waiting.kind, f"{waiting.quantity:,}", "", ""
    for booked in found.settlements:
        yield f"minimum of {booked.name}", "", "", "", format_pico(booked.amount)
    for booked in found.adjustments:
        yield f"adjustment: {booked.name}", "", "", "", format_pico(booked.amount)
    yield f"{uses}, {voids}", "", "", "", format_pico(found.amount)


def _covered(name: str, row: Covered) -> tuple[str, ...]:
    return name, row.kind, f"{row.quantity:,}", _thousands(row.units), ""


def _priced(name: str, row: Priced) -> tuple[str, ...]:
    return name, row.kind, f"{row.quantity:,}", "", format_pico(row.amount)


def _totals(found: Statement) -> Iterator[tuple[str, ...]]:
    for row in found.paid:
        yield f"paid by {row.bucket}", "", "", "", format_pico(row.amount)
    yield "due of this month", "", "", "", format_pico(found.due_change)
    for row in found.paid:
        if row.credited:
            name = f"  among it back from {row.bucket} as credit"
            yield name, "", "", "", format_pico(-row.credited)
    if found.credit_used:
        yield "  among it paid by credit", "", "", "", format_pico(found.credit_used)
    if found.due_elsewhere:
        yield "due of other months", "", "", "", format_pico(found.due_elsewhere)
    yield "due", "", "", "", format_pico(found.due)


def _buckets(found: Statement) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in _BUCKET:
        table.add_column(column, justify="left" if column == "bucket" else "right")
    for bucket in found.buckets:
        name = bucket.bucket if bucket.is_open else f"{bucket.bucket} (closed)"
        table.add_row(name, *(_thousands(getattr(bucket, moved)) for moved in _MOVED))
    return table


def _thousands(pico: int) -> str:
    return f"{Decimal(format_pico(pico)):,}"


def statement_json(found: Statement) -> dict[str, Any]:
    """Return a statement as JSON: quantities as numbers, money and units as decimal texts."""
    return {
        "account_id": found.account_id,
        "period": found.period,
        "currency": found.currency,
        "time_zone": found.time_zone,
        "state": "closed" if found.is_closed else "open",
        "sequence": found.sequence,
        "events": found.events,
        "voids": found.voids,
        **{name: [_row(row) for row in getattr(found, name)] for name in _ROWS},
        **{name: format_pico(getattr(found, name)) for name in _AMOUNTS},
        "problems": [*found.problems],
    }


_ROWS = "covered priced returned voided suspended settlements adjustments paid buckets".split()
_AMOUNTS = "amount credit_used due_change due_elsewhere due".split()
_NUMBERS = ("quantity", "is_open")


def _row(row: Any) -> dict[str, Any]:
    return {
        name: value if isinstance(value, str) or name in _NUMBERS else format_pico(value)
        for name, value in row._asdict().items()
    }
