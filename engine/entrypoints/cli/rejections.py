"""`tollbook rejections`: what was not accepted, why, and sending it again once that is mended."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape

from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    not_found,
    parse_time,
    print_rows,
    progress_bar,
    say,
)
from engine.entrypoints.cli.evidence import FromArchive, opened_evidence
from engine.entrypoints.cli.redriving import redrive
from engine.entrypoints.cli.rejection_view import print_rejection, printable
from engine.rating.period import format_instant
from replay.redrive import Originals
from replay.rejections import (
    OPEN,
    RESOLVED,
    Found,
    Wanted,
    find_rejections,
    parse_rejection_id,
    read_rejection,
)

app = typer.Typer(
    help="What was not accepted: see it, mend it, send it again.", no_args_is_help=True
)
_COLUMNS = (
    "id",
    "received_at",
    "code",
    "account_id",
    "source",
    "event_id",
    "state",
    "explanation",
)


class Grouping(StrEnum):
    """What rejections are counted by."""

    CODE = "code"
    ACCOUNT = "account"
    SOURCE = "source"


@app.callback()
def rejections() -> None:
    """See what was not accepted, mend it, send it again."""


@app.command("list")
def list_(
    code: Annotated[list[str] | None, typer.Option(help="Only this code.")] = None,
    account: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of this source.")] = None,
    since: Annotated[str | None, typer.Option(help="Received at this time or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Received before this time.")] = None,
    only_open: Annotated[
        bool,
        typer.Option("--open/--all", show_default="open", help="Leave out what was resolved."),
    ] = True,
    by: Annotated[
        Grouping | None, typer.Option(help="Count them instead, by code, account or source.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest only.")] = 100,
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """List rejections, the newest first. Open: its event was not charged since.

    The first column is the id that `show` and `redrive` take: topic, partition, offset, index.

    Example: tollbook rejections list --code unregistered_source --since 2026-11-24T00:00:00Z

    Exit codes: 0 listed, be it none; 1 the journal is broken, or Kafka does not answer.
    """
    wanted = Wanted(
        frozenset(),
        frozenset(code or ()),
        account,
        source,
        parse_time(since, "--since"),
        parse_time(until, "--until"),
    )
    with (
        opened_evidence(bootstrap, archive) as (log, partitions),
        progress_bar("reading the journal", None) as progress,
    ):
        found = find_rejections(log, partitions, wanted, progress)
    if by is not None:
        _print_counts(found, by, as_json=as_json)
        return
    chosen = [entry for entry in reversed(found) if entry.state == OPEN or not only_open]
    rows = [_row(entry) for entry in chosen[:limit]]
    if not as_json:
        rows = [{name: escape(printable(text)) for name, text in row.items()} for row in rows]
    print_rows(_COLUMNS, rows, as_json=as_json)
    if len(chosen) > limit:
        say(f"the newest {limit} of {len(chosen)}; --limit shows more")


def _row(entry: Found) -> dict[str, Any]:
    rejection = entry.rejection
    return {
        "id": entry.id,
        "received_at": format_instant(rejection.received_at),
        "code": rejection.refusal.code,
        "account_id": rejection.account_id,
        "source": rejection.source,
        "event_id": rejection.event_id,
        "state": entry.state,
        "explanation": rejection.refusal.explanation,
    }


def _print_counts(found: Sequence[Found], by: Grouping, *, as_json: bool) -> None:
    """Print how many are open and resolved of each, the most open first."""
    counts: dict[str, Counter[str]] = {}
    newest: dict[str, int] = {}
    for entry in found:
        rejection = entry.rejection
        name = {
            Grouping.CODE: rejection.refusal.code,
            Grouping.ACCOUNT: rejection.account_id,
            Grouping.SOURCE: rejection.source,
        }[by]
        counts.setdefault(name, Counter())[entry.state] += 1
        newest[name] = rejection.received_at
    rows = [
        {
            by.value: name if as_json else escape(printable(name)),
            OPEN: counts[name][OPEN],
            RESOLVED: counts[name][RESOLVED],
            "newest": format_instant(newest[name]),
        }
        for name in sorted(counts, key=lambda name: (-counts[name][OPEN], name))
    ]
    columns = (by.value, OPEN, RESOLVED, "newest")
    print_rows(columns, rows, as_json=as_json, numbers=f"{OPEN} {RESOLVED}")


@app.command()
def show(
    rejection_id: Annotated[
        str, typer.Argument(metavar="ID", help="The rejection, such as usage/2/1041/0.")
    ],
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show one rejection: why, whose, where it stands, and what was sent.

    What each code means, and what to do, is in docs/reference/rejections.md.

    Example: tollbook rejections show usage/2/1041/0

    Exit codes: 0 shown; 3 there is no such rejection.
    """
    position = parse_rejection_id(rejection_id)
    if position is None:
        raise not_found(f"rejection {rejection_id!r}: expected an id such as usage/2/1041/0")
    with (
        opened_evidence(bootstrap, archive) as (log, partitions),
        progress_bar("reading the journal", None) as progress,
    ):
        found = find_rejections(log, partitions, Wanted(frozenset([position])), progress)
        if not found:
            raise not_found(f"rejection {rejection_id}: the journal does not hold it")
        whole = read_rejection(log, found[0])
        original = Originals(log, [position]).read(position)
    print_rejection(found[0], whole, original, as_json=as_json)


app.command()(redrive)
