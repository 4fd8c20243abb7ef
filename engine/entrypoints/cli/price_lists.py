"""Price lists as tariffs: `tollbook tariff import-prices` and `tollbook tariff import-history`.

Both print one row for each version. What the list says beyond the versions is counted by reason on
stderr, and is named field by field with `--json`.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.adapters.documents.reading import MAX_BYTES
from engine.adapters.price_list import ImportedPrices, import_price_list
from engine.adapters.price_list.history import Chain, chain, read_history
from engine.adapters.price_list.importing import parse_list
from engine.entrypoints.checking import require_reachable
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    parse_time,
    print_rows,
    progress_bar,
    read_lines,
    say,
)
from engine.entrypoints.cli.tariff import publish_version
from engine.rating.errors import InvalidDocument

TariffId = Annotated[str, typer.Option("--tariff-id", help="Tariff to write.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="Only these keys of the list (globs).")
]
Currency = Annotated[str, typer.Option("--currency", help="The list's currency.")]
Markup = Annotated[
    str, typer.Option("--markup", help="Percent on top of every price; the list price stays.")
]


def import_prices(
    file: Annotated[Path, typer.Argument(help="A price list in LiteLLM's format.")],
    tariff_id: TariffId = "list-prices",
    number: Annotated[int, typer.Option("--version", min=1, help="Version to write.")] = 1,
    effective_from: Annotated[str, typer.Option(help="First instant.")] = "2000-01-01T00:00:00Z",
    models: Models = None,
    currency: Currency = "USD",
    markup: Markup = "0",
    out: Annotated[
        Path | None, typer.Option(help="Write the tariff document here instead of publishing.")
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Turn a LiteLLM-format price list into one tariff version, and publish it.

    What can not be expressed is counted by reason on stderr; --json names every field.

    Example: tollbook tariff import-prices model_prices.json --model 'gpt-4o*' --out list.json

    Exit codes: 0 published or written; 1 the file can not be read or no price was found.
    """
    parse_time(effective_from, "--effective-from")
    imported = import_price_list(
        _read(file),
        tariff_id=tariff_id,
        version=number,
        effective_from=datetime.fromisoformat(effective_from).astimezone(UTC),
        currency=currency,
        models=models or (),
        markup_percent=markup,
    )
    told = _Told()
    told.add(imported)
    told.say()
    _print([_row(imported, _kept(imported, out, bootstrap))], as_json=as_json)


def import_history(
    file: Annotated[Path, typer.Argument(help="Dated changes of a price list, a line each.")],
    tariff_id: TariffId = "list-prices",
    models: Models = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="The list itself, for fields and models that never changed."),
    ] = None,
    currency: Currency = "USD",
    markup: Markup = "0",
    out: Annotated[
        Path | None, typer.Option(help="Write the documents to this folder, publish nothing.")
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Turn the dated changes of a price list into a chain of tariff versions, and publish them.

    Each date at which a chosen price changed starts a version, complete, at 00:00 UTC.

    Example: tollbook tariff import-history price_history.jsonl --model 'claude-*' --out versions

    Exit codes: 0 published or written; 1 a line can not be read, no price was found, or a version
    may not follow those that are published.
    """
    changes = read_history(read_lines(file))
    unchanged = parse_list(_read(prices)) if prices is not None else None
    told, rows = _Told(), []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with progress_bar("versions", len({change.day for change in changes})) as advance:
        for imported in chain(changes, Chain(tariff_id, currency, markup), models or (), unchanged):
            version = imported.version
            name = f"{tariff_id.replace('/', '_')}-{version.version:02d}.json"
            rows.append(_row(imported, _kept(imported, out and out / name, bootstrap)))
            told.add(imported)
            advance(1)
    told.say()
    _print(rows, as_json=as_json)


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InvalidDocument(str(file), file.stat().st_size, f"{MAX_BYTES} bytes at most")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDocument(str(file), str(error), "a readable JSON file") from error


def _kept(imported: ImportedPrices, file: Path | None, bootstrap: str | None) -> str:
    """Write a version to a file, or publish it; return what became of it."""
    if file is None:
        require_reachable(imported.version, "price list")
        is_new = publish_version(kafka(bootstrap), imported.version)
        return "published" if is_new else "was published before"
    document = json.dumps(imported.document, indent=1, ensure_ascii=False)
    file.write_text(f"{document}\n", encoding="utf-8")
    return str(file)


def _print(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    columns = ("tariff_id", "version", "effective_from", "models", "components", "state")
    print_rows(columns, rows, as_json=as_json, numbers="version models components")


def _row(imported: ImportedPrices, state: str) -> dict[str, Any]:
    document = imported.document
    return {
        "tariff_id": document["tariff_id"],
        "version": document["version"],
        "effective_from": document["effective_from"],
        "effective_to": document.get("effective_to", ""),
        "models": imported.models,
        "components": len(document["components"]),
        "state": state,
        "digest": imported.version.digest.hex(),
        "fields_expressed": imported.expressed,
        "not_expressed": [finding._asdict() for finding in imported.problems],
        "doubtful": [finding._asdict() for finding in imported.doubts],
        "without_price": imported.without_price,
    }


class _Told:
    """What the list has beyond the versions, each field once, as sentences for stderr."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, str], str] = {}
        self._doubts: dict[tuple[str, str], str] = {}
        self._last: ImportedPrices | None = None

    def add(self, imported: ImportedPrices) -> None:
        """Take in one version's findings."""
        self._last = imported
        self._problems |= {(item.entry, item.field): item.reason for item in imported.problems}
        self._doubts |= {(item.entry, item.field): item.reason for item in imported.doubts}

    def say(self) -> None:
        """Say it."""
        if self._last is None:
            return
        if self._last.without_price:
            count = len(self._last.without_price)
            say(f"{count} of {self._last.models} models have no price in the list")
        others = f"{len(self._problems)} not:" if self._problems else "none left out"
        say(f"fields of the list: {self._last.expressed} expressed, {others}")
        for reason, count in Counter(self._problems.values()).most_common():
            say(f"{count:>6}  {reason}")
        for reason, count in Counter(self._doubts.values()).most_common():
            say(f"{count:>6}  expressed, but doubtful: {reason}")
