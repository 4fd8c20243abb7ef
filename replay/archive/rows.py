"""Rows from records: what the columns of a segment say, one row per event or journal record.

A record always gives at least one row, and its first row carries the original bytes; so whatever
can not be decoded is still archived, with the code of why. A usage batch gives one row per event,
from index 0 on; a journal commit gives a row of its own at index -1 and one row for each record in
it. Columns are for questions; the evidence is the bytes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from engine.adapters.avro.wire import HEADER_SIZE, decode
from engine.adapters.usage_record import read_usage_record
from engine.ports import LogRecord
from engine.rating.errors import Refusal
from schemas.loader import by_fingerprint

COMMIT_INDEX = -1


class Row(NamedTuple):
    """One row. `type`: the record's type, empty if unknown; `refusal`: why it is not decoded.

    `fields`: the decoded records that the row shows, by type.
    """

    record: LogRecord
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    type: str
    refusal: str
    fields: Mapping[str, Mapping[str, Any]]


def rows_of(record: LogRecord) -> Iterator[Row]:
    """Yield the rows of one record, in order."""
    return _BY_TOPIC.get(record.topic, _plain_rows)(record)


def _type_of(data: bytes) -> str:
    schema = by_fingerprint(data[:HEADER_SIZE])
    return schema.name if schema else ""


def _plain_rows(record: LogRecord) -> Iterator[Row]:
    decoded = decode(record.value)
    if isinstance(decoded, Refusal):
        yield Row(record, 0, _type_of(record.value), decoded.code, {})
    else:
        yield Row(record, 0, decoded.name, "", {decoded.name: decoded.fields})


def _usage_rows(record: LogRecord) -> Iterator[Row]:
    yield from _event_rows(record, record, {})


def _event_rows(
    record: LogRecord, usage: LogRecord, around: Mapping[str, Mapping[str, Any]]
) -> Iterator[Row]:
    """Yield a row per event of a usage record; `around` is shown beside each."""
    kind = _type_of(record.value)
    found = read_usage_record(usage)
    if isinstance(found, Refusal):
        yield Row(record, 0, kind, found.code, around)
        return
    for index, fields in enumerate(found):
        if isinstance(fields, Refusal):
            yield Row(record, index, kind, fields.code, around)
        else:
            yield Row(record, index, kind, "", {**around, "usage_event": fields})


def _forwarded_rows(record: LogRecord) -> Iterator[Row]:
    decoded = decode(record.value)
    if isinstance(decoded, Refusal) or decoded.name != "forwarded_usage":
        yield from _plain_rows(record)
        return
    usage = record._replace(value=decoded.fields["usage"], headers=())
    yield from _event_rows(record, usage, {decoded.name: decoded.fields})


def _journal_rows(record: LogRecord) -> Iterator[Row]:
    decoded = decode(record.value)
    if isinstance(decoded, Refusal) or decoded.name != "journal_commit":
        yield from _plain_rows(record)
        return
    yield Row(record, COMMIT_INDEX, decoded.name, "", {decoded.name: decoded.fields})
    for index, data in enumerate(decoded.fields["records"]):
        entry = decode(data)
        if isinstance(entry, Refusal):
            yield Row(record, index, _type_of(data), entry.code, {})
        else:
            yield Row(record, index, entry.name, "", {entry.name: entry.fields})


_BY_TOPIC: dict[str, Callable[[LogRecord], Iterator[Row]]] = {
    "usage": _usage_rows,
    "usage-forwarded": _forwarded_rows,
    "journal": _journal_rows,
}
