"""Old bytes are read by today's code, and a version of a schema only adds to the one before."""

import json
from copy import deepcopy
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastavro import schemaless_reader, schemaless_writer

from engine.adapters.avro.wire import Decoded, decode, encode
from schemas import NAMES, latest, to_json, versions
from schemas.loader import load
from tests.schemas.evolution import forbidden_changes
from tests.schemas.freeze import RECORDS
from tests.schemas.samples import SAMPLES

FROZEN = sorted(RECORDS.glob("*.bin"), key=lambda path: path.name)


@pytest.mark.parametrize("file", FROZEN, ids=lambda path: path.name)
def test_bytes_that_were_written_once_are_read_for_ever(file: Path) -> None:
    name = file.name.partition(".")[0]
    decoded = decode(file.read_bytes())
    assert isinstance(decoded, Decoded), decoded
    assert decoded.name == name
    expected = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert to_json(latest(name).declared, decoded.fields) == expected


def test_every_version_of_every_record_has_frozen_bytes() -> None:
    published = {f"{name}.{schema.version}.bin" for name in NAMES for schema in versions(name)}
    assert {file.name for file in FROZEN} == published


@pytest.mark.parametrize("file", FROZEN, ids=lambda path: path.name)
def test_frozen_bytes_name_the_version_of_their_file(file: Path) -> None:
    """A published schema that was edited has another fingerprint, and no journal names it."""
    name, version, _ = file.name.split(".")
    schema = versions(name)[int(version) - 1]
    assert schema.version == int(version)
    assert file.read_bytes().startswith(schema.header)


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_of_a_record_is_still_written_as_its_frozen_bytes(name: str) -> None:
    schema = latest(name)
    frozen = RECORDS / f"{name}.{schema.version}.bin"
    assert encode(schema, SAMPLES[name]) == frozen.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_version_only_adds_to_the_one_before(name: str) -> None:
    chain = versions(name)
    assert [schema.version for schema in chain] == list(range(1, len(chain) + 1))
    for old, new in pairwise(chain):
        assert forbidden_changes(old.declared, new.declared) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_version_differs_from_itself_in_nothing(name: str) -> None:
    declared = latest(name).declared
    assert forbidden_changes(declared, deepcopy(declared)) == []


BEFORE: dict[str, Any] = {
    "type": "record",
    "name": "Parcel",
    "namespace": "tollbook",
    "doc": "A parcel.",
    "fields": [
        {"name": "parcel_id", "type": "string", "doc": "Parcel."},
        {
            "name": "state",
            "type": {
                "type": "enum",
                "name": "State",
                "symbols": ["unknown", "sent"],
                "default": "unknown",
            },
        },
        {"name": "weight", "type": "long", "default": 0},
        {"name": "note", "type": ["null", "string"], "default": None},
        {
            "name": "stops",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Stop",
                    "fields": [{"name": "place", "type": "string"}],
                },
            },
        },
        {
            "name": "paid",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 12},
        },
    ],
}


PARCEL = {
    "parcel_id": "p-1",
    "state": "sent",
    "weight": 7,
    "note": "fragile",
    "stops": [{"place": "Berlin"}],
    "paid": b"\x05",
}


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found = next(entry for entry in schema["fields"] if entry["name"] == name)
    assert isinstance(found, dict)
    return found


def add_field(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "colour", "type": "string", "default": ""})


def add_field_in_front(schema: dict[str, Any]) -> None:
    schema["fields"].insert(0, {"name": "colour", "type": "string", "default": ""})


def add_inner_field(schema: dict[str, Any]) -> None:
    stop = field(schema, "stops")["type"]["items"]
    stop["fields"].append({"name": "minutes", "type": "int", "default": 0})


def add_symbol(schema: dict[str, Any]) -> None:
    field(schema, "state")["type"]["symbols"].append("lost")


def add_branch(schema: dict[str, Any]) -> None:
    field(schema, "note")["type"].append("long")


def rewrite_doc(schema: dict[str, Any]) -> None:
    schema["doc"] = "A parcel that is sent."
    field(schema, "weight")["doc"] = "Grams."


GOOD = (add_field, add_field_in_front, add_inner_field, add_symbol, add_branch, rewrite_doc)


def drop_field(schema: dict[str, Any]) -> None:
    schema["fields"].pop(0)


def add_field_without_default(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "colour", "type": "string"})


def rename_field(schema: dict[str, Any]) -> None:
    field(schema, "weight")["name"] = "grams"


def reorder_fields(schema: dict[str, Any]) -> None:
    schema["fields"].reverse()


