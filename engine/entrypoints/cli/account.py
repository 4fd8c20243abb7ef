"""`tollbook account`: open accounts, assign and adopt tariffs, close periods."""

from typing import Annotated

import typer

from engine.adapters.documents.account_orders import close_period as close_order
from engine.adapters.documents.account_orders import frozen_zone
from engine.adapters.documents.grants import DAY, MAX_DAYS
from engine.entrypoints.cli.account_commands import (
    AccountId,
    Asked,
    CommandId,
    NeedsApproval,
    Principal,
    send,
)
from engine.entrypoints.cli.common import AsJson, Bootstrap, now, parse_time
from engine.rating.command import OVERAGES, PRICED, AdoptVersion, AssignTariff, OpenAccount
from engine.rating.errors import InvalidDocument
from engine.rating.money import MINOR_UNITS

app = typer.Typer(
    help="Accounts: who pays, in which currency, on which tariff, with what prepaid.",
    no_args_is_help=True,
)


@app.command("open")
def open_account(
    account_id: AccountId,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    time_zone: Annotated[str, typer.Option(help="IANA zone; months are counted in it.")] = "UTC",
    close_grace_days: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_DAYS, help="How long after its end a month may be closed first."
        ),
    ] = 0,
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an account to be opened. Asking again with the same content changes nothing.

    Example: tollbook account open acme --currency USD --time-zone Asia/Shanghai

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    if currency not in MINOR_UNITS:
        raise InvalidDocument("--currency", currency, "an ISO 4217 code such as USD")
    order = OpenAccount(currency, frozen_zone(time_zone), close_grace_days * DAY)
    send(account_id, order, Asked(command_id, principal, needs_approval, bootstrap, as_json))


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
    overage: Annotated[
        str, typer.Option(help="Usage that no bucket covers is priced, or suspended.")
    ] = PRICED,
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an account's usage to be rated with a tariff in [from, to), by time of use.

    With --overage suspended, usage that no bucket covers is not priced but waits in suspense.

    Example: tollbook account assign acme business --from 2026-11-01T00:00:00Z

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    if overage not in OVERAGES:
        raise InvalidDocument("--overage", overage, " or ".join(OVERAGES))
    start = parse_time(effective_from, "--from")
    order = AssignTariff(
        tariff_id, now() if start is None else start, parse_time(effective_to, "--to"), overage
    )
    send(account_id, order, Asked(command_id, principal, needs_approval, bootstrap, as_json))


@app.command()
def adopt(
    account_id: AccountId,
    tariff_id: Annotated[str, typer.Argument(help="A tariff of the account.")],
    version: Annotated[int, typer.Argument(min=1, help="A version that the account has staged.")],
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a staged tariff version to be used from now on, where that changes no charge.

    A version is staged when usage at or after its beginning was charged before it was known. If such
    a charge stands, the version is adopted together with its corrections, by re-rating.

    Example: tollbook account adopt acme business 3

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    order = AdoptVersion(tariff_id, version)
    send(account_id, order, Asked(command_id, principal, needs_approval, bootstrap, as_json))


@app.command("close-period")
def close_period(
    account_id: AccountId,
    period: Annotated[str, typer.Argument(help="Billing month in the account's zone: 2026-11.")],
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a billing month to be closed: what its minimums still owe is charged.

    It must be over, and the account's grace with it, when the command is received. Usage that comes
    later is charged to its own month and settles the minimum again. Where `tollbook clock` runs,
    months close by themselves.

    Example: tollbook account close-period acme 2026-11

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    order = close_order(period, "PERIOD")
    send(account_id, order, Asked(command_id, principal, needs_approval, bootstrap, as_json))
