"""The tables of an archive: per topic an envelope of columns, and a struct per type of record.

The envelope is the same for all: `offset`, `index`, `type`, `refusal`, `appended_at`, and on a
record's first row `key`, `headers` and `value`, the original. The structs follow from the Avro
schemas, so a field that a schema gains is a column that the next segment has; readers merge the
columns of older and newer segments by name.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa

from engine.ports import LogRecord
from replay.archive.columns import TIME, Column, column_of, numbers, texts
from replay.archive.rows import Row, rows_of
from schemas.loader import latest

_TYPES = {
    "usage": ("usage_event",),
    "usage-forwarded": ("forwarded_usage", "usage_event"),
    "accounts": ("account_command",),
    "tariffs": ("tariff_version", "source_registration", "rules_revision", "exchange_rate"),
    "journal": ("journal_commit", "charge_event", "account_event", "rejection"),
}
"""The types of record that each topic's table has columns for. Others keep their bytes."""

_LEFT_OUT = {
    "journal_commit": ("partition", "records"),
    "forwarded_usage": ("usage",),
}
"""Fields without a column: the folder names the partition, and records have rows of their own."""

_HEADER = pa.struct([("name", pa.string()), ("value", pa.binary())])
_ENVELOPE = (
    pa.field("offset", pa.int64()),
    pa.field("index", pa.int32()),
    pa.field("type", pa.string()),
    pa.field("refusal", pa.string()),
    pa.field("appended_at", TIME),
    pa.field("key", pa.binary()),
    pa.field("headers", pa.list_(_HEADER)),
    pa.field("value", pa.binary()),
)
ORIGINAL = ("offset", "appended_at", "key", "headers", "value")
"""The columns that a record is read back from; the rows where `value` stands."""


class Table(NamedTuple):
    """A topic's table: its Arrow schema and the column of each record type."""

    schema: Any
    structs: dict[str, Column]


@cache
def table_of(topic: str) -> Table:
    """Return the table of a topic."""
    structs = {name: _struct(name) for name in _TYPES[topic]}
    fields = [pa.field(name, column.type) for name, column in structs.items()]
    return Table(pa.schema([*_ENVELOPE, *fields]), structs)


def _struct(name: str) -> Column:
    declared = latest(name).declared
    left_out = _LEFT_OUT.get(name, ())
    kept = [field for field in declared["fields"] if field["name"] not in left_out]
    return column_of({**declared, "fields": kept})


def arrow_table(topic: str, records: Sequence[LogRecord]) -> Any:
    """Return the rows of some records as an Arrow table."""
    table = table_of(topic)
    with _collection_paused():
        return _built(table, records)


def _built(table: Table, records: Sequence[LogRecord]) -> Any:
    rows = [row for record in records for row in rows_of(record)]
    arrays = [*_envelope(rows)]
    arrays += [_placed(name, column, rows) for name, column in table.structs.items()]
    return pa.Table.from_arrays(arrays, schema=table.schema)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Pause the search for cycles: decoded records are many and have none (a third of the time)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _placed(name: str, column: Column, rows: Sequence[Row]) -> Any:
    """Return a struct column: built from the rows that have it, null on the others."""
    found: list[Any] = []
    places: list[int | None] = []
    for row in rows:
        fields = row.fields.get(name)
        if fields is None:
            places.append(None)
        else:
            places.append(len(found))
            found.append(fields)
    built = column.build(found)
    return built if len(found) == len(rows) else built.take(pa.array(places, pa.int64()))


def _envelope(rows: Sequence[Row]) -> list[Any]:
    firsts: list[LogRecord | None] = []
    previous = None
    for row in rows:
        firsts.append(None if row.record is previous else row.record)
        previous = row.record
    return [
        numbers([row.record.offset for row in rows]),
        pa.array([row.index for row in rows], pa.int32()),
        texts([row.type for row in rows]),
        texts([row.refusal or None for row in rows]),
        pa.array([row.record.appended_at for row in rows], TIME),
        pa.array([first and first.key for first in firsts], pa.binary()),
        pa.array([first and _headers(first) for first in firsts], pa.list_(_HEADER)),
        pa.array([first and first.value for first in firsts], pa.binary()),
    ]


def _headers(record: LogRecord) -> list[dict[str, object]]:
    return [{"name": name, "value": value} for name, value in record.headers]
