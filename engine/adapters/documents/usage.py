"""The JSON form of a usage event: one object, its fields named as in schemas/avro/usage_event.

`parse_usage` checks shape and types and gives the same fields that decoding Avro gives, so that an
event has one digest whatever it travelled in; values are checked once, in `check_usage`, for both.
Types are strict, because a guess would be a charge: a count is a whole number and not a text, money
is a decimal text and not a number, a time has its zone and no more digits than are kept. An unknown
field is refused, not ignored: it may be a misspelt quantity.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from engine.adapters.avro.usage import DEFAULTS, NO_QUANTITIES, Fields
from engine.adapters.avro.wire import to_decimal
from engine.rating.errors import Refusal
from engine.rating.money import parse_decimal, to_pico
from engine.rating.period import instant
from engine.rating.usage import ACTIONS, INITIATORS, MAX_QUANTITY, MONEY_KINDS
from schemas.json_form import json_writer
from schemas.loader import latest

_SCHEMA = latest("usage_event").declared
_REQUIRED = frozenset(field["name"] for field in _SCHEMA["fields"]) - DEFAULTS.keys()
_SAID_BY_ORIGINAL = frozenset(("provider", "model", "quantities"))
"""What a void may leave out: the event that it takes back has said it."""
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6}0*)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_LONG = 2**63
_MAX_SHOWN = 80

_write = json_writer(_SCHEMA)


def parse_usage(data: Any) -> Fields | Refusal:
    """Return the fields of a usage event from its JSON form, or say why it is none.

    Codes: invalid_field, unknown_field, unknown_kind, invalid_time, missing_field,
    quantity_too_large (beyond 64 bits; `check_usage` knows the real limit).
    """
    if type(data) is not dict:
        return _invalid("usage event", data, "an object")
    fields: Fields = {**DEFAULTS, "attributes": {}}
    for name, value in data.items():
        read = _READERS.get(name)
        if read is None:
            return Refusal(
                "unknown_field",
                f"{shown(name)}: expected one of {', '.join(_READERS)}",
            )
        parsed = read(name, value)
        if isinstance(parsed, Refusal):
            return parsed
        fields[name] = parsed
    if data.keys() >= _REQUIRED:
        return fields
    missing = _REQUIRED - data.keys()
    if fields["action"] == "void":
        missing -= _SAID_BY_ORIGINAL
    if not missing:
        return {"provider": "", "model": "", "quantities": dict(NO_QUANTITIES), **fields}
    return Refusal("missing_field", f"{', '.join(sorted(missing))}: got nothing, expected a value")


def usage_json(fields: Fields) -> dict[str, Any]:
    """Return the JSON form of a usage event: the inverse of `parse_usage`, defaults left out."""
    quantities = dict(fields["quantities"])
    for kind in MONEY_KINDS:
        quantities[kind] = to_decimal(quantities[kind])
    form: dict[str, Any] = _write({**fields, "quantities": quantities})
    return form


def read_json(text: bytes | str) -> Any:
    """Return the data of a JSON text, or a Refusal (invalid_json).

    Bytes are UTF-8. NaN and infinity are no JSON, and a repeated key is refused: which of the two
    values was meant is not ours to choose.
    """
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError) as error:
        return Refusal("invalid_json", f"value: {str(error)[:_MAX_SHOWN]}, expected JSON in UTF-8")


def parse_time(name: str, value: Any) -> int | Refusal:
    """Return an RFC 3339 time as microseconds since 1970-01-01 UTC, or a Refusal (invalid_time)."""
    if type(value) is str and _TIME.fullmatch(value):
        try:
            return instant(datetime.fromisoformat(value.upper()))
        except (ValueError, OverflowError):
            pass  # such as February 30
    return Refusal(
        "invalid_time",
        f"{name}: got {shown(value)}, expected an RFC 3339 time with a zone and microseconds at "
        "most, such as 2026-11-24T09:15:02.120000Z",
    )


def shown(value: Any) -> str:
    """Return a value as a refusal shows it: short, printable, and safe for any value."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > _LONG.bit_length():
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > _MAX_SHOWN:
        return f"{value[:_MAX_SHOWN]!r}... ({len(value)} characters)"
    return repr(value) if isinstance(value, str) else json.dumps(value, default=repr)[:_MAX_SHOWN]


def _text(name: str, value: Any) -> str | Refusal:
    if type(value) is str and (value.isascii() or _has_utf8(value)):
        return value
    return _invalid(name, value, "a text")


def _has_utf8(text: str) -> bool:
    """Say whether a text can be written down: JSON can spell half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sequence(name: str, value: Any) -> int | Refusal:
    if type(value) is int and 0 <= value < _LONG:
        return value
    return _invalid(name, value, f"a whole number from 0 to below {_LONG}")


def _one_of(symbols: tuple[str, ...]) -> Callable[[str, Any], str | Refusal]:
    def read(name: str, value: Any) -> str | Refusal:
        if type(value) is str and value in symbols:
            return value
        return _invalid(name, value, f"one of {', '.join(symbols)}")

    return read


def _attributes(name: str, value: Any) -> dict[str, str] | Refusal:
    if type(value) is not dict:
        return _invalid(name, value, "an object of texts")
    for key, item in value.items():
        for text in (key, item):
            checked = _text(f"{name}.{shown(key)}", text)
            if isinstance(checked, Refusal):
                return checked
    return dict(value)


def _quantities(name: str, value: Any) -> dict[str, int] | Refusal:
    if type(value) is not dict:
        return _invalid(name, value, "an object of kinds")
    quantities = dict(NO_QUANTITIES)
    for kind, quantity in value.items():
        if kind not in quantities:
            kinds = ", ".join(NO_QUANTITIES)
            return Refusal("unknown_kind", f"{name}: got {shown(kind)}, expected one of {kinds}")
        if kind in MONEY_KINDS:
            pico = _money(f"{name}.{kind}", quantity)
            if isinstance(pico, Refusal):
                return pico
            quantities[kind] = pico
        elif type(quantity) is not int:
            return _invalid(f"{name}.{kind}", quantity, "a whole number")
        elif not -_LONG <= quantity < _LONG:
            return Refusal(
                "quantity_too_large",
                f"{name}.{kind}: got {shown(quantity)}, expected {MAX_QUANTITY} at most",
            )
        else:
            quantities[kind] = quantity
    return quantities


def _money(name: str, value: Any) -> int | Refusal:
    """Return pico of a decimal string."""
    if type(value) is str:
        try:
            return to_pico(parse_decimal(value))
        except ValueError:
            pass  # told below, with the place
    return _invalid(name, value, "a decimal string of 12 decimals at most, such as '0.0125'")


def _invalid(name: str, value: Any, expected: str) -> Refusal:
    return Refusal("invalid_field", f"{name}: got {shown(value)}, expected {expected}")


_BY_NAME: Mapping[str, Callable[[str, Any], object]] = {
    "occurred_at": parse_time,
    "quantities": _quantities,
    "initiator": _one_of(INITIATORS),
    "action": _one_of(ACTIONS),
    "attributes": _attributes,
    "publisher_sequence": _sequence,
}
_READERS: Mapping[str, Callable[[str, Any], object]] = {
    field["name"]: _BY_NAME.get(field["name"], _text) for field in _SCHEMA["fields"]
}


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {key!r} stands twice")
    return mapping


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unrepeated, parse_constant=_no_number)
