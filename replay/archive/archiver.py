"""The archiver: reads on where the manifest ends, writes a segment, names it in the manifest.

That order is all there is to exactly once: the manifest is both the list of what is archived and
the position to read on from, so they can not come apart, and a kill between any two steps leaves a
stray file at most. Ranges are read up to an end that was taken before, committed records only.

A transaction that hangs holds up its own partition and no other: what was read before it is
archived, and the rest is tried again in the next round.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import structlog

from engine.ports import LogRecord, LogStalled, LogUnavailable, RecordLog, TopicPartition
from replay.archive.chain import chained
from replay.archive.errors import ForeignArchive
from replay.archive.folder import Archive
from replay.archive.layout import partition_folder
from replay.archive.log import ArchiveLog
from replay.archive.manifest import Segment, save_manifest
from replay.archive.segments import SegmentWriter, groups_of

_POLL_SECONDS = 0.5
_log = structlog.get_logger()


class Limits(NamedTuple):
    """When a segment is full: records, or bytes of originals. `seconds`: when it is due anyway."""

    records: int = 500_000
    bytes: int = 128 * 1024 * 1024
    seconds: float = 30.0


class Archived(NamedTuple):
    """A segment that now counts."""

    partition: TopicPartition
    segment: Segment


Report = Callable[[Archived], None]


class Archiver:
    """Archives a log. Only for the one that holds the archive's lock."""

    def __init__(
        self,
        archive: Archive,
        log: RecordLog,
        limits: Limits = Limits(),  # noqa: B008 - immutable
        report: Report = lambda _: None,
    ) -> None:
        self._archive = archive
        self._log = log
        self._limits = limits
        self._report = report
        self._last_commits: dict[TopicPartition, LogRecord] = {}
        self._waiting_since: dict[TopicPartition, float] = {}

    def catch_up(self) -> list[LogStalled]:
        """Archive up to the present ends; return what hung before its end."""
        ends = self._log.ends(self._archive.names())
        stalls = [self.archive_to(partition, end) for partition, end in ends.items()]
        return [stall for stall in stalls if stall is not None]

    def follow(self, stop: threading.Event) -> None:
        """Archive what is due, again and again, until `stop`. A broker that is away is waited for."""
        while not stop.is_set():
            try:
                self.archive_due(stop)
            except LogUnavailable as error:
                _log.warning("log_unavailable", reason=str(error))
            stop.wait(_POLL_SECONDS)

    def archive_due(self, stop: threading.Event) -> None:
        """Archive the partitions of which enough stands there, or some for long enough."""
        ends = self._log.ends(self._archive.names())
        for partition, end in ends.items():
            if stop.is_set():
                return
            if self._is_due(partition, end, time.monotonic()):
                stall = self.archive_to(partition, end)
                self._waiting_since.pop(partition, None)
                if stall is not None:
                    _log.warning("archive_waits_for_transaction", reason=str(stall))

    def _is_due(self, partition: TopicPartition, end: int, now: float) -> bool:
        """Whether enough records stand there, or some have waited long enough."""
        behind = end - self._archive.manifest(partition).next_offset
        if behind == 0:
            return False
        since = self._waiting_since.setdefault(partition, now)
        return behind >= self._limits.records or now - since >= self._limits.seconds

    def archive_to(self, partition: TopicPartition, end: int) -> LogStalled | None:
        """Archive a partition up to an offset in segments; return the stall that came before it."""
        start = self._archive.manifest(partition).next_offset
        if end < start:
            raise ForeignArchive(
                f"{self._archive.path}: {partition.topic}[{partition.partition}] is archived up to "
                f"{start}, but the log ends at {end}: it is not the log that was archived"
            )
        source = _Source(self._records(partition, start, end), end)
        while not source.is_exhausted:
            segment = self._write(partition, start, source)
            if segment is None:
                break
            self._name(partition, segment)
            start = segment.next_offset
        return source.stall

    def _records(self, partition: TopicPartition, start: int, end: int) -> Iterable[LogRecord]:
        records = self._log.read(partition, start, end)
        if partition.topic != "journal" or start >= end:
            return records
        return self._remembered(chained(records, self._last_commit(partition)))

    def _last_commit(self, partition: TopicPartition) -> LogRecord | None:
        """Return the last archived commit: of this run, or read from the last segment."""
        if partition not in self._last_commits:
            for segment in self._archive.manifest(partition).segments[-1:]:
                log = ArchiveLog(self._archive)
                for record in log.read(partition, segment.first_offset, segment.next_offset):
                    self._last_commits[partition] = record
        return self._last_commits.get(partition)

    def _remembered(self, records: Iterator[LogRecord]) -> Iterator[LogRecord]:
        for record in records:
            yield record
            self._last_commits[TopicPartition(record.topic, record.partition)] = record

    def _write(
        self, partition: TopicPartition, first_offset: int, source: "_Source"
    ) -> Segment | None:
        """Write one segment; None if no record is left."""
        writer = None
        for table in groups_of(partition.topic, source.take(self._limits)):
            if writer is None:
                folder = partition_folder(self._archive.path, partition)
                writer = SegmentWriter(folder, partition, first_offset)
            writer.add(table)
        return writer.finish(source.position) if writer else None

    def _name(self, partition: TopicPartition, segment: Segment) -> None:
        """Name a segment in the manifest: from here on it counts."""
        manifest = self._archive.manifest(partition)
        save_manifest(self._archive.path, manifest.with_segment(segment))
        self._report(Archived(partition, segment))


class _Source:
    """The records of one range, handed out in shares; `position`: where the next share begins."""

    def __init__(self, records: Iterable[LogRecord], end: int) -> None:
        self._records = iter(records)
        self._end = end
        self._held: LogRecord | None = None
        self.position = 0
        self.is_exhausted = False
        self.stall: LogStalled | None = None
        self._pull()

    def _pull(self) -> None:
        """Look one record ahead. At the end of the range the position is the end."""
        try:
            self._held = next(self._records, None)
        except LogStalled as stall:
            self._held, self.stall = None, stall
        if self._held is None:
            self.is_exhausted = True
            if self.stall is None:
                self.position = self._end

    def take(self, limits: Limits) -> Iterator[LogRecord]:
        """Yield the next share: at least one record, if any is left."""
        records = size = 0
        while self._held is not None and (
            records == 0 or (records < limits.records and size < limits.bytes)
        ):
            record = self._held
            records, size = records + 1, size + len(record.value)
            self.position = record.offset + 1
            self._pull()
            yield record
