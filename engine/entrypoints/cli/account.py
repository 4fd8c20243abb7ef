"""`tollbook account`: open accounts, assign tariffs, close periods, list and show them."""

from hashlib import sha256
from typing import Annotated, Any

import typer

from engine.adapters.avro.journal import account_event_fields
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.zones import freeze_zone
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    now,
    opened_log,
    parse_time,
    partition_count,
    print_json,
    print_rows,
    progress_bar,
    say,
)
from engine.ports import TopicPartition
from engine.rating.account import Account
from engine.rating.charge import AccountEvent
from engine.rating.command import AccountCommand, AssignTariff, ClosePeriod, OpenAccount, Order
from engine.rating.errors import InvalidDocument
from engine.rating.lifecycle import MAX_CLOSE_GRACE
from engine.rating.money import MINOR_UNITS, PICO, format_pico
from engine.rating.month import month_of
from engine.rating.period import UTC_ZONE
from engine.rating.usage import MAX_TEXT
from engine.settings import KafkaSettings
from replay.journal import fold_journal, read_journal
from schemas.json_form import json_writer
from schemas.loader import latest

app = typer.Typer(
    help="Accounts: who pays, in which currency, on which tariff.", no_args_is_help=True
)

AccountId = Annotated[str, typer.Argument(help="Who pays.")]
_DAY = 24 * 3_600 * 1_000_000
_MAX_GRACE_DAYS = MAX_CLOSE_GRACE // _DAY
CommandId = Annotated[
    str | None,
    typer.Option(help="Idempotency key; made from the command's content if left out."),
]
Principal = Annotated[str, typer.Option(help="Who asks, for the record.")]


@app.command("open")
def open_account(
    account_id: AccountId,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    time_zone: Annotated[str, typer.Option(help="IANA zone; months are counted in it.")] = "UTC",
    close_grace_days: Annotated[
        int,
        typer.Option(
            min=0, max=_MAX_GRACE_DAYS, help="How long after its end a month may be closed first."
        ),
    ] = 0,
    command_id: CommandId = None,
    principal: Principal = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an account to be opened. Asking again with the same content changes nothing.

    Example: tollbook account open acme --currency USD --time-zone Asia/Shanghai

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    if currency not in MINOR_UNITS:
        raise InvalidDocument("--currency", currency, "an ISO 4217 code such as USD")
    order = OpenAccount(currency, freeze_zone(time_zone), close_grace_days * _DAY)
    _send(kafka(bootstrap), account_id, order, command_id, principal, as_json=as_json)


@app.command()
def assign(
    account_id: AccountId,
    tariff_id: Annotated[str, typer.Argument(help="A published tariff in the same currency.")],
    effective_from: Annotated[
        str | None, typer.Option("--from", show_default="now", help="First instant.")
    ] = None,
    effective_to: Annotated[
        str | None, typer.Option("--to", show_default="open", help="First instant after.")
    ] = None,
    command_id: CommandId = None,
    principal: Principal = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an account's usage to be rated with a tariff in [from, to), by time of use.

    Example: tollbook account assign acme business --from 2026-11-01T00:00:00Z

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    start = parse_time(effective_from, "--from")
    order = AssignTariff(
        tariff_id, now() if start is None else start, parse_time(effective_to, "--to")
    )
    _send(kafka(bootstrap), account_id, order, command_id, principal, as_json=as_json)


@app.command("close-period")
def close_period(
    account_id: AccountId,
    period: Annotated[str, typer.Argument(help="Billing month in the account's zone: 2026-11.")],
    command_id: CommandId = None,
    principal: Principal = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a billing month to be closed: what its minimums still owe is charged.

    It must be over, and the account's grace with it, when the command is received. Usage that comes
    later is charged to its own month and settles the minimum again.

    Example: tollbook account close-period acme 2026-11

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    if month_of(period, UTC_ZONE) is None:
        raise InvalidDocument("PERIOD", period, "a month such as 2026-11 from 2000 to 2049")
    order = ClosePeriod(period)
    _send(kafka(bootstrap), account_id, order, command_id, principal, as_json=as_json)


def _send(
    settings: KafkaSettings,
    account_id: str,
    order: Order,
    command_id: str | None,
    principal: str,
    *,
    as_json: bool,
) -> None:
    if not account_id or len(account_id) > MAX_TEXT or not account_id.isprintable():
        raise InvalidDocument("account_id", account_id, f"1 to {MAX_TEXT} printable characters")
    command = AccountCommand(
        command_id or content_id(account_id, order), account_id, principal, order
    )
    with KafkaPublisher(settings) as publisher:
        placed = publisher.command(command)
    row = {"command_id": command.command_id, **placed._asdict()}
    print_rows(tuple(row), [row], as_json=as_json, numbers="partition offset")
    say("written; `tollbook account show` tells what a worker made of it")


def content_id(account_id: str, order: Order) -> str:
    """Return an idempotency key made from a command's content."""
    return sha256(repr((account_id, type(order).__name__, order)).encode()).hexdigest()[:24]


@app.command("list")
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


@app.command()
def show(account_id: AccountId, bootstrap: Bootstrap = None) -> None:
    """Show one account as JSON, from the journal: due by month, counters, and every account event.

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
    print_json({**_summary(account), **account_details(account), "events": events_json})


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
