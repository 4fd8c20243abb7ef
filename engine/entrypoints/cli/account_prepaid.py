"""`tollbook account`: what is prepaid and what may be spent: grants, recharges, limits, adjustments."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.adapters.documents.account_orders import content_id
from engine.adapters.documents.grants import parse_grant, parse_limit
from engine.adapters.documents.reading import read_document
from engine.entrypoints.cli.account_commands import (
    AccountId,
    Asked,
    CommandId,
    NeedsApproval,
    Principal,
    one_of,
    read_amount,
    read_span,
    send,
)
from engine.entrypoints.cli.common import AsJson, Bootstrap, now, parse_time
from engine.rating.command import (
    Adjust,
    Approve,
    IssueGrant,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.errors import InvalidDocument
from engine.rating.grant import Grant
from engine.rating.period import format_instant

Tokens = Annotated[str | None, typer.Option(help="How many units, of burn weights.")]
Money = Annotated[str | None, typer.Option(help="How much, in the account's currency.")]
From = Annotated[
    str | None, typer.Option("--from", show_default="now", help="First time of use covered.")
]
To = Annotated[str | None, typer.Option("--to", show_default="open", help="First time after it.")]
For = Annotated[str | None, typer.Option("--for", help="How long it is valid: 30d, 12h, 4w.")]
GrantId = Annotated[str, typer.Argument(help="Name of the grant within the account.")]


def grant(
    account_id: AccountId,
    grant_id: GrantId,
    tokens: Tokens = None,
    money: Money = None,
    valid_from: From = None,
    valid_to: To = None,
    valid_for: For = None,
    priority: Annotated[
        int | None, typer.Option(show_default="0", help="Lower is drawn first.")
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            show_default="1 for every kind of token",
            help="Units per token of a kind, as KIND=UNITS; other kinds are not covered. Repeatable.",
        ),
    ] = None,
    per_subject_cap: Annotated[
        str | None, typer.Option(help="Most that one subject may draw from a bucket.")
    ] = None,
    recurs: Annotated[
        str | None, typer.Option(help="A new bucket each day, week, calendar_month or year.")
    ] = None,
    rollover_up_to: Annotated[
        str | None, typer.Option(help="Most that lives on when a bucket closes.")
    ] = None,
    rollover_at_least: Annotated[
        str | None, typer.Option(help="Least that the bucket after it gets.")
    ] = None,
    paid: Annotated[bool, typer.Option("--paid", help="The customer paid for it.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="A grant as YAML or JSON, with all its terms; options replace its own."),
    ] = None,
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Give prepaid units, tokens or money, that usage draws from before anything is due.

    A file may say more than the options: weights by model, what usage it covers, its own alerts.

    Example: tollbook account grant acme starter --tokens 10000000 --for 30d

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    said = {
        **_amount(tokens, money, is_needed=file is None),
        "priority": priority,
        "weights": None if not weight else dict(map(_weight, weight)),
        "per_subject_cap": per_subject_cap,
        "recurs": recurs,
        "rollover_up_to": rollover_up_to,
        "rollover_at_least": rollover_at_least,
        "paid": paid or None,
    }
    terms = {} if file is None else _read_terms(file)
    terms |= {name: value for name, value in said.items() if value is not None}
    terms["grant_id"] = grant_id
    given = _build(terms, str(file or "grant"), valid_from, valid_to, valid_for)
    asked = Asked(command_id, principal, needs_approval, bootstrap, as_json)
    send(account_id, IssueGrant(given), asked)


def recharge(
    account_id: AccountId,
    tokens: Tokens = None,
    money: Money = None,
    bucket: Annotated[
        str | None, typer.Option(help="An open bucket to fill; in its own unit.")
    ] = None,
    grant_id: Annotated[
        str | None,
        typer.Option(show_default="made from the key", help="Without --bucket: the new grant's."),
    ] = None,
    valid_from: From = None,
    valid_to: To = None,
    valid_for: For = None,
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Add what a customer has paid for: into an open bucket, or as a paid grant of its own.

    Give each payment its own --command-id, such as its invoice number: a retry then adds nothing.
    Without one, asking twice adds twice.

    Example: tollbook account recharge acme --money 50 --command-id invoice-2026-117

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    asked = Asked(command_id, principal, needs_approval, bootstrap, as_json)
    if bucket is not None:
        for name, text in (
            ("--grant-id", grant_id),
            ("--from", valid_from),
            ("--to", valid_to),
            ("--for", valid_for),
        ):
            if text is not None:
                raise InvalidDocument(name, text, "not together with --bucket")
        name, text = one_of("recharge", tokens=tokens, money=money)
        order = RechargeBucket(bucket, read_amount(text, f"--{name}"), name)
        send(account_id, order, asked)
        return
    terms = {**_amount(tokens, money, is_needed=True), "paid": True, "grant_id": grant_id or "new"}
    paid = _build(terms, "recharge", valid_from, valid_to, valid_for)
    if grant_id is None:
        key = command_id or content_id(account_id, IssueGrant(paid))
        paid = paid._replace(grant_id=f"recharge-{sha256(key.encode()).hexdigest()[:12]}")
    send(account_id, IssueGrant(paid), asked)


def void_grant(
    account_id: AccountId,
    grant_id: GrantId,
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Take a grant back: what remains in its buckets is void, and no bucket opens any more.

    What usage has drawn stays drawn.

    Example: tollbook account void-grant acme starter

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    asked = Asked(command_id, principal, needs_approval, bootstrap, as_json)
    send(account_id, VoidGrant(grant_id), asked)


def limit(
    account_id: AccountId,
    limit_id: Annotated[str, typer.Argument(help="Name of the limit within the account.")],
    spend: Annotated[str | None, typer.Option(help="Most that charges may come to.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Most tokens, of any kind.")] = None,
    per: Annotated[str, typer.Option(help="day or billing_period.")] = "billing_period",
    each_subject: Annotated[
        bool, typer.Option("--each-subject", help="For each subject by itself.")
    ] = False,
    subject: Annotated[str | None, typer.Option(help="For this subject only.")] = None,
    warn_at: Annotated[
        list[int] | None,
        typer.Option(show_default="80", help="A percentage that raises an alert. Repeatable."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the limit away.")] = False,
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Set how much may be used in a day or a billing period. Reaching it raises an alert.

    Usage that has happened is charged all the same; a gateway asks before the next call.

    Example: tollbook account limit acme monthly --spend 100 --warn-at 80 --warn-at 95

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    terms: dict[str, Any] = {
        "limit_id": limit_id,
        "spend": spend,
        "tokens": tokens,
        "per": per,
        "each_subject": each_subject,
        "subject": subject,
        "warn_at": warn_at,
        "remove": remove,
    }
    said = {name: value for name, value in terms.items() if value is not None}
    asked = Asked(command_id, principal, needs_approval, bootstrap, as_json)
    send(account_id, SetLimit(parse_limit(said, "limit")), asked)


def adjust(
    account_id: AccountId,
    amount: Annotated[str, typer.Argument(help="What to add to the due; below 0 lowers it.")],
    reason: Annotated[str, typer.Option(help="Why, for the customer and the record.")],
    at: Annotated[
        str | None,
        typer.Option(show_default="on receipt", help="The time that it is for: its month."),
    ] = None,
    corrects: Annotated[str, typer.Option(help="The charge that it makes good for.")] = "",
    command_id: CommandId = None,
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Change what an account owes by an amount: a credit, a fee, a write-off.

    Money buckets pay for what it adds. Give it a --command-id, such as a ticket's number, and a retry
    changes nothing; without one, asking twice adjusts twice.

    Example: tollbook account adjust acme -12.50 --reason 'outage of 2026-11-24'

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    pico = read_amount(amount, "AMOUNT", signed=True)
    order = Adjust(pico, reason, parse_time(at, "--at"), corrects)
    send(account_id, order, Asked(command_id, principal, needs_approval, bootstrap, as_json))


def approve(
    account_id: AccountId,
    awaited: Annotated[
        str, typer.Argument(metavar="COMMAND_ID", help="The command that waits: `account show`.")
    ],
    principal: Annotated[str, typer.Option(help="Who approves: not who asked.")],
    command_id: CommandId = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Let a command of another principal take effect.

    Example: tollbook account approve acme credit-7 --principal bob

    Exit codes: 0 the command is written; 1 it is not. `account show` tells what became of it.
    """
    asked = Asked(command_id, principal, False, bootstrap, as_json)
    send(account_id, Approve(awaited), asked)


