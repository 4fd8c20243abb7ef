"""`tollbook balance`: an account's live balance, from the compacted topic that the projector keeps."""

import sys
import time
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from engine.adapters.avro.charge import charge_fields
from engine.adapters.avro.views import alert_fields, balance_fields
from engine.adapters.kafka.partitioning import partition_of
from engine.entrypoints.cli.balance_view import balance_picture, watched_picture
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    opened_log,
    partition_count,
    print_json,
)
from engine.entrypoints.live import LiveAccount, LiveBalance
from engine.entrypoints.watching import Spend, Spending, Watched
from engine.rating.money import format_pico
from schemas.json_form import json_writer
from schemas.loader import latest

_POLL_SECONDS = 0.3
balance_json = json_writer(latest("balance").declared)
_charge_json = json_writer(latest("charge_event").declared)
_alert_json = json_writer(latest("alert").declared)


def balance(
    account_id: Annotated[str, typer.Argument(help="Who pays.")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep showing it as it changes, until Ctrl-C.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show an account's balance: what is due, what remains in its buckets, its limits and states.

    With --watch it moves (on a terminal) or prints one JSON line per change (in a pipe), together
    with who has spent what in the latest month, the last charges and the last alerts.

    Example: tollbook balance acme --watch

    Exit codes: 0 shown; 3 no balance yet (does `tollbook project` run?).
    """
    with opened_log(kafka(bootstrap)) as log:
        partition = partition_of(account_id, partition_count(log))
        if watch:
            moving = sys.stdout.isatty() and not as_json
            with suppress(KeyboardInterrupt):  # Ctrl-C is how a watcher leaves
                account = LiveAccount(log, partition, account_id)
                (_watch if moving else _print_changes)(account, account_id)
            return
        found = LiveBalance(log, partition, account_id).refresh()
    if found is None:
        raise not_found(f"account {account_id}: no balance yet; does `tollbook project` run?")
    if as_json:
        print_json(balance_json(balance_fields(found)))
    else:
        Console().print(balance_picture(found))


def _watch(account: LiveAccount, account_id: str) -> None:
    waiting = Text(f"waiting for a balance of {account_id}; does `tollbook project` run?")
    with Live(waiting, auto_refresh=False) as live:
        live.refresh()
        while True:
            watched = account.refresh()
            if watched is not None:
                live.update(watched_picture(watched), refresh=True)
            time.sleep(_POLL_SECONDS)


def _print_changes(account: LiveAccount, _: str) -> None:
    while True:
        watched = account.refresh()
        if watched is not None:
            print_json(watched_json(watched))
            sys.stdout.flush()
        time.sleep(_POLL_SECONDS)


def watched_json(watched: Watched) -> dict[str, Any]:
    """Return a balance's JSON form, and beside its fields what else is shown of the account."""
    return {
        **balance_json(balance_fields(watched.balance)),
        "spend": {
            "period": watched.period,
            "by_subject": _spending_json(watched.by_subject),
            "by_model": _spending_json(watched.by_model),
        },
        "last_charges": [_charge_json(charge_fields(charge)) for charge in watched.charges],
        "alerts": [_alert_json(alert_fields(alert)) for alert in watched.alerts],
    }


def _spending_json(spending: Spending) -> dict[str, Any]:
    others = spending.others
    return {
        "greatest": [_spend_json(spend) for spend in spending.greatest],
        "others": None if others is None else _spend_json(others),
    }


def _spend_json(spend: Spend) -> dict[str, Any]:
    return {**spend._asdict(), "amount": format_pico(spend.amount)}
