"""`tollbook account history`: what happened to one account, in the order of the journal."""

from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.entrypoints.cli.account_commands import AccountId
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    opened_log,
    partition_count,
    print_rows,
    progress_bar,
)
from engine.entrypoints.describing import change_name, describe_charge, describe_event
from engine.ports import TopicPartition
from engine.rating.charge import MONEY_CHARGES, Charge, Drawdown
from engine.rating.event import AccountEvent
from engine.rating.money import format_pico
from engine.rating.period import format_instant
from replay.journal import read_journal

_COLUMNS = tuple("sequence time what amount due buckets principal explanation".split())


def history(
    account_id: AccountId,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 100,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these: usage, correction, granted, command_refused ... Repeatable."
        ),
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened to an account, in order: charges and account events, from the journal.

    `time` is when it was received, `due` what the account owed after it. Of a bucket, `units` are
    drawn from it (below 0: put in).

    Example: tollbook account history acme --kind usage --kind correction --json

    Exit codes: 0 shown; 1 the journal can not be read or is broken; 3 it does not name the account.
    """
    latest: deque[dict[str, Any]] = deque(maxlen=limit)
    is_known = False
    with opened_log(kafka(bootstrap)) as log, progress_bar("reading the journal", None) as progress:
        for row in _rows(log, account_id, progress):
            is_known = True
            if not kind or row["what"] in kind:
                latest.append(row)
    if not is_known:
        raise not_found(f"account {account_id}: the journal does not name it; does a worker run?")
    rows = latest if as_json else [{**row, "buckets": _shown(row["buckets"])} for row in latest]
    print_rows(_COLUMNS, rows, as_json=as_json, numbers="sequence amount due")


def _rows(log: KafkaLog, account_id: str, progress: Any) -> Iterator[dict[str, Any]]:
    partition = TopicPartition("journal", partition_of(account_id, partition_count(log)))
    due = 0
    for read in read_journal(log, partition, log.ends([partition])[partition]):
        progress(1)
        for record in read.commit.records:
            if isinstance(record, Charge) and record.account_id == account_id:
                due = record.due
                yield charge_row(record)
            elif isinstance(record, AccountEvent) and record.account_id == account_id:
                yield event_row(record, due)


def charge_row(charge: Charge) -> dict[str, Any]:
    """Return a charge as a row of the history."""
    has_amount = charge.kind in MONEY_CHARGES
    return {
        "sequence": charge.sequence,
        "time": format_instant(charge.received_at),
        "what": charge.kind,
        "amount": format_pico(charge.amount) if has_amount else "",
        "due": format_pico(charge.due),
        "buckets": [_bucket(drawdown) for drawdown in charge.drawdowns],
        "principal": "",
        "explanation": describe_charge(charge),
        "occurred_at": format_instant(charge.occurred_at),
        "charge_id": charge.charge_id,
    }


def event_row(event: AccountEvent, due: int) -> dict[str, Any]:
    """Return an account event as a row of the history; `due` in pico is what was owed then."""
    return {
        "sequence": event.sequence,
        "time": format_instant(event.received_at),
        "what": change_name(event.change),
        "amount": "",
        "due": format_pico(due),
        "buckets": [],
        "principal": event.principal,
        "explanation": describe_event(event),
        "command_id": event.command_id,
    }


def _bucket(drawdown: Drawdown) -> dict[str, str]:
    moved = {"rolled": drawdown.rolled, "expired": drawdown.expired}
    return {
        "bucket": drawdown.bucket,
        "units": format_pico(drawdown.units),
        "remaining": format_pico(drawdown.remaining),
        **{name: format_pico(units) for name, units in moved.items() if units},
    }


def _shown(buckets: list[dict[str, str]]) -> str:
    return ", ".join(f"{b['bucket']} {b['units']} ({b['remaining']} left)" for b in buckets)
