"""Usage events and batches to bytes and back.

Decoding gives `fields` for `engine.rating.usage.check_usage`; encoding takes the same fields.

An event is written in the first version of its schema that can say it. So the bytes of what could be
said before stay the same after an upgrade (a rejection in the journal holds them), and an older
reader is asked for no more than it must be (docs/decisions/0018).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.adapters.avro.wire import Decoded, decode_as_written, encode, from_decimal, to_decimal
from engine.rating.errors import Refusal
from engine.rating.usage import KINDS, MONEY_KINDS
from schemas.loader import RecordSchema, latest, versions

_EVENTS = versions("usage_event")
_BATCHES = versions("usage_batch")

Fields = dict[str, Any]
"""The fields of one usage event, named as in its schema; money kinds in pico."""

DEFAULTS: Mapping[str, Any] = {
    **{
        field["name"]: field["default"]
        for field in latest("usage_event").declared["fields"]
        if "default" in field
    }
}
NO_QUANTITIES: Mapping[str, int] = dict.fromkeys(KINDS, 0)

LATER_KINDS = ("audio_cache_read",)
"""What the second version of the schemas added to the first, and all that it added."""


def encode_usage(fields: Fields) -> bytes:
    """Return one usage event in single-object encoding."""
    return encode(_first_fit(_EVENTS, (fields,)), _to_wire(fields))


def encode_usage_batch(events: Sequence[Fields]) -> bytes:
    """Return many usage events as one usage batch in single-object encoding."""
    schema = _first_fit(_BATCHES, events)
    return encode(schema, {"events": [_to_wire(fields) for fields in events]})


def is_of_first_version(fields: Fields) -> bool:
    """Say whether the first version of the schemas can say an event."""
    quantities = fields["quantities"]
    for kind in LATER_KINDS:  # noqa: SIM110 - a request waits for it, and `any` is slower
        if quantities[kind]:
            return False
    return True


def _first_fit(schemas: Sequence[RecordSchema], events: Sequence[Fields]) -> RecordSchema:
    first, second = schemas
    return first if all(is_of_first_version(fields) for fields in events) else second


def decode_usage(data: bytes) -> list[Fields] | Refusal:
    """Read a usage event or a usage batch: the fields of its events, in order."""
    decoded = decode_as_written(data)
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
        for kind in LATER_KINDS:  # by hand: the general way takes three times as long to decode
            quantities.setdefault(kind, 0)
        for kind in MONEY_KINDS:
            quantities[kind] = from_decimal(quantities[kind])
    return events


def _to_wire(fields: Fields) -> Fields:
    quantities = dict(fields["quantities"])
    for kind in MONEY_KINDS:
        quantities[kind] = to_decimal(quantities[kind])
    return {**fields, "quantities": quantities}
