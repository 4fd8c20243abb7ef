"""A record of the usage topic, whatever its format: Avro event, Avro batch, or CloudEvents JSON."""

from collections.abc import Sequence

from engine.adapters.avro.usage import Fields, decode_usage
from engine.adapters.cloudevents import decode_cloudevents, is_cloudevents
from engine.ports import LogRecord
from engine.rating.errors import Refusal

MAX_RECORD_BYTES = 1024 * 1024
"""Of a usage or command record, uncompressed; as `max.message.bytes` of its topic."""

MAX_RECORD_EVENTS = 1_000
"""Of a batch. What is decided of one record goes into one commit, and charges of many lines are
far larger than the events they price: the bound keeps that commit below Kafka's 16 MiB."""


def read_usage_record(record: LogRecord) -> Sequence[Fields | Refusal] | Refusal:
    """Return the fields of each event in the record, in order, or why it can not be read."""
    refusal = refuse_size(record)
    if refusal:
        return refusal
    found: Sequence[Fields | Refusal] | Refusal
    if is_cloudevents(record.value, record.headers):
        found = decode_cloudevents(record.value, record.headers)
    else:
        found = decode_usage(record.value)
    if not isinstance(found, Refusal) and len(found) > MAX_RECORD_EVENTS:
        return Refusal(
            "too_many_events", f"events: got {len(found)}, expected {MAX_RECORD_EVENTS} at most"
        )
    return found


def refuse_size(record: LogRecord) -> Refusal | None:
    """Refuse a record that is larger than any may be."""
    if len(record.value) <= MAX_RECORD_BYTES:
        return None
    return Refusal(
        "record_too_large",
        f"value: got {len(record.value)} bytes, expected {MAX_RECORD_BYTES} at most",
    )