def _amount(tokens: str | None, money: str | None, *, is_needed: bool) -> dict[str, Any]:
    """Return unit and amount as a document has them; nothing if a file says them."""
    if not is_needed and tokens is None and money is None:
        return {}
    unit, amount = one_of("amount", tokens=tokens, money=money)
    return {"unit": unit, "amount": amount}


def _weight(text: str) -> tuple[str, str]:
    kind, equals, units = text.partition("=")
    if not equals:
        raise InvalidDocument("--weight", text, "KIND=UNITS such as output=4")
    return kind, units


def _read_terms(file: Path) -> dict[str, Any]:
    terms = read_document(file)
    if not isinstance(terms, dict):
        raise InvalidDocument(str(file), type(terms).__name__, "a grant: a mapping of fields")
    return terms


def _build(
    terms: dict[str, Any],
    name: str,
    valid_from: str | None,
    valid_to: str | None,
    valid_for: str | None,
) -> Grant:
    """Return a grant with its time; from now on, if neither options nor terms say when."""
    start, end = parse_time(valid_from, "--from"), parse_time(valid_to, "--to")
    if start is not None or "valid_from" not in terms:
        terms["valid_from"] = format_instant(now() if start is None else start)
    if valid_for is not None:
        if valid_to is not None:
            raise InvalidDocument("--for", valid_for, "either --to or --for")
        begin = parse_time(str(terms["valid_from"]), "valid_from")
        end = (begin or 0) + read_span(valid_for, "--for")
    if end is not None:
        terms["valid_to"] = format_instant(end)
    return parse_grant(terms, name)
