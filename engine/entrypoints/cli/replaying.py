"""`tollbook replay`: compute again from the journal."""

from typing import Annotated

import typer

from engine.adapters.avro.views import balance_fields
from engine.entrypoints.cli.balance import balance_json
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    parse_time,
    print_json,
    print_rows,
    progress_bar,
)
from engine.entrypoints.cli.evidence import FromArchive, opened_evidence
from engine.rating.balance import Balance
from engine.rating.money import format_pico
from replay.balances import replay_balances, replay_balances_at

app = typer.Typer(help="Compute again from the journal, and nothing else.", no_args_is_help=True)


@app.callback()
def replay() -> None:
    """Compute again from the journal, and nothing else."""


@app.command()
def balances(
    at: Annotated[
        str | None, typer.Option(help="Count only usage up to this time (effective at T).")
    ] = None,
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Fold the whole journal and print every balance; each commit is checked on the way.

    Example: tollbook replay balances --at 2026-11-15T00:00:00Z

    Exit codes: 0 printed; 1 the journal is broken: the message names partition and commit.
    """
    moment = parse_time(at, "--at")
    with (
        opened_evidence(bootstrap, archive) as (log, partitions),
        progress_bar("folding the journal", None) as progress,
    ):
        found = (
            replay_balances(log, partitions, progress)
            if moment is None
            else replay_balances_at(log, partitions, moment, progress)
        )
    if as_json:
        for balance in found:
            print_json(balance_json(balance_fields(balance)))
        return
    columns = ("account_id", "currency", "tariff_id", "charges", "suspended_lines", "due")
    print_rows(columns, map(_row, found), as_json=False, numbers="charges suspended_lines due")


def _row(balance: Balance) -> dict[str, object]:
    return {**balance._asdict(), "due": format_pico(balance.due)}
