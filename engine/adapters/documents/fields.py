"""Fields that documents share: decimals, kinds, patterns, times, each with its JSON Schema.

Each parser takes what YAML or JSON holds and returns a checked value; what it refuses, it refuses
with the words "expected" goes on with.
"""

import re
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from engine.rating.component import WILDCARD
from engine.rating.money import MINOR_UNITS, parse_decimal, to_pico
from engine.rating.pattern import Pattern
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, instant
from engine.rating.usage import INITIATORS, KINDS, MAX_TEXT

MAX_PRICE = 10**9
MAX_WHOLE = 10**15
MAX_PERCENT = 10**6


def _written(value: Any) -> str:
    """Return a number as its text; ValueError for what is no decimal, or too long to be one."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("no decimal")  # noqa: TRY004 - the caller says what it expected
    return str(value)


def _price(value: Any) -> Fraction:
    """Parse a price; text of a decimal, 0 or more."""
    try:
        price = parse_decimal(_written(value))
    except ValueError as error:
        raise ValueError("a decimal string such as '2.50'") from error
    if not 0 <= price < MAX_PRICE:
        raise ValueError(f"a price from 0 to below {MAX_PRICE}")
    return price


def _weight(value: Any) -> Fraction:
    """Parse a weight; above zero, 12 decimals at most."""
    weight = _price(value)
    try:
        to_pico(weight)
    except ValueError as error:
        raise ValueError("a weight of 12 decimals at most") from error
    if weight == 0:
        raise ValueError("a weight above 0")
    return weight


def _decimal(value: Any, low: int, high: int, decimals: int) -> Fraction:
    expected = f"a decimal from {low} to below {high} with {decimals} decimals at most"
    try:
        number = parse_decimal(_written(value))
    except ValueError as error:
        raise ValueError(expected) from error
    if not low <= number < high or (number * 10**decimals).denominator != 1:
        raise ValueError(expected)
    return number


def _money(value: Any) -> int:
    """Parse an amount of money, 0 or more, into pico."""
    return to_pico(_decimal(value, 0, MAX_WHOLE, 12))


def _percent(value: Any) -> Fraction:
    """Parse a share in percent."""
    return _decimal(value, 0, MAX_PERCENT, 16)


def _markup(value: Any) -> Fraction:
    """Parse a markup in percent; a negative one is a discount."""
    return _decimal(value, -100, MAX_PERCENT, 4)


def _percent_off(value: Any) -> Fraction:
    """Parse a discount in percent."""
    percent = _decimal(value, 0, MAX_PERCENT, 4)
    if percent > 100:  # noqa: PLR2004 - the whole
        raise ValueError("a decimal from 0 to 100 with 4 decimals at most")
    return percent


def _initiator(value: Any) -> Pattern:
    pattern = _pattern(value)
    if any(choice not in INITIATORS for choice in pattern.choices):
        raise ValueError(f"who set the call off: {', '.join(INITIATORS)}")
    return pattern


def _kind(value: Any) -> str:
    if value not in (*KINDS, WILDCARD):
        raise ValueError(f"a kind of usage: {', '.join(KINDS)}, or {WILDCARD}")
    return str(value)


def _weights(value: Any) -> Any:
    """Turn a list of kinds into kinds of weight 1."""
    if not isinstance(value, list):
        return value
    if any(not isinstance(kind, str) for kind in value) or len(set(value)) != len(value):
        raise ValueError("a list of kinds, each only once, or a mapping of kinds to weights")
    return dict.fromkeys(value, "1")


def _pattern(value: Any) -> Pattern:
    """Parse a dimension's pattern: an exact text, a glob with * and ?, or a list of texts."""
    texts = value if isinstance(value, list) else [value]
    if not texts or any(
        not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or not text.isprintable()
        for text in texts
    ):
        raise ValueError("a text, a glob with * and ?, or a list of texts")
    globs = [text for text in texts if "*" in text or "?" in text]
    if globs and isinstance(value, list):
        raise ValueError("a list of exact texts (a glob stands alone)")
    return Pattern(glob=value) if globs else Pattern(choices=tuple(sorted(set(texts))))


def _currency(value: Any) -> str:
    if not isinstance(value, str) or value not in MINOR_UNITS:
        raise ValueError("an ISO 4217 currency code")
    return str(value)


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("an RFC 3339 time such as 2026-11-01T00:00:00Z")
    moment = datetime.fromisoformat(value)
    if not FIRST_INSTANT <= instant(moment) <= LAST_INSTANT:
        raise ValueError("a time from 2000 to 2050")
    return moment


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


_DECIMAL_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^(0|[1-9]\d*)(\.\d+)?$"}, {"type": "integer"}]
}
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
Price = Annotated[Fraction, BeforeValidator(_price), WithJsonSchema(_DECIMAL_SCHEMA)]
Weight = Annotated[Fraction, BeforeValidator(_weight), WithJsonSchema(_DECIMAL_SCHEMA)]
Kind = Annotated[
    str, BeforeValidator(_kind), WithJsonSchema({"enum": [*KINDS, WILDCARD], "type": "string"})
]
Whole = Annotated[int, Field(strict=True, ge=1, le=MAX_WHOLE)]
Currency = Annotated[str, BeforeValidator(_currency)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Identifier = Annotated[str, Field(strict=True, pattern=r"^[!-~]{1,128}$")]
Weights = Annotated[
    dict[Kind, Weight],
    BeforeValidator(_weights, json_schema_input_type=list[Kind] | dict[Kind, Weight]),
    Field(min_length=1),
]
TextPattern = Annotated[
    Pattern, BeforeValidator(_pattern), WithJsonSchema({"anyOf": [_TEXT, _TEXTS]})
]


InitiatorPattern = Annotated[
    Pattern, BeforeValidator(_initiator), WithJsonSchema({"anyOf": [_TEXT, _TEXTS]})
]
Money = Annotated[int, BeforeValidator(_money), WithJsonSchema(_DECIMAL_SCHEMA)]
Percent = Annotated[Fraction, BeforeValidator(_percent), WithJsonSchema(_DECIMAL_SCHEMA)]
PercentOff = Annotated[Fraction, BeforeValidator(_percent_off), WithJsonSchema(_DECIMAL_SCHEMA)]
Markup = Annotated[
    Fraction,
    BeforeValidator(_markup),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": r"^-?(0|[1-9]\d*)(\.\d+)?$"}, {"type": "integer"}]}
    ),
]


class DocumentModel(BaseModel):
    """A part of a document: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
