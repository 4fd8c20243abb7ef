"""The document of exchange rates: a list, as finance keeps it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from engine.adapters.documents.fields import Currency, Moment
from engine.adapters.documents.reading import validate
from engine.rating.exchange import ExchangeRate, ExchangeRates, exchange_rate
from engine.rating.period import instant


def _rate(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ExchangeRateDocument(BaseModel):
    """`rate` units of `quote` are one unit of `base`, from `effective_from` on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Currency
    quote: Currency
    rate: Annotated[str, Field(strict=True), BeforeValidator(_rate)]
    effective_from: Moment
    source: Annotated[str, Field(strict=True)] = ""


class ExchangeRatesDocument(RootModel[list[ExchangeRateDocument]]):
    """Exchange rates, in any order."""


def parse_exchange_rates(data: Any, name: str) -> list[ExchangeRate]:
    """Return the rates that a document lists; InvalidFile with every problem otherwise."""

    def build(document: ExchangeRatesDocument) -> list[ExchangeRate]:
        rates = [_built(row, number) for number, row in enumerate(document.root)]
        together = ExchangeRates()
        for number, rate in enumerate(rates):
            together.add(rate, number)
        return rates

    return validate(ExchangeRatesDocument, data, name, build)


def _built(row: ExchangeRateDocument, number: int) -> ExchangeRate:
    moment: datetime = row.effective_from
    return exchange_rate(
        row.base, row.quote, row.rate, instant(moment), row.source, place=f"[{number}]"
    )
