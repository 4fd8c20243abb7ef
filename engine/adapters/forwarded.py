"""Forwarded usage: an event that stood on another partition than its account's, passed on once.

Other clients hash keys differently, so usage may arrive on the wrong partition. The worker that
finds it writes it to `usage-forwarded` with its first position and time, in the transaction that
counts it as forwarded; the worker of the right partition reads it as if it had come there at that
time.
"""

from typing import Any

from engine.adapters.avro.usage import Fields, encode_usage
from engine.adapters.avro.wire import decode, encode
from engine.ports import LogRecord
from engine.rating.errors import Refusal
from engine.rating.usage import Origin, Position
from schemas.loader import latest

FORWARDED = "usage-forwarded"
_SCHEMA = latest("forwarded_usage")


def encode_forwarded(origin: Origin, fields: Fields) -> bytes:
    """Return an event to pass on, in single-object encoding."""
    return encode(
        _SCHEMA,
        {
            "position": origin.position._asdict(),
            "received_at": origin.received_at,
            "usage": encode_usage(fields),
        },
    )


def first_position(record: LogRecord) -> Position | Refusal:
    """Return where a forwarded record's event stood first."""
    fields = _fields(record)
    return fields if isinstance(fields, Refusal) else Position(**fields["position"])


def as_received(record: LogRecord) -> LogRecord | Refusal:
    """Return a usage record as it was first received: a forwarded one with its first time.

    It keeps the place where it stands now, which is the position that its charge names.
    """
    if record.topic != FORWARDED:
        return record
    fields = _fields(record)
    if isinstance(fields, Refusal):
        return fields
    return record._replace(value=fields["usage"], appended_at=fields["received_at"], headers=())


def _fields(record: LogRecord) -> dict[str, Any] | Refusal:
    decoded = decode(record.value)
    if isinstance(decoded, Refusal):
        return decoded
    if decoded.name != "forwarded_usage":
        return Refusal(
            "wrong_record_type", f"value: got a {decoded.name}, expected a forwarded_usage"
        )
    return decoded.fields
