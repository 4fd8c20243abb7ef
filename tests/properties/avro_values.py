"""Values derived from an Avro schema, as the engine reads and writes them.

Integers stand for timestamps and bytes for decimals; a member of a union of records is the pair
(full name, fields). Timestamps stay within the years that RFC 3339 can write.
"""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from engine.adapters.avro.account import encode_awaiting
from engine.adapters.avro.wire import to_decimal
from engine.rating.command import Adjust, RechargeBucket, VoidGrant
from engine.rating.money import LIMIT_PICO
from engine.rating.period import instant

_FIRST = instant(datetime(1970, 1, 1, tzinfo=UTC))
_LAST = instant(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)

_PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "string": _TEXTS,
    "bytes": st.binary(max_size=20),
}


_MATCHES = st.sampled_from(
    [
        '{"model":"gpt-*"}',
        '{"attributes":{"team":"red"},"subject":["anna","ben"]}',
        '{"context_above":200000,"time":[{"hours":["00:00-00:30","16:30-00:00"]}]}',
    ]
)
_AWAITING = st.builds(
    encode_awaiting,
    _TEXTS,
    _TEXTS,
    _TEXTS,
    st.one_of(
        st.builds(VoidGrant, _TEXTS),
        st.builds(RechargeBucket, _TEXTS, st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1)),
        st.builds(
            Adjust,
            st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1),
            _TEXTS,
            st.none() | st.integers(-(2**63), 2**63 - 1),
            _TEXTS,
        ),
    ),
)
_SPECIAL: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("Grant", "match"): _MATCHES,
    ("ApprovalAwaited", "order"): _AWAITING,
    ("AccountState", "awaiting"): st.lists(_AWAITING, max_size=2),
}
"""Fields that hold more than their Avro type says, by record and name."""


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Return values of a declared schema."""
    return _values(schema, {}, "")


def _values(schema: Any, named: dict[str, Any], namespace: str) -> st.SearchStrategy[Any]:
    if isinstance(schema, list):
        return _members(schema, named, namespace)
    if isinstance(schema, str):
        if schema in _PRIMITIVES:
            return _PRIMITIVES[schema]
        schema = named[schema]
    if "name" in schema:
        named[schema["name"]] = schema
        namespace = schema.get("namespace", namespace)
    kind = schema["type"]
    if kind == "record":
        return _records(schema, named, namespace)
    if kind == "array":
        return st.lists(_values(schema["items"], named, namespace), max_size=3)
    if kind == "map":
        return st.dictionaries(_TEXTS, _values(schema["values"], named, namespace), max_size=3)
    if kind == "enum":
        return st.sampled_from(schema["symbols"])
    if kind == "fixed":
        return st.binary(min_size=schema["size"], max_size=schema["size"])
    if schema.get("logicalType") == "decimal":
        return st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1).map(to_decimal)
    if schema.get("logicalType") == "timestamp-micros":
        return st.integers(_FIRST, _LAST)
    return _values(kind, named, namespace)


def _records(
    schema: dict[str, Any], named: dict[str, Any], namespace: str
) -> st.SearchStrategy[Any]:
    """Return records; a field with a default holds it about half of the time."""
    fields = {}
    for field in schema["fields"]:
        values = _SPECIAL.get((schema["name"], field["name"]))
        if values is None:
            values = _values(field["type"], named, namespace)
        if "default" in field:
            values = st.one_of(st.just(_default(field)), values)
        fields[field["name"]] = values
    return st.fixed_dictionaries(fields)


def _default(field: dict[str, Any]) -> Any:
    if isinstance(field["type"], dict) and field["type"]["type"] == "record":
        return {inner["name"]: _default(inner) for inner in field["type"]["fields"]}
    kind = field["type"]["type"] if isinstance(field["type"], dict) else field["type"]
    if kind == "bytes":
        return field["default"].encode("latin-1")
    return field["default"]


def _members(branches: list[Any], named: dict[str, Any], namespace: str) -> st.SearchStrategy[Any]:
    records = [branch for branch in branches if _is_record(branch, named)]
    members = []
    for branch in branches:
        values = _values(branch, named, namespace)
        if len(records) > 1 and _is_record(branch, named):
            name = branch if isinstance(branch, str) else branch["name"]
            values = st.tuples(st.just(f"{namespace}.{name}"), values)
        members.append(values)
    return st.one_of(*members)


def _is_record(branch: Any, named: dict[str, Any]) -> bool:
    schema = named.get(branch) if isinstance(branch, str) else branch
    return isinstance(schema, dict) and schema["type"] == "record"
