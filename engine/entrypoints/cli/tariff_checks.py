"""`tollbook tariff validate`: every problem of a tariff, and a dry run, before it is published."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.adapters.documents.accounts import parse_accounts
from engine.adapters.documents.reading import read_document
from engine.entrypoints.checking import Checked, Problem, read_versions, succession_problems
from engine.entrypoints.cli.common import (
    EXIT_FAILED,
    EXIT_REJECTED,
    AsJson,
    kafka,
    print_json,
    print_rows,
    progress_bar,
    read_lines,
    say,
)
from engine.entrypoints.cli.rate import rate_line
from engine.entrypoints.cli.tariff import read_tariffs
from engine.entrypoints.cli.tariff_compare import tally_json, unpriced_sentences
from engine.entrypoints.cli.tariff_sources import ExchangeRates, read_exchange_rates
from engine.entrypoints.offline import OfflineRating
from engine.entrypoints.tallying import Tally, counted_outcomes
from engine.rating.errors import InvalidDocument
from engine.rating.exchange import ExchangeRate
from engine.rating.money import format_pico
from engine.rating.tariff_book import TariffBook
from engine.settings import worker_settings


def validate(
    files: Annotated[list[Path], typer.Argument(help="Versions, YAML or JSON.")],
    usage: Annotated[
        Path | None, typer.Option(help="Dry run on this usage, JSON lines; - is stdin.")
    ] = None,
    accounts: Annotated[
        Path | None,
        typer.Option(help="Accounts of the dry run; without it, each is on the one tariff."),
    ] = None,
    exchange_rates: ExchangeRates = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(help="Kafka, as host:port: the versions must follow what is published there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check tariff versions without publishing them: each, how they follow, what usage comes to.

    Every problem is told with its path in the file, the value and what was expected. With --usage,
    the usage is rated with the versions at their dates: how much is charged, what no price is there
    for, what it comes to.

    Example: tollbook tariff validate business-1.yaml business-2.yaml --usage october.jsonl

    Exit codes: 0 fine; 1 a file breaks a rule, or may not follow; 4 the dry run left usage in
    suspense or rejected.
    """
    checked, problems = read_versions(files)
    if bootstrap is None:
        book = TariffBook()
        problems += succession_problems(checked, book)
    else:
        published = read_tariffs(kafka(bootstrap))
        book = published.book
        problems += succession_problems(checked, book, published.authority.rules)
    tally = None
    if usage is not None and not problems:
        rates = [known.exchange for known in book.supply.rates.known()]
        rates += read_exchange_rates(exchange_rates)
        tally = _dry_run(checked, book, usage, accounts, rates)
    if as_json:
        print_json(_report(checked, problems, tally))
    else:
        _print_report(checked, problems, tally)
    if problems:
        raise typer.Exit(EXIT_FAILED)
    if tally is not None and tally.unpriced:
        raise typer.Exit(EXIT_REJECTED)


def _dry_run(
    checked: Sequence[Checked],
    book: TariffBook,
    usage: Path,
    accounts: Path | None,
    rates: Sequence[ExchangeRate],
) -> Tally:
    """Rate usage with the versions checked and those published before them."""
    orders = None if accounts is None else parse_accounts(read_document(accounts), str(accounts))
    named = {found.version.tariff_id for found in checked}
    versions = [
        known.version
        for tariff_id in book.tariff_ids()
        for known in book.versions(tariff_id)
        if orders is not None or known.version.is_of_supplier or tariff_id in named
    ]
    sold_by = sorted({version.tariff_id for version in versions if not version.is_of_supplier})
    if orders is None and len(sold_by) != 1:
        raise InvalidDocument("--usage", ", ".join(sold_by), "one tariff to sell by, or --accounts")
    rating = OfflineRating(versions, orders, worker_settings().allowed_attributes, rates)
    tally = Tally()
    with progress_bar("rating", None) as progress:
        for number, text in read_lines(usage):
            tally.take(rate_line(rating, number, text))
            progress(1)
    return tally


def _report(
    checked: Sequence[Checked], problems: Sequence[Problem], tally: Tally | None
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "versions": [_version_row(found) for found in checked],
        "problems": [found._asdict() | {"value": _shown(found.value)} for found in problems],
    }
    if tally is not None:
        totals = sorted(tally.totals().items())
        report["dry_run"] = {
            **tally_json(tally),
            "totals": {currency: format_pico(amount) for currency, amount in totals},
            "components": _component_rows(tally),
        }
    return report


def _shown(value: object) -> object:
    """Return a value as JSON shows it: a number or text as it is, all else as its text."""
    return value if isinstance(value, str | int | None) else str(value)


def _version_row(found: Checked) -> dict[str, Any]:
    return {
        "file": found.file,
        "tariff_id": found.version.tariff_id,
        "version": found.version.version,
        "components": len(found.version.components),
        "digest": found.version.digest.hex(),
    }


def _component_rows(tally: Tally) -> list[dict[str, str]]:
    sums: dict[tuple[str, str], int] = {}
    for part, amount in tally.amounts.items():
        key = part.component, part.currency
        sums[key] = sums.get(key, 0) + amount
    return [
        {"component": component, "currency": currency, "amount": format_pico(amount)}
        for (component, currency), amount in sorted(sums.items())
    ]


def _print_report(
    checked: Sequence[Checked], problems: Sequence[Problem], tally: Tally | None
) -> None:
    for found in problems:
        typer.echo(f"{found.file}: {found.path}: got {found.value!r}, expected {found.expected}")
    if problems:
        say("1 problem" if len(problems) == 1 else f"{len(problems)} problems")
        return
    rows = [_version_row(found) for found in checked]
    columns = ("file", "tariff_id", "version", "components")
    print_rows(columns, rows, as_json=False, numbers="version components")
    if tally is None:
        return
    components = _component_rows(tally)
    print_rows(("component", "currency", "amount"), components, as_json=False, numbers="amount")
    for currency, amount in sorted(tally.totals().items()):
        typer.echo(f"total {format_pico(amount)} {currency}")
    say(counted_outcomes(tally.events))
    for sentence in unpriced_sentences(tally):
        say(sentence)
