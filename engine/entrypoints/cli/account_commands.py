"""What every account command shares: who asks, under which key, and how it is written."""

import re
import uuid
from typing import Annotated, NamedTuple

import typer

from engine.adapters.documents.account_orders import check_command, content_id
from engine.adapters.documents.grants import parse_amount
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.common import kafka, print_rows, say
from engine.rating.command import AccountCommand, Adjust, Order, RechargeBucket
from engine.rating.errors import InvalidDocument
from engine.rating.usage import MAX_TEXT, UNPRINTABLE

_SECOND = 1_000_000
_MOST_SECONDS = 50 * 366 * 86_400
_SPAN = re.compile(r"([1-9][0-9]{0,9})([smhdw])")
_SPAN_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}

AccountId = Annotated[str, typer.Argument(help="Who pays.")]
CommandId = Annotated[
    str | None,
    typer.Option(
        help="Idempotency key: what is asked twice under one key acts once. If left out, made from "
        "the command's content; a new one for recharges and adjustments."
    ),
]
Principal = Annotated[str, typer.Option(help="Who asks, for the record.")]
NeedsApproval = Annotated[
    bool,
    typer.Option("--needs-approval", help="It waits until a second principal approves it."),
]


class Asked(NamedTuple):
    """How a command is asked: its key, by whom, with or without a second principal, and where."""

    command_id: str | None
    principal: str
    needs_approval: bool
    bootstrap: str | None
    as_json: bool


def send(account_id: str, order: Order, asked: Asked) -> None:
    """Write one command, and print where. InvalidDocument for an id that can not be one."""
    _check_text("account_id", account_id)
    if asked.command_id is not None:
        _check_text("--command-id", asked.command_id)
    if asked.principal:
        _check_text("--principal", asked.principal)
    key = asked.command_id or _own_key(account_id, order)
    command = check_command(
        AccountCommand(key, account_id, asked.principal, order, asked.needs_approval)
    )
    with KafkaPublisher(kafka(asked.bootstrap)) as publisher:
        placed = publisher.command(command)
    row = {"command_id": command.command_id, **placed._asdict()}
    print_rows(tuple(row), [row], as_json=asked.as_json, numbers="partition offset")
    if command.needs_approval:
        say(
            "written; it waits until another principal approves it: "
            f"tollbook account approve {account_id} {command.command_id} --principal ..."
        )
    else:
        say("written; `tollbook account show` tells what a worker made of it")


def _own_key(account_id: str, order: Order) -> str:
    """Return a key: what moves money or units may be meant twice, all else is asked once."""
    if isinstance(order, Adjust | RechargeBucket):
        return uuid.uuid4().hex[:24]
    return content_id(account_id, order)


def _check_text(place: str, text: str) -> None:
    if not 0 < len(text) <= MAX_TEXT or UNPRINTABLE.search(text):
        raise InvalidDocument(place, text, f"1 to {MAX_TEXT} printable characters")


def read_amount(text: str, place: str, *, signed: bool = False) -> int:
    """Return an amount on the command line in pico. InvalidDocument for anything else."""
    try:
        return parse_amount(text, signed=signed)
    except ValueError as error:
        raise InvalidDocument(place, text, str(error)) from error


def read_span(text: str, place: str) -> int:
    """Return a span of time such as ``30d`` in us. InvalidDocument for anything else."""
    found = _SPAN.fullmatch(text)
    seconds = int(found[1]) * _SPAN_SECONDS[found[2]] if found else 0
    if not 0 < seconds <= _MOST_SECONDS:
        raise InvalidDocument(
            place, text, "a span such as 30d: a whole number of s, m, h, d or w, up to 50 years"
        )
    return seconds * _SECOND


def one_of(place: str, **options: str | None) -> tuple[str, str]:
    """Return name and text of the one option that is given. InvalidDocument for none or several."""
    given = [(name, text) for name, text in options.items() if text is not None]
    if len(given) != 1:
        found = ", ".join(f"--{name}" for name, _ in given) or "none of them"
        raise InvalidDocument(place, found, f"one of {', '.join(f'--{name}' for name in options)}")
    return given[0]
