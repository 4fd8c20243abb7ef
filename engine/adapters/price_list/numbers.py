"""Numbers of a price list: read as text, to the digit, and never by way of a float."""

import json
import re
from fractions import Fraction
from typing import Any

from engine.adapters.documents.fields import MAX_PRICE
from engine.adapters.price_list.entry import PER
from engine.rating.money import format_decimal
from engine.rating.usage import TOKEN_KINDS

_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
_MAX_SHOWN = 200
_QUOTED = {**dict.fromkeys(TOKEN_KINDS, " per million tokens"), "millisecond": " per second"}


def read_number(value: Any) -> Fraction:
    """Return a number of the list, exact. ValueError for anything else."""
    text = str(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise ValueError("expected a decimal number")
    return Fraction(text)


def read_whole(value: Any) -> int:
    """Return a whole number that may be written as ``256000.0``. ValueError for others."""
    number = read_number(value)
    if number.denominator != 1 or number < 0:
        raise ValueError("expected whole numbers of 0 or more")
    return int(number)


def read_price(value: Any, kind: str) -> Fraction:
    """Return a listed price of a kind for as many units as people quote it for (`PER`).

    The list's unit is a token, a second, or the kind's own. ValueError for what no tariff can hold.
    """
    price = read_number(value)
    if kind in TOKEN_KINDS:
        price *= PER[kind]
    quote(price, kind)
    return price


def quote(price: Fraction, kind: str) -> tuple[str, int]:
    """Return a price for `PER` units as a decimal and for how many units that is.

    A price that 18 decimals do not hold is quoted for a thousand times as many units, but for a
    search, which may cost the same for any number. ValueError for one that no tariff can hold.
    """
    if not 0 <= price < MAX_PRICE:
        raise ValueError(f"expected 0 to below {MAX_PRICE}{_QUOTED.get(kind, '')}")
    for more in (1,) if kind == "search" else (1, 1_000):
        try:
            return format_decimal(price * more), PER.get(kind, 1) * more
        except ValueError:
            pass
    raise ValueError(f"more decimals than a price can have{_QUOTED.get(kind, '')}")


def shown(value: Any) -> str:
    """Return a value of the list for a message."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
