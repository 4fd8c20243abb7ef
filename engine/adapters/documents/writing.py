"""Writing a tariff version as YAML that people read, edit and publish again.

The canonical form is made for digests: keys sorted, times to the microsecond, a zone's transitions
frozen in. Here the same version is written as a person would: fields in the order of the reference,
short times, decimals in quotes (other YAML tools would take them for floats), and no transitions
where today's time-zone data says the same. Reading it back gives the same digest.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from engine.adapters.documents.tariff import TariffDocument
from engine.adapters.zones import freeze_zone
from engine.rating.errors import InvalidDocument
from engine.rating.tariff import TariffVersion

Schema = Mapping[str, Any]

_WIDTH = 100
_WHOLE_SECOND = ".000000Z"


def tariff_yaml(version: TariffVersion) -> str:
    """Return a version as YAML; parsing it gives a version of the same digest."""
    document = json.loads(version.document)
    if _freezes_alike(version):
        del document["time_zone_transitions"]
    return yaml.dump(
        _as_written(document, _schema()),
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=None,
        sort_keys=False,
        width=_WIDTH,
    )


def _freezes_alike(version: TariffVersion) -> bool:
    """Say whether today's time-zone data freezes to the transitions that the version holds."""
    if not version.zone.instants:
        return False
    try:
        return freeze_zone(version.zone.name) == version.zone
    except InvalidDocument:  # a zone that was renamed since
        return False


class _Dumper(yaml.SafeDumper):
    """Block style, leaves in one line; times bare, as in the reference."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists below their key."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write equal parts out in full: nobody edits anchors."""
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


@cache
def _schema() -> Schema:
    return TariffDocument.model_json_schema()


def _as_written(value: Any, schema: Schema) -> Any:
    """Return a canonical value with its fields in the schema's order and its times short."""
    shapes = list(_shapes(schema))
    if isinstance(value, dict):
        return _mapping(value, shapes)
    if isinstance(value, list):
        items: Schema = next((shape["items"] for shape in shapes if "items" in shape), {})
        return [_as_written(item, items) for item in value]
    if isinstance(value, str) and any(shape.get("format") == "date-time" for shape in shapes):
        return f"{value.removesuffix(_WHOLE_SECOND)}Z" if value.endswith(_WHOLE_SECOND) else value
    return value


def _mapping(value: dict[str, Any], shapes: list[Schema]) -> dict[str, Any]:
    for shape in shapes:
        properties = shape.get("properties", {})
        if properties.keys() >= value.keys() and _names_itself(value, properties):
            return {
                name: _as_written(value[name], field)
                for name, field in sorted(properties.items(), key=_is_no_constant)
                if name in value
            }
    names = [name for shape in shapes for name in shape.get("propertyNames", {}).get("enum", ())]
    inner: Schema = next(
        (shape["additionalProperties"] for shape in shapes if shape.get("additionalProperties")), {}
    )
    ordered = sorted(value, key=lambda name: names.index(name) if name in names else len(names))
    return {name: _as_written(value[name], inner) for name in ordered}


def _is_no_constant(field: tuple[str, Schema]) -> bool:
    """Sort what says which model of several this is to the front."""
    return "const" not in field[1]


def _names_itself(value: dict[str, Any], properties: Schema) -> bool:
    """Say whether the constants of a shape (such as `model: unit`) are those of the value."""
    return all(
        value.get(name) == field["const"] for name, field in properties.items() if "const" in field
    )


def _shapes(schema: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a schema, references followed."""
    if "$ref" in schema:
        yield from _shapes(_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
        return
    for alternative in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _shapes(alternative)
    yield schema
