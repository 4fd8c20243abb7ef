"""A usage event as the bytes that a usage batch holds: written once, on the request path.

The spool keeps an event in the very bytes that go to Kafka, so the sender only strings them
together. They are written field by field, in the schema's order: a general writer walks the schema
for 13 us an event, this takes about 3, and a test holds the one against the other. The publisher
and its sequence stand last, because the sequence is not known before the event has its place.
"""

from collections.abc import Sequence

from engine.adapters.avro.primitives import (
    END_OF_ARRAY,
    decimal,
    long,
    repeated_long,
    repeated_text,
    text,
)
from engine.adapters.avro.usage import Fields
from engine.rating.usage import ACTIONS, INITIATORS, KINDS, MONEY_KINDS
from schemas.loader import latest

_SEVEN_BITS, _MORE = 0x7F, 0x80
_HEADER = latest("usage_batch").header
_INITIATOR = {symbol: long(n) for n, symbol in enumerate(INITIATORS)}
_ACTION = {symbol: long(n) for n, symbol in enumerate(ACTIONS)}
_ZERO = long(0)
_KINDS = tuple((kind, kind in MONEY_KINDS) for kind in KINDS)


def encode_start(fields: Fields) -> bytes:
    """Return an event without its publisher and sequence."""
    quantities, attributes = fields["quantities"], fields["attributes"]
    return b"".join(
        (
            repeated_text(fields["account_id"]),
            repeated_text(fields["source"]),
            text(fields["event_id"]),
            repeated_text(fields["subject"]),
            long(fields["occurred_at"]),
            repeated_text(fields["provider"]),
            repeated_text(fields["model"]),
            repeated_text(fields["operation"]),
            repeated_text(fields["service_tier"]),
            repeated_text(fields["region"]),
            *[
                decimal(quantities[kind])
                if is_money
                else repeated_long(quantities[kind])
                if quantities[kind]
                else _ZERO
                for kind, is_money in _KINDS
            ],
            text(fields["trace_id"]),
            text(fields["parent_event_id"]),
            _INITIATOR[fields["initiator"]],
            _ACTION[fields["action"]],
            text(fields["corrects"]),
            _map(attributes) if attributes else END_OF_ARRAY,
        )
    )


def encode_end(publisher: str, sequence: int) -> bytes:
    """Return what completes `encode_start`."""
    return repeated_text(publisher) + long(sequence)


def frame_batch(events: Sequence[bytes]) -> bytes:
    """Return encoded events as one usage batch in single-object encoding."""
    return b"".join((_HEADER, long(len(events)), *events, END_OF_ARRAY))


def account_of(event: bytes) -> bytes:
    """Return the account id of an encoded event, in UTF-8: its first field."""
    size = shift = place = 0
    while True:
        byte = event[place]
        size |= (byte & _SEVEN_BITS) << shift
        place, shift = place + 1, shift + 7
        if byte < _MORE:
            break
    size >>= 1  # zigzag: a length is never below zero
    return event[place : place + size]


def _map(attributes: dict[str, str]) -> bytes:
    parts = [repeated_text(part) for pair in attributes.items() for part in pair]
    return b"".join((long(len(attributes)), *parts, END_OF_ARRAY))
