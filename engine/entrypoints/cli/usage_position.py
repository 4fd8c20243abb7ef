"""How far a file has been published: a small JSON file beside it, so that a backfill resumes.

The position moves only past what Kafka acknowledged. It is an economy, not a safeguard: events have
the ids of their calls, so reading a file again charges nothing twice. It counts as long as the file
is the same one, grown at most: its first line, and the line that was read last, stand where they
stood. Another file is read from its start, and a person is told why.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

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
    """How far a file has been published: bytes, lines, and what the file is recognised by.

    `first_line` and `last_line` are SHA-256; the last line takes `last_bytes` before `offset`.
    """

    offset: int = 0
    lines: int = 0
    first_line: str = ""
    last_line: str = ""
    last_bytes: int = 0

    def after(self, line: Line) -> "Position":
        """Return the position behind a line."""
        return Position(line.end, line.number, self.first_line, _digest(line.data), len(line.data))


_UNREADABLE = Position(-1)


class Resumption(NamedTuple):
    """Where to go on in a file, and why not where a position says; empty if it is there."""

    position: Position
    unused: str = ""


def position_file(path: Path) -> Path:
    """Return where a file's position is kept."""
    return path.with_name(path.name + _SUFFIX)


def read_position(path: Path) -> Resumption:
    """Return where to go on in a file; its start if its position is not known, or another file's.

    InvalidDocument if the file can not be read.
    """
    try:
        with path.open("rb") as stream:
            start = Position(first_line=_digest(stream.readline().rstrip(b"\r\n")))
            kept = _kept(position_file(path))
            unused = "" if kept is None else _difference(stream, kept, start)
    except OSError as error:
        raise InvalidDocument(str(path), error.strerror, "a readable file") from error
    return Resumption(start, unused) if kept is None or unused else Resumption(kept)


def _kept(file: Path) -> Position | None:
    try:
        found = Position(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return _UNREADABLE
    if [type(part) for part in found] != [int, int, str, str, int]:
        return _UNREADABLE
    return found if found.offset else None


def _difference(stream: BinaryIO, kept: Position, start: Position) -> str:
    """Say why a position is not one of this file; nothing if it is."""
    if kept.offset < kept.last_bytes or kept.offset < 0:
        return "its position can not be read"
    if kept.first_line != start.first_line:
        return "its first line is another one than before"
    if stream.seek(0, 2) < kept.offset:
        return "it is shorter than before"
    stream.seek(kept.offset - kept.last_bytes)
    if _digest(stream.read(kept.last_bytes)) != kept.last_line:
        return f"its line {kept.lines} is another one than before"
    return ""


def write_position(path: Path, position: Position) -> None:
    """Write down how far a file has been published, as a whole or not at all.

    InvalidDocument if that is not possible.
    """
    target = position_file(path)
    draft = target.with_name(target.name + ".new")
    try:
        draft.write_text(json.dumps(position._asdict()) + "\n", encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        raise InvalidDocument(
            str(target), error.strerror, "a place where the file's position can be kept"
        ) from error


def lines_from(path: Path, position: Position) -> Iterator[Line]:
    """Yield the lines of a file from a position on.

    If the last line had not ended there, what was written to it since comes first, under its number.
    """
    number, end = position.lines, position.offset
    with path.open("rb") as stream:
        stream.seek(max(0, end - 1))
        if end and stream.read(1) != b"\n":
            number -= 1
        for data in stream:
            number += 1
            end += len(data)
            yield Line(number, data, end)


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
