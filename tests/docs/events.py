"""The events that the code logs, read from its syntax: `_log.LEVEL("event_name", field=...)`."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import ROOT

LEVELS = ("debug", "info", "warning", "error", "critical", "exception")


class Event(NamedTuple):
    """A call that logs: the event's name, its level, and the names of its fields."""

    name: str
    level: str
    fields: tuple[str, ...]


def events() -> set[Event]:
    """Return every event that the engine and replay log."""
    files = [path for folder in ("engine", "replay") for path in (ROOT / folder).rglob("*.py")]
    return {event for file in files for event in _events(file)}


def _events(file: Path) -> Iterator[Event]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "_log"
        ):
            (name,) = node.args
            assert isinstance(name, ast.Constant), f"{file}: an event's name is written out"
            fields = sorted(keyword.arg or "**" for keyword in node.keywords)
            yield Event(str(name.value), node.func.attr, tuple(fields))
