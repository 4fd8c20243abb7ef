"""`tollbook account list` and `show`: accounts as the journal tells them."""

from typing import Any

from engine.adapters.avro.journal import account_event_fields
from engine.adapters.kafka.partitioning import partition_of
from engine.entrypoints.cli.account_commands import AccountId
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    opened_log,
    partition_count,
    print_json,
    print_rows,
    progress_bar,
)
from engine.entrypoints.describing import describe_limit, describe_order, order_name
from engine.ports import TopicPartition
from engine.rating.account import Account
from engine.rating.bucket import Bucket
from engine.rating.event import AccountEvent
from engine.rating.grant_document import grant_document
from engine.rating.limit import Limit
from engine.rating.money import PICO, format_pico
from engine.rating.period import format_instant
from replay.journal import fold_journal, read_journal
from schemas.json_form import json_writer
from schemas.loader import latest

_DAY = 24 * 3_600 * 1_000_000


def list_accounts(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """List all accounts, from the journal.

    Example: tollbook account list --json

    Exit codes: 0 listed; 1 the journal can not be read or is broken.
    """
    with opened_log(kafka(bootstrap)) as log, progress_bar("folding the journal", None) as progress:
        states = fold_journal(log, partition_count(log), progress)
    accounts = {key: account for state in states for key, account in state.ledger.accounts.items()}
    rows = [_summary(accounts[account_id]) for account_id in sorted(accounts)]
    columns = ("account_id", "state", "currency", "time_zone", "tariff_id", "charges", "due")
    print_rows(columns, rows, as_json=as_json, numbers="charges due")


def _summary(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "state": "open" if account.is_open else "not open",
        "currency": account.currency,
        "time_zone": account.zone.name,
        "tariff_id": account.assignments[-1].tariff_id if account.assignments else "",
        "sequence": account.sequence,
        "charges": account.charges,
        "suspended_lines": account.suspended_lines,
        "due": format_pico(account.due),
    }


def show(account_id: AccountId, bootstrap: Bootstrap = None) -> None:
    """Show one account as JSON, from the journal: due by month, counters, and every account event.

    What is prepaid stands there too: grants, buckets in the order in which usage draws from them,
    limits and their use, alerts that are raised, voids and commands that wait.

    Example: tollbook account show acme

    Exit codes: 0 shown; 3 no journal record names the account.
    """
    account: Account | None = None
    events: list[AccountEvent] = []
    with opened_log(kafka(bootstrap)) as log:
        partition = TopicPartition("journal", partition_of(account_id, partition_count(log)))
        for read in read_journal(log, partition, log.ends([partition])[partition]):
            account = read.state.ledger.accounts.get(account_id)
            events += [
                record
                for record in read.commit.records
                if isinstance(record, AccountEvent) and record.account_id == account_id
            ]
    if account is None:
        raise not_found(f"account {account_id}: the journal does not name it; does a worker run?")
    form = json_writer(latest("account_event").declared)
    events_json = [_without_transitions(form(account_event_fields(event))) for event in events]
    print_json(
        {
            **_summary(account),
            **account_details(account),
            **prepaid_details(account),
            "events": events_json,
        }
    )


def _without_transitions(event: dict[str, Any]) -> dict[str, Any]:
    """Take out fifty years of a zone's offsets, which its name says well enough."""
    change = event["change"]
    kept = {name: value for name, value in change.items() if name != "time_zone_transitions"}
    return {**event, "change": kept}


def account_details(account: Account) -> dict[str, Any]:
    """Return versions, months, counters and settlements of an account as JSON."""
    return {
        "adopted": {tariff: list(numbers) for tariff, numbers in account.adopted.items()},
        "staged": {tariff: list(numbers) for tariff, numbers in account.staged.items() if numbers},
        "periods": {
            label: {"amount": format_pico(spend.amount), "charges": spend.charges}
            for label, spend in sorted(account.periods.items())
        },
        "counters": {
            key: [
                {
                    "version": entry.version,
                    "metered": format_pico(entry.metered),
                    **({"promotion": entry.promotion} if entry.promotion else {}),
                }
                for entry in entries
            ]
            for key, entries in sorted(account.counters.items())
        },
        "close_grace_days": format_pico(account.close_grace * PICO // _DAY),
        "closed": sorted(account.closed),
        "settled": {key: format_pico(pico) for key, pico in sorted(account.settled.items())},
    }


def prepaid_details(account: Account) -> dict[str, Any]:
    """Return grants, buckets, limits, alerts and what waits of an account as JSON."""
    prepaid = account.prepaid
    closed = [name for name, bucket in prepaid.buckets.items() if bucket.is_closed]
    return {
        "grants": {
            grant_id: {**grant_document(given.grant), **({"void": True} if given.is_void else {})}
            for grant_id, given in prepaid.grants.items()
        },
        "buckets": [
            _bucket(prepaid.buckets[name]) for name in (*prepaid.open_buckets, *sorted(closed))
        ],
        "limits": {
            limit_id: {"limit": describe_limit(limit), "used": _used(account, limit)}
            for limit_id, limit in account.limits.by_id.items()
        },
        "alerts": sorted(account.raised),
        "pending_voids": [
            {
                "source": void.source,
                "event_id": void.event_id,
                "corrects": void.corrects,
                "lapses_at": format_instant(void.lapses_at),
            }
            for void in account.pending.values()
        ],
        "awaiting_approval": [
            {
                "command_id": command_id,
                "principal": awaiting.principal,
                "asks": f"{order_name(awaiting.order)}: {describe_order(awaiting.order)}",
            }
            for command_id, awaiting in account.awaiting.items()
        ],
    }


def _bucket(bucket: Bucket) -> dict[str, Any]:
    end = bucket.valid_to
    parts = ("granted", "remaining", "drawn", "expired", "rolled", "voided")
    return {
        "bucket": bucket.bucket_id,
        "state": "closed" if bucket.is_closed else "open",
        "unit": bucket.grant.unit,
        "valid_from": format_instant(bucket.valid_from),
        "valid_to": None if end is None else format_instant(end),
        **{name: format_pico(getattr(bucket, name)) for name in parts},
    }


def _used(account: Account, limit: Limit) -> dict[str, Any]:
    """Return what was used under a limit: by subject, if it is by subject, and period."""
    return {
        subject or "account": {label: format_pico(used) for label, used in uses}
        for (limit_id, subject), uses in sorted(account.limits.uses.items())
        if limit_id == limit.limit_id
    }
