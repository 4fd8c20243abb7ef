"""Publishing files of raw records: normalised, batched, resumable, with progress."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple, Protocol

from engine.adapters.avro.usage import Fields
from engine.adapters.documents.usage import parse_usage
from engine.entrypoints.cli.common import progress_bar, read_lines, say
from engine.entrypoints.cli.usage_position import (
    Line,
    Position,
    lines_from,
    read_position,
    write_position,
)
from engine.entrypoints.cli.usage_records import normalise_line, of_line
from engine.gateway.normalise import Context, Unusable
from engine.rating.errors import Refusal

_LINES_BETWEEN_POSITIONS = 1_000


class Outlet(Protocol):
    """Where usage goes: a `KafkaPublisher`."""

    def usage(self, fields: Fields) -> None:
        """Take a usage event."""

    def flush(self) -> None:
        """Return once all that was taken is acknowledged; raise if it is not."""


class Backfill(NamedTuple):
    """How to read the files: their format, what their records do not say, and from where.

    `again` reads a file from its start, whatever its position.
    """

    form: str
    context: Context
    id_prefix: str = ""
    again: bool = False


def publish_file(publisher: Outlet, path: Path, backfill: Backfill) -> Counter[str]:
    """Publish a file from its position on; return counts of published, not_charged, refused.

    All of it is acknowledged when this returns. ``-`` is stdin, which has no position.
    """
    counts: Counter[str] = Counter()
    if str(path) == "-":
        for number, text in read_lines(path):
            _publish_line(
                publisher,
                path,
                Line(number, text.encode(errors="surrogateescape"), 0),
                backfill,
                counts,
            )
        publisher.flush()
        return counts
    position = _start(path, backfill)
    write_position(path, position)
    with progress_bar(path.name, path.stat().st_size - position.offset) as progress:
        for line in lines_from(path, position):
            understood = _publish_line(publisher, path, line, backfill, counts)
            if not understood and not line.is_whole:
                break  # it may still be written: it is read again next time
            position = position.after(line)
            if line.number % _LINES_BETWEEN_POSITIONS == 0:
                publisher.flush()
                write_position(path, position)
            progress(len(line.data))
    publisher.flush()
    write_position(path, position)
    return counts


def _start(path: Path, backfill: Backfill) -> Position:
    """Return where to begin in a file, and tell a person unless it is the first time."""
    found = read_position(path)
    if backfill.again:
        return Position(first_line=found.position.first_line)
    if found.unused:
        say(f"{path}: is read from its start: {found.unused}")
    elif found.position.lines:
        say(f"{path}: goes on after line {found.position.lines}; --again reads it from its start")
    return found.position


def _publish_line(
    publisher: Outlet, path: Path, line: Line, backfill: Backfill, counts: Counter[str]
) -> bool:
    """Publish the events of a line; say whether it could be understood."""
    if not line.data.strip():
        return True
    context = of_line(backfill.context, backfill.id_prefix, line.number)
    try:
        found = normalise_line(line.data, backfill.form, context)
    except Unusable as unusable:
        say(f"{path}:{line.number}: {unusable}")
        counts["refused"] += 1
        return False
    for event in found.events:
        fields = parse_usage(event)
        assert not isinstance(fields, Refusal)  # noqa: S101 - the normaliser has checked it
        publisher.usage(fields)
        counts["published"] += 1
    counts["not_charged"] += bool(found.not_charged)
    return True