def change_type(schema: dict[str, Any]) -> None:
    field(schema, "weight")["type"] = "string"


def promote_type(schema: dict[str, Any]) -> None:
    field(schema, "weight")["type"] = "double"


def change_default(schema: dict[str, Any]) -> None:
    field(schema, "weight")["default"] = 1


def drop_default(schema: dict[str, Any]) -> None:
    del field(schema, "weight")["default"]


def add_default_to_old_field(schema: dict[str, Any]) -> None:
    field(schema, "parcel_id")["default"] = ""


def drop_symbol(schema: dict[str, Any]) -> None:
    field(schema, "state")["type"]["symbols"].pop()


def reorder_symbols(schema: dict[str, Any]) -> None:
    field(schema, "state")["type"]["symbols"].reverse()


def change_enum_default(schema: dict[str, Any]) -> None:
    field(schema, "state")["type"]["default"] = "sent"


def drop_branch(schema: dict[str, Any]) -> None:
    field(schema, "note")["type"].pop()


def union_to_plain(schema: dict[str, Any]) -> None:
    field(schema, "note")["type"] = "string"


def plain_to_union(schema: dict[str, Any]) -> None:
    field(schema, "weight")["type"] = ["null", "long"]


def drop_inner_field(schema: dict[str, Any]) -> None:
    field(schema, "stops")["type"]["items"]["fields"].pop()


def rename_record(schema: dict[str, Any]) -> None:
    schema["name"] = "Package"


def change_scale(schema: dict[str, Any]) -> None:
    field(schema, "paid")["type"]["scale"] = 6


def drop_logical_type(schema: dict[str, Any]) -> None:
    field(schema, "paid")["type"] = "bytes"


BAD = (
    drop_field,
    add_field_without_default,
    rename_field,
    reorder_fields,
    change_type,
    promote_type,
    change_default,
    drop_default,
    add_default_to_old_field,
    drop_symbol,
    reorder_symbols,
    change_enum_default,
    drop_branch,
    union_to_plain,
    plain_to_union,
    drop_inner_field,
    rename_record,
    change_scale,
    drop_logical_type,
)


@pytest.mark.parametrize("change", GOOD, ids=lambda change: change.__name__)
def test_adding_is_allowed_and_old_bytes_stay_readable(change: Any) -> None:
    after = deepcopy(BEFORE)
    change(after)
    assert forbidden_changes(BEFORE, after) == []
    read = written_before_and_read_after(PARCEL, after)
    assert {name: read[name] for name in PARCEL if name != "stops"} == {
        name: value for name, value in PARCEL.items() if name != "stops"
    }
    assert [stop["place"] for stop in read["stops"]] == ["Berlin"]


@pytest.mark.parametrize("change", BAD, ids=lambda change: change.__name__)
def test_anything_but_adding_is_forbidden(change: Any) -> None:
    after = deepcopy(BEFORE)
    change(after)
    problems = forbidden_changes(BEFORE, after)
    assert problems
    assert all("got" in problem and "expected" in problem for problem in problems)


def written_before_and_read_after(record: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return a record of version 1 as version 2 reads it."""
    body = BytesIO()
    old, new = load("parcel", 1, BEFORE), load("parcel", 2, after)
    schemaless_writer(body, old.parsed, record)
    body.seek(0)
    read = schemaless_reader(body, old.parsed, new.parsed)
    assert isinstance(read, dict)
    return read


def test_the_events_of_a_batch_are_those_that_are_sent_alone() -> None:
    batch = latest("usage_batch").declared["fields"][0]["type"]["items"]
    alone = latest("usage_event").declared
    assert batch == {name: value for name, value in alone.items() if name != "namespace"}


def test_a_type_that_several_records_use_is_the_same_in_all_of_them() -> None:
    seen: dict[str, Any] = {}
    for name in NAMES:
        for found in named_types(latest(name).declared["fields"]):
            shape = {key: value for key, value in found.items() if key not in ("doc", "namespace")}
            assert seen.setdefault(found["name"], shape) == shape


def named_types(schema: Any) -> list[dict[str, Any]]:
    """Return every named type within a schema."""
    if isinstance(schema, list):
        return [found for item in schema for found in named_types(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") in ("record", "enum", "fixed") else []
    return own + [found for value in schema.values() for found in named_types(value)]


@pytest.mark.parametrize("name", NAMES)
def test_every_record_and_field_says_what_it_is(name: str) -> None:
    declared = latest(name).declared
    assert declared["doc"].endswith(".")
    for found in [declared, *named_types(declared["fields"])]:
        for entry in found.get("fields", []):
            assert entry["doc"], entry["name"]
