"""Columns from Avro: what a record's schema says, as Arrow types and arrays.

Five rules. 1. decimal(38,12) is DECIMAL(38,12), timestamp-micros is TIMESTAMP in UTC, fixed is
BLOB, an enum is text. 2. A record is a struct, an array a list, a map a map. 3. A union with null
may be null. 4. A union of records is a struct of its `type` and its fields as JSON. 5. A value that
its column can not hold (a time beyond the year 9999, more than 38 digits) is null: the original
bytes beside it still say what it was. Nothing becomes a float or a 128-bit integer.

Values are taken apart column by column, not row by row: that is what makes it fast enough.
"""

import json
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import pyarrow as pa

from schemas.json_form import json_writer

TIME = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(38, 12)
_LIMIT = 10**38
_FIRST_TIME = -62_135_596_800_000_000
_LAST_TIME = 253_402_300_799_999_999
"""The years 1 to 9999, in us UTC: what readers can print."""

Values = Sequence[Any]


class Column(NamedTuple):
    """An Arrow type, and how to build its array from decoded Avro values (None: null)."""

    type: Any
    build: Callable[[Values], Any]


def column_of(schema: Any) -> Column:
    """Return the column of a declared Avro schema."""
    return _column(inlined(schema, {}))


def inlined(schema: Any, named: dict[str, Any]) -> Any:
    """Return a schema in which every reference to a named type is that type."""
    if isinstance(schema, list):
        return [inlined(branch, named) for branch in schema]
    if isinstance(schema, str):
        return named.get(schema.rpartition(".")[2], schema)
    schema = dict(schema)
    if schema["type"] == "record":
        fields = [{**f, "type": inlined(f["type"], named)} for f in schema["fields"]]
        schema["fields"] = fields
    elif "items" in schema:
        schema["items"] = inlined(schema["items"], named)
    elif "values" in schema:
        schema["values"] = inlined(schema["values"], named)
    if "name" in schema:
        named[schema["name"]] = schema
    return schema


def _column(schema: Any) -> Column:
    if isinstance(schema, list):
        return _union(schema)
    if isinstance(schema, str):
        return _PRIMITIVES[schema]
    logical = schema.get("logicalType")
    if logical is not None:
        return {"decimal": Column(MONEY, _decimals), "timestamp-micros": Column(TIME, times)}[
            logical
        ]
    kind = schema["type"]
    if kind == "record":
        return _record(schema)
    if kind == "array":
        return _array(_column(schema["items"]))
    if kind == "map":
        return _map(_column(schema["values"]))
    return _PRIMITIVES[kind]


def _record(schema: dict[str, Any]) -> Column:
    columns = {field["name"]: _column(field["type"]) for field in schema["fields"]}
    fields = [pa.field(name, column.type) for name, column in columns.items()]

    def build(values: Values) -> Any:
        if None not in values:
            arrays = [column.build(_each(values, name)) for name, column in columns.items()]
            return pa.StructArray.from_arrays(arrays, fields=fields)
        arrays = [
            column.build([None if value is None else value.get(name) for value in values])
            for name, column in columns.items()
        ]
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=_nulls(values))

    return Column(pa.struct(fields), build)


def _each(records: Values, name: str) -> list[Any]:
    """Return a field of each record; None where it is not said (a CloudEvent may leave it out)."""
    try:
        return [record[name] for record in records]
    except KeyError:
        return [record.get(name) for record in records]


def _offsets(values: Values) -> Any:
    offsets = [0]
    total = 0
    for value in values:
        total += len(value or ())
        offsets.append(total)
    return pa.array(offsets, pa.int32())


def _nulls(values: Values) -> Any:
    if None not in values:
        return None
    return pa.array([value is None for value in values], pa.bool_())


def _array(item: Column) -> Column:
    def build(values: Values) -> Any:
        items = item.build(list(chain.from_iterable(value or () for value in values)))
        return pa.ListArray.from_arrays(
            _offsets(values), items, type=pa.list_(item.type), mask=_nulls(values)
        )

    return Column(pa.list_(item.type), build)


def _map(item: Column) -> Column:
    kind = pa.map_(pa.string(), item.type)

    def build(values: Values) -> Any:
        keys = texts(list(chain.from_iterable(value or () for value in values)))
        items = item.build(list(chain.from_iterable((value or {}).values() for value in values)))
        return pa.MapArray.from_arrays(_offsets(values), keys, items, type=kind)

    return Column(kind, build)


def _union(branches: list[Any]) -> Column:
    members = [branch for branch in branches if branch != "null"]
    if len(members) == 1:
        return _column(members[0])
    value = {"name": "value", "type": members, "doc": ""}
    to_json = json_writer({"type": "record", "name": "Union", "doc": "", "fields": [value]})
    fields = [pa.field("type", pa.string()), pa.field("fields", pa.string())]

    def build(values: Values) -> Any:
        documents = [to_json({"value": value})["value"] if value else {} for value in values]
        names = texts([document.pop("type", None) for document in documents])
        bodies = texts([json.dumps(document, ensure_ascii=False) for document in documents])
        return pa.StructArray.from_arrays([names, bodies], fields=fields)

    return Column(pa.struct(fields), build)


def texts(values: Values) -> Any:
    """Return texts; half surrogates, which UTF-8 has no bytes for, become question marks."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        clean = [value and value.encode("utf-8", "replace").decode() for value in values]
        return pa.array(clean, pa.string())


def times(values: Values) -> Any:
    """Return times given in us UTC."""
    kept = [
        value if value is not None and _FIRST_TIME <= value <= _LAST_TIME else None
        for value in values
    ]
    return pa.array(kept, TIME)


def _decimals(values: Values) -> Any:
    """Return decimals given as Avro's bytes, or as pico integers."""
    pico = [
        value if value is None or isinstance(value, int) else int.from_bytes(value, signed=True)
        for value in values
    ]
    kept = [None if value is None or abs(value) >= _LIMIT else value for value in pico]
    data = b"".join([(value or 0).to_bytes(16, "little", signed=True) for value in kept])
    validity = None
    if None in kept:
        validity = pa.array([value is not None for value in kept], pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(MONEY, len(kept), [validity, pa.py_buffer(data)])


def numbers(values: Values) -> Any:
    """Return 64-bit integers."""
    return pa.array(values, pa.int64())


def _blobs(values: Values) -> Any:
    return pa.array(values, pa.binary())


_PRIMITIVES = {
    "string": Column(pa.string(), texts),
    "enum": Column(pa.string(), texts),
    "long": Column(pa.int64(), numbers),
    "int": Column(pa.int32(), lambda values: pa.array(values, pa.int32())),
    "boolean": Column(pa.bool_(), lambda values: pa.array(values, pa.bool_())),
    "bytes": Column(pa.binary(), _blobs),
    "fixed": Column(pa.binary(), _blobs),
}
