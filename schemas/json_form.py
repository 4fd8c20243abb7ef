"""The JSON form of a record, and its JSON Schema: derived from the Avro schema by five rules.

1. decimal(38,12) becomes a decimal string, exact and shortest. 2. timestamp-micros becomes RFC 3339
in UTC with six decimals. 3. fixed becomes hex, bytes becomes base64. 4. A union of records becomes
the record with its name in ``type``. 5. Fields that hold their default are left out.
"""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PICO = 10**12


def to_json(schema: dict[str, Any], record: Any) -> Any:
    """Return the JSON form of a decoded record (integers and bytes, as the engine reads it).

    `schema` is the declared schema. A member of a union of records is the pair (name, fields).
    """
    return json_writer(schema)(record)


def json_writer(schema: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function that turns decoded records of a schema into their JSON form."""
    return _converter(schema, {})


def _converter(schema: Any, named: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function that turns a value of this schema into JSON."""
    schema = _resolve(schema, named)
    if isinstance(schema, list):
        return _union_converter(schema, named)
    kind = schema["type"]
    if kind == "record":
        return _record_converter(schema, named)
    if kind == "array":
        item = _converter(schema["items"], named)
        return lambda values: [item(value) for value in values]
    if kind == "map":
        item = _converter(schema["values"], named)
        return lambda values: {name: item(value) for name, value in values.items()}
    if kind == "fixed":
        return bytes.hex
    if schema.get("logicalType") == "decimal":
        return _decimal_text
    if schema.get("logicalType") == "timestamp-micros":
        return _instant_text
    if kind == "bytes":
        return lambda value: b64encode(value).decode()
    return lambda value: value


def _record_converter(schema: dict[str, Any], named: dict[str, Any]) -> Callable[[Any], Any]:
    fields = [
        (
            field["name"],
            _converter(field["type"], named),
            "default" in field,
            _default_value(field.get("default"), field["type"]),
        )
        for field in schema["fields"]
    ]

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        return {
            name: converter(record[name])
            for name, converter, has_default, default in fields
            if not (has_default and record[name] == default)
        }

    return convert


def _union_converter(branches: list[Any], named: dict[str, Any]) -> Callable[[Any], Any]:
    others = [branch for branch in branches if branch != "null"]
    if len(others) == 1:
        converter = _converter(others[0], named)
        return lambda value: None if value is None else converter(value)
    by_name = {branch["name"]: _converter(branch, named) for branch in others}

    def convert(value: tuple[str, Any]) -> dict[str, Any]:
        name = value[0].rpartition(".")[2]
        return {"type": name, **by_name[name](value[1])}

    return convert


def _default_value(default: Any, schema: Any) -> Any:
    kind = schema.get("type") if isinstance(schema, dict) else schema
    if kind == "bytes" and default is not None:
        return default.encode("latin-1")
    return default


def _decimal_text(value: bytes) -> str:
    pico = int.from_bytes(value, "big", signed=True)
    whole, fraction = divmod(abs(pico), _PICO)
    sign = "-" if pico < 0 else ""
    return f"{sign}{whole}.{fraction:012d}".rstrip("0").rstrip(".")


def _instant_text(microseconds: int) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return f"{microseconds} us since 1970"
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a record's JSON form."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": schema["name"],
        **_describe(schema, {}),
    }


_TEXT = {"type": "string"}
_PRIMITIVES: dict[str, dict[str, Any]] = {
    "string": _TEXT,
    "int": {"type": "integer"},
    "long": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
}
_DECIMAL = {"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,12})?$"}
_INSTANT = {"type": "string", "format": "date-time"}


def _describe(schema: Any, named: dict[str, Any]) -> dict[str, Any]:
    schema = _resolve(schema, named)
    if isinstance(schema, list):
        return _describe_union(schema, named)
    kind = schema["type"]
    if kind == "record":
        return _describe_record(schema, named)
    if kind == "array":
        return {"type": "array", "items": _describe(schema["items"], named)}
    if kind == "map":
        return {"type": "object", "additionalProperties": _describe(schema["values"], named)}
    if kind == "enum":
        return {"enum": schema["symbols"]}
    if kind == "fixed":
        return {"type": "string", "pattern": f"^[0-9a-f]{{{2 * schema['size']}}}$"}
    if schema.get("logicalType") == "decimal":
        return dict(_DECIMAL)
    if schema.get("logicalType") == "timestamp-micros":
        return dict(_INSTANT)
    return dict(_PRIMITIVES[kind])


def _describe_union(branches: list[Any], named: dict[str, Any]) -> dict[str, Any]:
    others = [branch for branch in branches if branch != "null"]
    if len(others) == 1:
        return {"anyOf": [_describe(others[0], named), {"type": "null"}]}
    choices = []
    for branch in others:
        choice = _describe(branch, named)
        choice["properties"] = {"type": {"const": branch["name"]}, **choice["properties"]}
        choice["required"] = ["type", *choice["required"]]
        choices.append(choice)
    return {"oneOf": choices}


def _describe_record(schema: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    properties = {}
    for field in schema["fields"]:
        properties[field["name"]] = {
            **_describe(field["type"], named),
            "description": field["doc"],
        }
    return {
        "type": "object",
        "description": schema["doc"],
        "properties": properties,
        "required": [field["name"] for field in schema["fields"] if "default" not in field],
        "additionalProperties": False,
    }


def _resolve(schema: Any, named: dict[str, Any]) -> Any:
    """Return a schema as a mapping or list; named types are remembered and looked up."""
    if isinstance(schema, str):
        return named.get(schema, {"type": schema})
    if isinstance(schema, dict) and "name" in schema:
        named[schema["name"]] = schema
    return schema
