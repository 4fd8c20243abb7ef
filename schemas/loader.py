"""Loading schemas: by name (the latest version writes) and by fingerprint (any version reads).

The fingerprint is CRC-64-AVRO of the Parsing Canonical Form, as single-object encoding puts it in
front of each record (Avro specification 1.12, "Single-object encoding").
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

_SINGLE_OBJECT_MARKER = b"\xc3\x01"

NAMES = (
    "usage_event",
    "usage_batch",
    "forwarded_usage",
    "tariff_version",
    "source_registration",
    "rules_revision",
    "exchange_rate",
    "account_command",
    "advance_to",
    "journal_commit",
    "partition_snapshot",
    "charge_event",
    "account_event",
    "balance",
    "alert",
    "rejection",
)


@dataclass(frozen=True)
class RecordSchema:
    """One version of one record.

    `declared` is the file as written, with logical types and docs; `parsed` is what fastavro reads
    and writes, with logical types taken off (integers and bytes); `header` is the ten bytes in
    front of each record of this version.
    """

    name: str
    version: int
    declared: dict[str, Any]
    parsed: Any
    header: bytes


@cache
def versions(name: str) -> tuple[RecordSchema, ...]:
    """Return every version of a record, oldest first. KeyError for an unknown name."""
    if name not in NAMES:
        raise KeyError(f"no schema {name!r}; there are {', '.join(NAMES)}")
    folder = files("schemas") / "avro"
    found = []
    for version in range(1, 1_000):
        file = folder / f"{name}.{version}.avsc"
        if not file.is_file():
            break
        found.append(load(name, version, json.loads(file.read_text())))
    return tuple(found)


def latest(name: str) -> RecordSchema:
    """Return the version that is written today."""
    return versions(name)[-1]


def load(name: str, version: int, declared: dict[str, Any]) -> RecordSchema:
    """Return a schema from its declaration."""
    canonical = to_parsing_canonical_form(declared)
    crc = bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
    parsed = parse_schema(_without_logical_types(declared))
    _read_defaults_as_bytes(parsed)
    return RecordSchema(name, version, declared, parsed, _SINGLE_OBJECT_MARKER + crc)


@cache
def _by_header() -> dict[bytes, RecordSchema]:
    return {schema.header: schema for name in NAMES for schema in versions(name)}


def part(schema: RecordSchema, name: str) -> Any:
    """Return a record within a schema, as fastavro reads and writes it by itself. KeyError."""
    pending: list[Any] = [schema.declared["fields"]]
    while pending:
        node = pending.pop()
        if isinstance(node, dict) and node.get("type") == "record" and node["name"] == name:
            return load(name, schema.version, node).parsed
        if isinstance(node, dict | list):
            pending += node.values() if isinstance(node, dict) else node
    raise KeyError(f"no record {name!r} in {schema.name}")


def by_fingerprint(header: bytes) -> RecordSchema | None:
    """Return the schema that a record's first ten bytes name, or None."""
    return _by_header().get(header)


def _read_defaults_as_bytes(parsed: Any) -> None:
    """Turn the defaults of bytes into bytes, in place: fastavro hands a reader their text."""
    if isinstance(parsed, list):
        for item in parsed:
            _read_defaults_as_bytes(item)
    elif isinstance(parsed, dict):
        is_bytes = parsed.get("type") in ("bytes", {"type": "bytes"})
        if is_bytes and isinstance(parsed.get("default"), str):
            parsed["default"] = parsed["default"].encode("latin-1")
        for name, value in parsed.items():
            if name not in ("default", "doc"):
                _read_defaults_as_bytes(value)


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = ("logicalType", "precision", "scale") if "logicalType" in schema else ()
    return {
        key: value if key in ("default", "doc") else _without_logical_types(value)
        for key, value in schema.items()
        if key not in dropped
    }
