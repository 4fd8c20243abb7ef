"""`tollbook account apply`: many account commands from a file, all checked before one is written."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from engine.adapters.documents.account_orders import parse_order
from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.account_commands import NeedsApproval, Principal
from engine.entrypoints.cli.common import (
    EXIT_FAILED,
    AsJson,
    Bootstrap,
    kafka,
    print_rows,
    progress_bar,
    say,
)
from engine.rating.command import AccountCommand
from engine.rating.errors import InvalidDocument


def apply(
    file: Annotated[
        Path, typer.Argument(help="Orders: JSON lines, or a YAML or JSON list; - is stdin.")
    ],
    principal: Principal = "",
    needs_approval: NeedsApproval = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Write many account commands. If one can not be right, all problems are told and none is written.

    Each order has `account_id`, `do` (open, assign, grant, recharge, void-grant, limit, adjust, adopt,
    approve, close-period), the words of its command, and if wanted `key`, `principal` and
    `needs_approval`. Applying a file again changes nothing: each order acts once by its key, which is
    made from its content if left out.

    Example: tollbook account apply orders.jsonl --principal alice

    Exit codes: 0 all are written; 1 a problem was found and none is written, or Kafka failed.
    """
    commands = _checked(file, principal, needs_approval=needs_approval)
    with (
        KafkaPublisher(kafka(bootstrap)) as publisher,
        progress_bar("writing", len(commands)) as progress,
    ):
        for command in commands:
            publisher.commands([command])
            progress(1)
    summary = {
        "written": len(commands),
        "accounts": len({command.account_id for command in commands}),
    }
    print_rows(tuple(summary), [summary], as_json=as_json, numbers="written accounts")


def _checked(file: Path, principal: str, *, needs_approval: bool) -> list[AccountCommand]:
    """Return the commands of a file; typer.Exit once every problem is told."""
    read = read_orders(_text(file), str(file), principal, needs_approval=needs_approval)
    problems = [str(found) for found in read if isinstance(found, InvalidFile)]
    for problem in problems:
        say(problem)
    if problems:
        say(f"nothing is written: {len(problems)} of {len(read)} orders can not be right")
        raise typer.Exit(EXIT_FAILED)
    return [found for found in read if isinstance(found, AccountCommand)]


def _text(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDocument(str(file), str(error), "a readable UTF-8 file") from error


def read_orders(
    text: str, name: str, principal: str = "", *, needs_approval: bool = False
) -> list[AccountCommand | InvalidFile]:
    """Return the command of each order of a text, in order, or its problems with their line."""
    commands: list[AccountCommand | InvalidFile] = []
    first: dict[tuple[str, str], int] = {}
    for line, order in _orders(text, name):
        place = f"{name}:{line}"
        if isinstance(order, InvalidFile):
            commands.append(order)
            continue
        try:
            command = parse_order(order, place, principal, needs_approval=needs_approval)
        except InvalidFile as error:
            commands.append(error)
            continue
        before = first.setdefault((command.account_id, command.command_id), line)
        if before == line:
            commands.append(command)
        else:
            said = f"the one of line {before}"
            expected = "a key of its own: this order would not take effect"
            commands.append(InvalidFile(place, [InvalidDocument("key", said, expected)]))
    return commands


def _orders(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """Yield (line, data or its InvalidFile) of each order: of JSON lines, or of a list."""
    if text.lstrip()[:1] == "{":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, _line(line, f"{name}:{number}")
        return
    orders = parse_text(text, name)
    if not isinstance(orders, list):
        problem = InvalidDocument("document", type(orders).__name__, "a list of orders")
        raise InvalidFile(name, [problem])
    yield from zip(_lines_of_list(text, len(orders)), orders, strict=True)


def _line(text: str, place: str) -> Any:
    try:
        return parse_text(text, place)
    except InvalidFile as error:
        return error


def _lines_of_list(text: str, count: int) -> list[int]:
    """Return the line on which each entry of a YAML or JSON list begins."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(node, yaml.SequenceNode):
        return [entry.start_mark.line + 1 for entry in node.value]
    return [1] * count
