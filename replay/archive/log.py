"""The archive as a log: everything that replays the journal runs from the archive alone.

`ArchiveLog` is a `RecordLog`: its ends are how far each partition is archived, its records are
those that Kafka gave, byte for byte. `CombinedLog` reads the archive first and Kafka for what came
later, so a replay goes on when Kafka was pruned behind the archive.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.ports import LogPruned, LogRecord, LogStalled, RecordLog, TopicPartition
from replay.archive.errors import BrokenArchive
from replay.archive.folder import Archive
from replay.archive.segments import read_records


class ArchiveLog:
    """`RecordLog` on an archive. Manifests are read anew each time, so it follows its writer."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if it is not archived."""
        return self._archive.partitions(topic)

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return how far each partition is archived."""
        return {name: self._archive.manifest(name).next_offset for name in partitions}

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the archived records of [start, end). LogStalled if the archive ends before.

        If compaction replaces a segment meanwhile, reading goes on in the one that took its place.
        """
        position = start
        gone = None
        while position < end:
            manifest = self._archive.manifest(partition)
            if manifest.next_offset < end:
                raise LogStalled(
                    f"archive of {partition.topic}[{partition.partition}]: ends at "
                    f"{manifest.next_offset}, expected to reach {end}; run tollbook archive write"
                )
            segment = next(s for s in manifest.segments if s.next_offset > position)
            file = self._archive.file(partition, segment)
            try:
                for record in read_records(file, partition, position, end):
                    yield record
                    position = record.offset + 1
            except FileNotFoundError as error:
                if file == gone:
                    raise BrokenArchive(f"{file}: is missing") from error
                gone = file
                continue
            position = segment.next_offset


class PrunedLog:
    """`RecordLog` of Kafka, and of an archive for what was pruned from it: for workers.

    The archive is opened only when it is needed: a worker may start before there is one.
    """

    def __init__(self, log: RecordLog, path: Path) -> None:
        self._log = log
        self._path = path

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the ends in Kafka."""
        return self._log.ends(partitions)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the committed records of [start, end); LogPruned if the archive lacks them too."""
        position = start
        try:
            for record in self._log.read(partition, start, end):
                yield record
                position = record.offset + 1
        except LogPruned:
            archive = ArchiveLog(Archive(self._path))
            archived = archive.ends([partition])[partition]
            if position != start or archived <= start:
                raise
            yield from archive.read(partition, start, min(end, archived))
            yield from self._log.read(partition, archived, end)


class CombinedLog:
    """`RecordLog` of an archive, and of Kafka for what is later than the archive."""

    def __init__(self, archive: ArchiveLog, later: RecordLog) -> None:
        self._archive = archive
        self._later = later

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if it is not archived."""
        return self._archive.partitions(topic)

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the ends in Kafka."""
        return self._later.ends(partitions)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the committed records of [start, end), from the archive as far as it goes."""
        archived = 0
        if self._archive.partitions(partition.topic):
            archived = self._archive.ends([partition])[partition]
        if start < archived:
            yield from self._archive.read(partition, start, min(end, archived))
        yield from self._later.read(partition, max(start, archived), end)
