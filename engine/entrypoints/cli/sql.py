"""`tollbook sql`: questions to the archive."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import duckdb
import typer
from rich.markup import escape

from engine.entrypoints.cli.common import AsJson, print_json, print_rows
from replay.archive.errors import ArchiveError
from replay.archive.folder import Archive
from replay.archive.views import ask

_FETCH_ROWS = 10_000
_SHOWN_BYTES = 32
_NUMERIC = ("INT", "DECIMAL", "DOUBLE", "FLOAT")


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT (or DESCRIBE, SHOW TABLES).")],
    archive: Annotated[
        Path, typer.Option(envvar="TOLLBOOK_ARCHIVE", show_envvar=False, help="The archive.")
    ] = Path("archive"),
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Ask the archive: views usage, journal, charges, charge_lines, tariffs, accounts, balances, rejections.

    Decimals are printed exactly, as texts in JSON; times in UTC; bytes as hex.

    Example: tollbook sql "SELECT model, sum(amount) AS amount FROM charge_lines GROUP BY ALL"

    Exit codes: 0 printed; 1 there is no archive, or DuckDB refuses the query: the message says why.
    """
    try:
        columns, types, rows = _ask(Archive(archive), query)
        if as_json:
            for row in rows:
                print_json(dict(zip(columns, map(plain, row), strict=True)))
        elif as_csv:
            _print_csv(columns, rows)
        else:
            numbers = " ".join(
                name for name, kind in zip(columns, types, strict=True) if kind.startswith(_NUMERIC)
            )
            shown = (dict(zip(columns, map(_cell, row), strict=True)) for row in rows)
            print_rows(columns, shown, as_json=False, numbers=numbers)
    except duckdb.Error as error:
        raise ArchiveError(f"DuckDB refuses the query: {error}") from error


class _Answer(NamedTuple):
    columns: Sequence[str]
    types: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


def _ask(opened: Archive, query: str) -> _Answer:
    """Return the answer; ask once more if compaction took a file away meanwhile."""
    try:
        return _asked(opened, query)
    except duckdb.IOException:
        return _asked(opened, query)


def _asked(opened: Archive, query: str) -> _Answer:
    cursor = ask(opened, query)
    described = cursor.description or []
    first = cursor.fetchmany(_FETCH_ROWS)
    return _Answer(
        [column[0] for column in described],
        [str(column[1]) for column in described],
        chain(first, _rest(cursor)),
    )


def _rest(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_FETCH_ROWS):
        yield from rows


def plain(value: Any) -> Any:
    """Return a value as JSON has it: decimals as exact texts, times as RFC 3339, bytes as hex."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def _text(value: Any) -> str:
    shown = plain(value)
    if shown is None:
        return ""
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _cell(value: Any) -> str:
    if isinstance(value, bytes) and len(value) > _SHOWN_BYTES:
        return f"{value[:_SHOWN_BYTES].hex()}... ({len(value)} bytes)"
    return escape(_text(value))


def _print_csv(columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(map(_text, row))
