"""`tollbook rate`: rate usage offline, JSON lines in, JSON lines out."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from engine.adapters.avro.charge import charge_fields
from engine.adapters.documents.accounts import parse_accounts
from engine.adapters.documents.reading import read_document
from engine.adapters.documents.usage import read_json
from engine.entrypoints.checking import read_version
from engine.entrypoints.cli.common import EXIT_REJECTED, parse_time, progress_bar, read_lines, say
from engine.entrypoints.cli.tariff_sources import ExchangeRates, read_exchange_rates
from engine.entrypoints.offline import OfflineRating, Outcomes
from engine.entrypoints.tallying import counted_outcomes, outcome_name, refusal_of
from engine.rating.charge import SETTLEMENT, Charge
from engine.rating.errors import Refusal
from engine.settings import worker_settings
from schemas.json_form import json_writer
from schemas.loader import latest


def rate(
    tariff: Annotated[
        list[Path],
        typer.Option(
            "--tariff", help="A tariff version, YAML or JSON; also a supplier's. Repeatable."
        ),
    ],
    usage: Annotated[Path, typer.Option(help="Usage events, JSON lines; - is stdin.")],
    exchange_rates: ExchangeRates = None,
    accounts: Annotated[
        Path | None,
        typer.Option(help="Accounts to open; without it, each account seen is on the one tariff."),
    ] = None,
    close_until: Annotated[
        str | None,
        typer.Option(help="Close the months that are over at this time: settle their minimums."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write charges; - is stdout.")] = None,
) -> None:
    """Rate usage events offline: the same rules and the same charges as the engine, no Kafka.

    Charge events go out as JSON lines, in the order of the usage; what was rejected is told on
    stderr with its line. Duplicates are counted and give no charge. With --close-until, settlements
    up to the minimums of months that are over come last, by account and month.

    Example: tollbook rate --tariff business.yaml --usage usage.jsonl > charges.jsonl

    Exit codes: 0 all accepted; 1 a file can not be read or breaks a rule; 4 some was rejected.
    """
    until = parse_time(close_until, "--close-until")
    versions = [read_version(path) for path in tariff]
    orders = None if accounts is None else parse_accounts(read_document(accounts), str(accounts))
    rates = read_exchange_rates(exchange_rates)
    rating = OfflineRating(versions, orders, worker_settings().allowed_attributes, rates)
    counts: Counter[str] = Counter()
    with _writer(out) as stream, progress_bar("rating", None) as progress:
        for number, text in read_lines(usage):
            outcomes = rate_line(rating, number, text)
            counts[outcome_name(outcomes)] += 1
            for outcome in outcomes:
                if isinstance(outcome, Charge):
                    stream.write(_charge_json(outcome) + "\n")
                elif refusal := refusal_of(outcome):
                    say(f"{usage}:{number}: {refusal.code}: {refusal.explanation}")
            progress(1)
        later = [] if until is None else rating.advance(until)
        charges = [record for record in later if isinstance(record, Charge)]
        for charge in charges:
            stream.write(_charge_json(charge) + "\n")
    settled = sum(charge.kind == SETTLEMENT for charge in charges)
    say(counted_outcomes(counts) + ("" if until is None else f", {settled} settled"))
    if counts["rejected"]:
        raise typer.Exit(EXIT_REJECTED)


_to_json = json_writer(latest("charge_event").declared)


def _charge_json(charge: Charge) -> str:
    return json.dumps(_to_json(charge_fields(charge)), ensure_ascii=False, separators=(",", ":"))


def rate_line(rating: OfflineRating, number: int, text: str) -> Outcomes:
    """Rate one line of JSON; a line that is no JSON is refused."""
    data = read_json(text)
    return [data] if isinstance(data, Refusal) else rating.rate(data, number - 1)


@contextmanager
def _writer(out: Path | None) -> Iterator[TextIO]:
    if out is None or str(out) == "-":
        yield sys.stdout
        return
    with out.open("w", encoding="utf-8") as stream:
        yield stream
