"""How far a file has been published: a small JSON file beside it, so that a backfill resumes.

The position moves only past what Kafka acknowledged. It is an economy, not a safeguard: events have
the ids of their calls, so reading a file again charges nothing twice. A file whose first line has
changed, or that is shorter than the position, is another file and is read from its start.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from engine.rating.errors import InvalidDocument

_SUFFIX = ".position"


class Line(NamedTuple):
    """A line of a file: its number from 1, its bytes, and where the next one begins."""

    number: int
    data: bytes
    end: int

    @property
    def is_whole(self) -> bool:
        """Say whether the line has ended: the last one of a growing file may not have."""
        return self.data.endswith(b"\n")


class Position(NamedTuple):
    """How far a file has been published: bytes, lines, and what the file is recognised by."""

    offset: int = 0
    lines: int = 0
    first_line: str = ""


def position_file(path: Path) -> Path:
    """Return where a file's position is kept."""
    return path.with_name(path.name + _SUFFIX)


def read_position(path: Path) -> Position:
    """Return how far a file has been published; its start if that is not known.

    InvalidDocument if the file can not be read.
    """
    try:
        with path.open("rb") as stream:
            first_line = sha256(stream.readline()).hexdigest()
        size = path.stat().st_size
    except OSError as error:
        raise InvalidDocument(str(path), error.strerror, "a readable file") from error
    start = Position(first_line=first_line)
    try:
        found = Position(**json.loads(position_file(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return start
    return found if found.first_line == first_line and 0 <= found.offset <= size else start


def write_position(path: Path, position: Position) -> None:
    """Write down how far a file has been published, as a whole or not at all."""
    target = position_file(path)
    draft = target.with_name(target.name + ".new")
    draft.write_text(json.dumps(position._asdict()) + "\n", encoding="utf-8")
    draft.replace(target)


def lines_from(path: Path, position: Position) -> Iterator[Line]:
    """Yield the lines of a file from a position on."""
    number, end = position.lines, position.offset
    with path.open("rb") as stream:
        stream.seek(position.offset)
        for data in stream:
            number += 1
            end += len(data)
            yield Line(number, data, end)
