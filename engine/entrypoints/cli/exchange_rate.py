"""`tollbook exchange-rate`: what a unit of one currency is worth in another, from an instant on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.documents.exchange_rates import parse_exchange_rates
from engine.adapters.documents.reading import read_document
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    parse_time,
    print_rows,
)
from engine.entrypoints.cli.tariff import read_tariffs
from engine.rating.errors import InvalidDocument
from engine.rating.exchange import ExchangeRate, exchange_rate
from engine.rating.language import require_exchange_rates
from engine.rating.period import format_instant

app = typer.Typer(
    help="Exchange rates: dated records that convert a supplier's cost.", no_args_is_help=True
)


@app.command()
def publish(
    base: Annotated[
        str | None, typer.Argument(help="Currency of the supplier tariff, ISO 4217.")
    ] = None,
    quote: Annotated[str | None, typer.Argument(help="Currency of the accounts.")] = None,
    rate: Annotated[
        str | None, typer.Argument(help="Units of QUOTE for one unit of BASE, a decimal.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="First instant of use that it counts for.")
    ] = None,
    source: Annotated[str, typer.Option(help="Where the rate comes from.")] = "",
    file: Annotated[
        Path | None, typer.Option(help="A list of rates instead, YAML or JSON.")
    ] = None,
    principal: Annotated[str, typer.Option(help="Who asks, for the record.")] = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish exchange rates. Publishing one again changes nothing; another rate for it is refused.

    It counts for usage rated from now on that was used at --from or later, until the pair's next one.

    Example: tollbook exchange-rate publish EUR USD 1.0834 --from 2026-11-01T00:00:00Z --source ECB

    Exit codes: 0 published, now or before; 1 a rate breaks a rule: then none is published.
    """
    given = {"BASE": base, "QUOTE": quote, "RATE": rate, "--from": since}
    rates = _one(given, source) if file is None else _listed(file, given)
    settings = kafka(bootstrap)
    known = read_tariffs(settings)
    require_exchange_rates(known.authority.rules)
    states = [known.book.supply.rates.is_known(entry) for entry in rates]
    with KafkaPublisher(settings) as publisher:
        for entry, is_known in zip(rates, states, strict=True):
            if not is_known:
                publisher.exchange_rate(entry._replace(principal=principal))
    rows = [
        {**_row(entry), "state": "was published before" if is_known else "published"}
        for entry, is_known in zip(rates, states, strict=True)
    ]
    print_rows((*_COLUMNS, "state"), rows, as_json=as_json, numbers="rate")


@app.command("list")
def list_rates(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """List all published exchange rates, by pair and instant.

    Example: tollbook exchange-rate list

    Exit codes: 0 listed; 1 Kafka does not answer.
    """
    rates = read_tariffs(kafka(bootstrap)).book.supply.rates.known()
    rows = [{**_row(known.exchange), "offset": known.offset} for known in rates]
    print_rows(_COLUMNS, rows, as_json=as_json, numbers="rate")


_COLUMNS = ("base", "quote", "rate", "effective_from", "source")


def _one(given: Mapping[str, str | None], source: str) -> list[ExchangeRate]:
    missing = [name for name, text in given.items() if text is None]
    if missing:
        raise InvalidDocument(" ".join(missing), "nothing", "BASE QUOTE RATE --from, or --file")
    base, quote, rate, since = (text or "" for text in given.values())
    return [exchange_rate(base, quote, rate, parse_time(since, "--from") or 0, source)]


def _listed(file: Path, given: Mapping[str, str | None]) -> list[ExchangeRate]:
    if any(text is not None for text in given.values()):
        raise InvalidDocument("--file", str(file), "a file, or BASE QUOTE RATE --from, not both")
    return parse_exchange_rates(read_document(file), str(file))


def _row(exchange: ExchangeRate) -> dict[str, object]:
    return {
        "base": exchange.base,
        "quote": exchange.quote,
        "rate": exchange.text,
        "effective_from": format_instant(exchange.effective_from),
        "source": exchange.source,
    }
