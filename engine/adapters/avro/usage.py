"""Usage events and batches to bytes and back.

Decoding gives `fields` for `engine.rating.usage.check_usage`; encoding takes the same fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.adapters.avro.wire import Decoded, decode, encode, from_decimal, to_decimal
from engine.rating.errors import Refusal
from engine.rating.usage import KINDS, MONEY_KINDS
from schemas.loader import latest

_EVENT = latest("usage_event")
_BATCH = latest("usage_batch")

Fields = dict[str, Any]
"""The fields of one usage event, named as in its schema; money kinds in pico."""

DEFAULTS: Mapping[str, Any] = {
    **{field["name"]: field["default"] for field in _EVENT.declared["fields"] if "default" in field}
}
NO_QUANTITIES: Mapping[str, int] = dict.fromkeys(KINDS, 0)


def encode_usage(fields: Fields) -> bytes:
    """Return one usage event in single-object encoding."""
    return encode(_EVENT, _to_wire(fields))


def encode_usage_batch(events: Sequence[Fields]) -> bytes:
    """Return many usage events as one usage batch in single-object encoding."""
    return encode(_BATCH, {"events": [_to_wire(fields) for fields in events]})


def decode_usage(data: bytes) -> list[Fields] | Refusal:
    """Read a usage event or a usage batch: the fields of its events, in order."""
    decoded = decode(data)
    if not isinstance(decoded, Decoded):
        return decoded
    if decoded.name == "usage_batch":
        events: list[Fields] = decoded.fields["events"]
        if not events:
            return Refusal("empty_batch", "events: got none, expected at least one")
    elif decoded.name == "usage_event":
        events = [decoded.fields]
    else:
        return Refusal(
            "wrong_record_type",
            f"value: got a {decoded.name}, expected a usage_event or usage_batch",
        )
    for fields in events:
        quantities = fields["quantities"]
        for kind in MONEY_KINDS:
            quantities[kind] = from_decimal(quantities[kind])
    return events


def _to_wire(fields: Fields) -> Fields:
    quantities = dict(fields["quantities"])
    for kind in MONEY_KINDS:
        quantities[kind] = to_decimal(quantities[kind])
    return {**fields, "quantities": quantities}
