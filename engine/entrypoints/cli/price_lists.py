"""Price lists as tariffs: `tollbook tariff import-prices`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.price_list import ImportedPrices, import_price_list
from engine.entrypoints.cli.common import AsJson, Bootstrap, kafka, parse_time, print_rows, say
from engine.entrypoints.cli.tariff import publish_version, report_version
from engine.rating.errors import InvalidDocument


def import_prices(
    file: Annotated[Path, typer.Argument(help="A price list in LiteLLM's format.")],
    tariff_id: Annotated[str, typer.Option(help="Tariff to write.")] = "list-prices",
    number: Annotated[int, typer.Option("--version", min=1, help="Version to write.")] = 1,
    effective_from: Annotated[str, typer.Option(help="First instant.")] = "2000-01-01T00:00:00Z",
    models: Annotated[
        list[str] | None, typer.Option("--model", help="Only these keys of the list (globs).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the tariff document here instead of publishing.")
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Turn a LiteLLM-format price list into one tariff version, per-token prices, and publish it.

    Prices that can not be expressed are listed on stderr with the reason.

    Example: tollbook tariff import-prices model_prices.json --model 'gpt-4o*' --out list.json

    Exit codes: 0 published or written; 1 the file can not be read or no price was found.
    """
    parse_time(effective_from, "--effective-from")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDocument(str(file), str(error), "a readable JSON file") from error
    imported = import_price_list(
        text,
        tariff_id=tariff_id,
        version=number,
        effective_from=datetime.fromisoformat(effective_from).astimezone(UTC),
        models=models or (),
    )
    _tell_problems(imported)
    if out is not None:
        document = json.dumps(imported.document, indent=1, ensure_ascii=False)
        out.write_text(f"{document}\n", encoding="utf-8")
        summary = {"file": str(out), "components": len(imported.version.components)}
        print_rows(tuple(summary), [summary], as_json=as_json, numbers="components")
        return
    published = publish_version(kafka(bootstrap), imported.version)
    report_version(imported.version, published=published, as_json=as_json)


def _tell_problems(imported: ImportedPrices) -> None:
    for problem in imported.problems:
        say(f"not expressed: {problem.entry}, {problem.field}: {problem.reason}")
    say(f"{imported.expressed} prices expressed; {len(imported.problems)} were not (listed above)")
