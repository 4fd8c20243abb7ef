"""Exchange rates to bytes and back."""

from typing import Any

from engine.adapters.avro.wire import encode
from engine.rating.exchange import ExchangeRate, exchange_rate
from schemas.loader import latest

_SCHEMA = latest("exchange_rate")


def encode_exchange_rate(exchange: ExchangeRate) -> bytes:
    """Return an exchange rate in single-object encoding."""
    return encode(_SCHEMA, {**exchange._asdict(), "rate": exchange.text})


def exchange_rate_of(fields: dict[str, Any], place: str) -> ExchangeRate:
    """Return the exchange rate that decoded fields describe. InvalidDocument if it is not sound."""
    return exchange_rate(**fields, place=place)
