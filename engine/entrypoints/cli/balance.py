"""`tollbook balance`: an account's live balance, from the compacted topic that the projector keeps."""

import sys
import time
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.adapters.avro.views import balance_fields, balance_from
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    opened_log,
    partition_count,
    print_json,
)
from engine.ports import TopicPartition
from engine.rating.balance import Balance
from engine.rating.money import format_pico
from engine.rating.period import format_instant
from schemas.json_form import json_writer
from schemas.loader import latest

_POLL_SECONDS = 0.3
balance_json = json_writer(latest("balance").declared)


def balance(
    account_id: Annotated[str, typer.Argument(help="Who pays.")],
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it as it changes.")] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show an account's balance; with --watch it moves (on a terminal) or prints JSON lines.

    Example: tollbook balance acme --watch

    Exit codes: 0 shown; 3 no balance yet (does `tollbook project` run?).
    """
    with opened_log(kafka(bootstrap)) as log:
        partition = TopicPartition("balances", partition_of(account_id, partition_count(log)))
        if watch:
            _watch(log, partition, account_id, as_json=as_json)
            return
        end = log.ends([partition])[partition]
        found = newest_balance(log, partition, account_id, 0, end)
    if found is None:
        raise not_found(f"account {account_id}: no balance yet; does `tollbook project` run?")
    if as_json:
        print_json(balance_json(balance_fields(found)))
    else:
        Console().print(_picture(found))


def newest_balance(
    log: KafkaLog, partition: TopicPartition, account_id: str, start: int, end: int
) -> Balance | None:
    """Return the newest balance of an account in a partition's range, or None."""
    newest = None
    for record in log.read(partition, start, end):
        if record.key == account_id.encode():
            newest = decode(record.value)
    return balance_from(newest.fields) if isinstance(newest, Decoded) else None


def _watch(log: KafkaLog, partition: TopicPartition, account_id: str, *, as_json: bool) -> None:
    position = 0
    moving = sys.stdout.isatty() and not as_json
    with Live(console=Console(), auto_refresh=False) as live:
        if not moving:
            live.stop()
        while True:
            end = log.ends([partition])[partition]
            newest = newest_balance(log, partition, account_id, position, end)
            position = max(position, end)
            if newest is not None and moving:
                live.update(_picture(newest), refresh=True)
            elif newest is not None:
                print_json(balance_json(balance_fields(newest)))
                sys.stdout.flush()
            time.sleep(_POLL_SECONDS)


def _picture(found: Balance) -> Group:
    table = Table(
        title=f"{found.account_id} ({found.currency or 'not open'})", title_justify="left"
    )
    table.add_column("month")
    table.add_column("charges", justify="right")
    table.add_column("amount", justify="right")
    for label, spend in found.periods:
        table.add_row(label, f"{spend.charges:,}", format_pico(spend.amount))
    table.add_section()
    table.add_row("due", f"{found.charges:,}", format_pico(found.due))
    return Group(table, Text(_caption(found)))


def _caption(found: Balance) -> str:
    parts: list[Any] = [f"as of {format_instant(found.as_of)}", f"sequence {found.sequence}"]
    if found.tariff_id:
        parts.append(f"tariff {found.tariff_id}")
    if found.suspended_lines:
        parts.append(f"{found.suspended_lines} lines in suspense")
    return ", ".join(parts)
