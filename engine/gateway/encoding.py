"""A usage event as the bytes that a usage batch holds: written once, on the request path.

The spool keeps an event in the very bytes that go to Kafka, so the sender only strings them
together. They are written field by field, in the schema's order: a general writer walks the schema
for 13 us an event, this takes about 3, and a test holds the one against the other. The publisher
and its sequence stand last, because the sequence is not known before the event has its place.

An event is written in the first version of the schema that can say it, and a spool may hold events of
both: what an earlier program left there, too. One of the second version has a mark in front, which no
event of the first can begin with: an odd byte is the length of no account.
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
from engine.adapters.avro.usage import LATER_KINDS, Fields, is_of_first_version
from engine.rating.usage import ACTIONS, INITIATORS, KINDS, MONEY_KINDS
from schemas.loader import versions

_SEVEN_BITS, _MORE = 0x7F, 0x80
_HEADER_1, _HEADER_2 = (schema.header for schema in versions("usage_batch"))
_MARK_2 = b"\x01"
_INITIATOR = {symbol: long(n) for n, symbol in enumerate(INITIATORS)}
_ACTION = {symbol: long(n) for n, symbol in enumerate(ACTIONS)}
_ZERO = long(0)
_KINDS_2 = tuple((kind, kind in MONEY_KINDS) for kind in KINDS)
_KINDS_1 = tuple(pair for pair in _KINDS_2 if pair[0] not in LATER_KINDS)


def encode_start(fields: Fields) -> bytes:
    """Return an event without its publisher and sequence."""
    quantities, attributes = fields["quantities"], fields["attributes"]
    is_first = is_of_first_version(fields)
    return b"".join(
        (
            b"" if is_first else _MARK_2,
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
                for kind, is_money in (_KINDS_1 if is_first else _KINDS_2)
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


def version_of(event: bytes) -> int:
    """Return the version of the schema that an encoded event is written in: 1 or 2."""
    return 2 if event.startswith(_MARK_2) else 1


def frame_batch(events: Sequence[bytes]) -> bytes:
    """Return encoded events, all of one version, as one usage batch in single-object encoding."""
    if version_of(events[0]) == 1:
        return b"".join((_HEADER_1, long(len(events)), *events, END_OF_ARRAY))
    bodies = [event[len(_MARK_2) :] for event in events]
    return b"".join((_HEADER_2, long(len(events)), *bodies, END_OF_ARRAY))


def account_of(event: bytes) -> bytes:
    """Return the account id of an encoded event, in UTF-8: its first field."""
    size = shift = 0
    place = 0 if version_of(event) == 1 else len(_MARK_2)
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
