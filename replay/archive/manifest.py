"""The manifest: the list of a partition's segments. A file that it does not name does not exist.

It is replaced as a whole, and that is the moment at which anything happens to an archive: before
it a new segment is a stray file that the next writer removes, after it the segment counts. So a
process may be killed anywhere, and no offset is missing or there twice.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from engine.adapters.durable import replace_file
from engine.ports import TopicPartition
from replay.archive.errors import BrokenArchive
from replay.archive.layout import FORMAT, MANIFEST, partition_folder, segment_name


class Segment(NamedTuple):
    """One segment: the records of [first_offset, next_offset), in a file of this size and hash."""

    first_offset: int
    next_offset: int
    records: int
    rows: int
    size: int
    sha256: str
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The file's name within the partition's folder."""
        return segment_name(self.first_offset, self.next_offset)


class Manifest(NamedTuple):
    """The segments of one topic partition, in the order of offsets."""

    partition: TopicPartition
    segments: tuple[Segment, ...] = ()

    @property
    def next_offset(self) -> int:
        """How far the partition is archived: where to read on."""
        return self.segments[-1].next_offset if self.segments else 0

    @property
    def records(self) -> int:
        """How many records are archived."""
        return sum(segment.records for segment in self.segments)

    def with_segment(self, segment: Segment) -> "Manifest":
        """Return the manifest with one segment more."""
        return self._replace(segments=(*self.segments, segment))

    def merged(self, run: tuple[Segment, ...], into: Segment) -> "Manifest":
        """Return the manifest with one segment in place of a run of neighbours."""
        start = self.segments.index(run[0])
        rest = self.segments[start + len(run) :]
        return self._replace(segments=(*self.segments[:start], into, *rest))


def load_manifest(archive: Path, partition: TopicPartition) -> Manifest:
    """Return a partition's manifest; an empty one if it has none. BrokenArchive if unsound."""
    path = partition_folder(archive, partition) / MANIFEST
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Manifest(partition)
    try:
        document = json.loads(text)
        manifest = Manifest(partition, tuple(map(_segment_of, document["segments"])))
        named = (document["topic"], document["partition"])
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenArchive(f"{path}: no manifest ({type(error).__name__}: {error})") from error
    if named != tuple(partition):
        raise BrokenArchive(f"{path}: is of {named[0]}[{named[1]}], expected {_shown(partition)}")
    _refuse_gaps(manifest, path)
    return manifest


def _segment_of(fields: dict[str, Any]) -> Segment:
    if fields["format"] > FORMAT:
        raise ValueError(f"format {fields['format']}, expected {FORMAT} at most")
    named = {name: fields[name] for name in Segment._fields}
    if not all(isinstance(named[name], int) for name in named if name != "sha256"):
        raise TypeError("a number is none")
    return Segment(**named)


def _refuse_gaps(manifest: Manifest, path: Path) -> None:
    expected = 0
    for segment in manifest.segments:
        if segment.first_offset != expected or segment.next_offset <= expected:
            raise BrokenArchive(
                f"{path}: {segment.name} where a segment from {expected} on is expected"
            )
        expected = segment.next_offset


def save_manifest(archive: Path, manifest: Manifest) -> None:
    """Put a partition's manifest in the place of the one before, whole or not at all."""
    document = {
        "format": FORMAT,
        "topic": manifest.partition.topic,
        "partition": manifest.partition.partition,
        "segments": [{"file": s.name, **s._asdict()} for s in manifest.segments],
    }
    path = partition_folder(archive, manifest.partition) / MANIFEST
    replace_file(path, json.dumps(document, indent=1).encode())


def _shown(partition: TopicPartition) -> str:
    return f"{partition.topic}[{partition.partition}]"
