"""`tollbook replay`: compute again from the journal, in Kafka or in the archive."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.adapters.avro.views import balance_fields
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.entrypoints.cli.balance import balance_json
from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    parse_time,
    print_json,
    print_rows,
    progress_bar,
    say,
)
from engine.entrypoints.cli.evidence import FromArchive, opened_evidence
from engine.entrypoints.live import LiveBalances
from engine.ports import TopicPartition
from engine.rating.balance import Balance
from engine.rating.errors import InvalidDocument
from engine.rating.money import format_pico
from replay.balances import AsOf, replay_balances
from replay.checkpoint import checkpoint_of, read_checkpoint, write_checkpoint
from replay.journal import fold_journal
from replay.verify import EVERYTHING, Selection, Verification, Verifier

app = typer.Typer(help="Compute again from the journal, and nothing else.", no_args_is_help=True)


@app.callback()
def replay() -> None:
    """Compute again from the journal, and nothing else."""


@app.command()
def balances(
    at: Annotated[
        str | None, typer.Option(help="Count only usage up to this time (effective at T).")
    ] = None,
    known: Annotated[
        Path | None, typer.Option(help="As known at a checkpoint of `replay checkpoint`.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    sequence: Annotated[
        int | None, typer.Option(min=1, help="As known at this sequence of --account.")
    ] = None,
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Fold the whole journal and print every balance; each commit is checked on the way.

    Every answer takes two times: effective at T (--at), as known at K (--known, or --sequence).

    Example: tollbook replay balances --at 2026-11-15T00:00:00Z

    Exit codes: 0 printed; 1 the journal is broken: the message names partition and commit.
    """
    if sequence is not None and account is None:
        raise InvalidDocument("--sequence", sequence, "--account as well: sequences are its own")
    with (
        opened_evidence(bootstrap, archive) as (log, partitions),
        progress_bar("folding the journal", None) as progress,
    ):
        checkpoint = read_checkpoint(known, partitions) if known else None
        as_of = AsOf(parse_time(at, "--at"), checkpoint, account, sequence)
        found = replay_balances(log, partitions, as_of, progress)
    if as_json:
        for balance in found:
            print_json(balance_json(balance_fields(balance)))
        return
    columns = ("account_id", "currency", "tariff_id", "charges", "suspended_lines", "due")
    print_rows(columns, map(_row, found), as_json=False, numbers="charges suspended_lines due")


def _row(balance: Balance) -> dict[str, object]:
    return {**balance._asdict(), "due": format_pico(balance.due)}


@app.command()
def checkpoint(
    file: Annotated[Path, typer.Argument(help="A new file; its name is the checkpoint's.")],
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Write down what is known now: the last commit of each partition, with its digest.

    Example: tollbook replay checkpoint november-close.json

    Exit codes: 0 written; 1 the file is there already, or the journal is broken.
    """
    with (
        opened_evidence(bootstrap, archive) as (log, partitions),
        progress_bar("folding the journal", None) as progress,
    ):
        states = fold_journal(log, partitions, progress)
    write_checkpoint(checkpoint_of(states), file)
    say(f"{file}: {sum(state.commit for state in states):,} commits are known")


@app.command()
def verify(
    account: Annotated[
        str | None, typer.Option(help="Rate only this account's charges again.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Rate only usage from this time again.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Rate only usage before this time again.")
    ] = None,
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Prove the journal: rate all usage again with what was known then, and compare to the byte.

    Checks that every charge comes out the same, of usage, corrections, settlements and buckets alike,
    that usage without a charge is a duplicate, a rejection, a void that waits or was refused, or
    forwarded, that commands and time had just these effects, that commits and sequences are gapless, that the hash chain holds, and that balances equal the fold. A selection narrows
    what is rated again; everything else is checked in any case. Reads Kafka, or --archive alone.

    Example: tollbook replay verify --account acme --from 2026-11-01T00:00:00Z

    Exit codes: 0 everything holds; 1 it could not be read; 4 something differs: the first is named.
    """
    selection = Selection(account, parse_time(since, "--from"), parse_time(until, "--to"))
    with opened_evidence(bootstrap, archive) as (log, partitions):
        journals = [TopicPartition("journal", n) for n in range(partitions)]
        total = sum(log.ends(journals).values())
        with progress_bar("verifying the journal", total) as progress:
            found = Verifier(
                log,
                partitions,
                lambda account_id: partition_of(account_id, partitions),
                selection,
                progress,
            ).verify(LiveBalances(log).refresh() if isinstance(log, KafkaLog) else {})
    if as_json:
        print_json(_verification_json(found))
    else:
        typer.echo("\n".join(_verification_lines(found)))
    rated = found.charges + found.corrections + found.settlements + found.movements
    if found.holds and not rated and selection != EVERYTHING:
        say("no charge is in the selection; everything else was checked")
    if not found.holds:
        say(f"differs: {found.difference}")
        raise typer.Exit(EXIT_REJECTED)


def _verification_json(found: Verification) -> dict[str, Any]:
    return {**found._asdict(), "counts": found.counts._asdict(), "holds": found.holds}


def _verification_lines(found: Verification) -> list[str]:
    counts = found.counts
    unverified = f", {found.unverified:,} not yet (their usage is not archived)"
    compared = f", {found.compared:,} live balances equal the fold" if found.compared else ""
    outcomes = ("charges", "pending", "duplicates", "rejections", "forwarded")
    beside = "".join(
        f", {getattr(found, name):,} {name}"
        for name in ("corrections", "settlements", "movements")
        if getattr(found, name)
    )
    sums = " + ".join(f"{name} {getattr(counts, name):,}" for name in outcomes)
    return [
        f"commits   {found.commits:,} verified{unverified if found.unverified else ''}",
        f"usage     {counts.consumed:,} consumed = {sums}",
        f"charges   {found.charges:,} rated again{beside}",
        f"  stand   {found.stands}",
        f"  again   {found.again}",
        f"accounts  {found.accounts:,}{compared}",
        "verified: everything holds" if found.holds else "NOT verified",
    ]
