"""Reading YAML and JSON without losing a digit, and turning pydantic's findings into sentences."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from engine.rating.errors import InvalidDocument, TollbookError

MAX_BYTES = 64 * 1024 * 1024
_MAX_SHOWN = 200


class InvalidFile(TollbookError):
    """A document has problems; `problems` lists each with place, value and expectation."""

    def __init__(self, name: str, problems: list[InvalidDocument]) -> None:
        lines = [f"{name}: {problem}" for problem in problems]
        super().__init__("\n".join(lines))
        self.name = name
        self.problems = problems


class _TextLoader(yaml.SafeLoader):
    """Safe YAML in which decimals and times stay text, and a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; ConstructorError for a key that stands twice."""
        twice = _first_repeated(str(key.value) for key, _ in node.value)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {twice!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


_AS_TEXT = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")
_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _AS_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

_TextLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]*)$"), list("-0123456789")
)


def parse_text(text: str, name: str) -> Any:
    """Return the data of a YAML or JSON text; `name` is for messages. InvalidFile if unreadable."""
    try:
        if text.lstrip()[:1] in ("{", "["):
            try:
                return json.loads(text, parse_float=str, object_pairs_hook=_unrepeated)
            except json.JSONDecodeError:
                pass
        return yaml.load(text, Loader=_TextLoader)  # noqa: S506 - a SafeLoader
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        found = " ".join(str(error).split()).replace('in "<unicode string>", ', "")
        problem = InvalidDocument("document", found, "YAML or JSON")
        raise InvalidFile(name, [problem]) from error


def read_document(path: Path) -> Any:
    """Return the data of a YAML or JSON file. InvalidFile if it can not be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidFile(
                str(path),
                [InvalidDocument("size", path.stat().st_size, f"{MAX_BYTES} bytes at most")],
            )
        return parse_text(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(
            str(path), [InvalidDocument("file", str(error), "a readable UTF-8 file")]
        ) from error


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = _first_repeated(key for key, _ in pairs)
    if twice is not None:
        raise ValueError(f"key {twice!r} stands twice")
    return dict(pairs)


def _first_repeated(keys: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


_Model = TypeVar("_Model", bound=BaseModel)
_Built = TypeVar("_Built")


def validate(
    model: type[_Model], data: Any, name: str, build: Callable[[_Model], _Built]
) -> _Built:
    """Validate data with a pydantic model and build the frozen type; InvalidFile on problems."""
    try:
        return build(model.model_validate(data))
    except ValidationError as error:
        raise InvalidFile(name, problems_of(error, data)) from error
    except InvalidDocument as error:
        raise InvalidFile(name, [error]) from error
    except UnicodeEncodeError as error:
        problem = InvalidDocument("document", error.object[error.start : error.end], "Unicode text")
        raise InvalidFile(name, [problem]) from error


def problems_of(error: ValidationError, data: Any) -> list[InvalidDocument]:
    """Return pydantic's findings in `data` as problems: place, value, expectation."""
    return [
        InvalidDocument(_place(found, data), _value(found), _expectation(found))
        for found in error.errors(include_url=False)
    ]


def _place(found: Mapping[str, Any], data: Any) -> str:
    """Return a path in the document: pydantic also names which model of a union it tried."""
    place = ""
    location: tuple[int | str, ...] = found["loc"]
    missing = len(location) - 1 if found["type"] == "missing" else None
    for number, part in enumerate(location):
        inside = _part(data, part)
        if inside is not _ABSENT or number == missing:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
            data = inside
    return place or "document"


_ABSENT = object()


def _part(data: Any, part: int | str) -> Any:
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return data.get(part, _ABSENT) if isinstance(data, dict) else _ABSENT


def _value(found: Mapping[str, Any]) -> object:
    if found["type"] == "missing":
        return None
    try:
        text = repr(found["input"])
    except (ValueError, RecursionError):
        return f"a {type(found['input']).__name__} too large to show"
    return found["input"] if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _expectation(found: Mapping[str, Any]) -> str:
    if found["type"] in _EXPECTATIONS:
        return _EXPECTATIONS[found["type"]]
    if found["type"] == "union_tag_not_found":
        return f"a field {found['ctx']['discriminator']}"
    if found["type"] == "union_tag_invalid":
        return f"{found['ctx']['discriminator']} to be one of {found['ctx']['expected_tags']}"
    message = str(found["msg"])
    return message.removeprefix("Value error, ").removeprefix("Input should be ")


_EXPECTATIONS = {
    "missing": "a value",
    "extra_forbidden": "no field of that name",
    "int_type": "a whole number",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
}
