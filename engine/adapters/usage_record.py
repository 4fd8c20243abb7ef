"""A record of the usage topic, whatever its format: Avro event, Avro batch, or CloudEvents JSON."""

from collections.abc import Sequence

from engine.adapters.avro.usage import Fields, decode_usage
from engine.adapters.cloudevents import decode_cloudevents, is_cloudevents
from engine.ports import LogRecord
from engine.rating.errors import Refusal

MAX_RECORD_BYTES = 1024 * 1024
"""Of a usage or command record, uncompressed; as `max.message.bytes` of its topic."""


def read_usage_record(record: LogRecord) -> Sequence[Fields | Refusal] | Refusal:
    """Return the fields of each event in the record, in order, or why it can not be read."""
    refusal = refuse_size(record)
    if refusal:
        return refusal
    if is_cloudevents(record.value, record.headers):
        return decode_cloudevents(record.value, record.headers)
    return decode_usage(record.value)


def refuse_size(record: LogRecord) -> Refusal | None:
    """Refuse a record that is larger than any may be."""
    if len(record.value) <= MAX_RECORD_BYTES:
        return None
    return Refusal(
        "record_too_large",
        f"value: got {len(record.value)} bytes, expected {MAX_RECORD_BYTES} at most",
    )
