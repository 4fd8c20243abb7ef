"""Compaction: neighbouring small segments become one, with the same records to the byte.

An archiver that follows writes a small segment every half minute. Merging copies their rows, reads
the records back from the new file and from the old ones, and only when they are the same names the
new file in the manifest: that is the moment of the swap. Then the old files go. A reader that still
knew them reads its manifest again and goes on.

A merge must at least double the largest segment in it, so each row is rewritten a few times only
(the logarithm of the sizes), however often this runs.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import pyarrow as pa

from engine.ports import LogRecord, TopicPartition
from replay.archive.errors import BrokenArchive
from replay.archive.folder import Archive
from replay.archive.layout import partition_folder
from replay.archive.manifest import Segment, save_manifest
from replay.archive.segments import SegmentWriter, groups_of, guarded, opened, read_records
from replay.archive.tables import table_of

TARGET_BYTES = 128 * 1024 * 1024
_GROUP_ROWS = 50_000
_GROUP_BYTES = 32 * 1024 * 1024


class Compacted(NamedTuple):
    """A segment, and how many it took the place of."""

    partition: TopicPartition
    merged: int
    segment: Segment


def compact(
    archive: Archive,
    partition: TopicPartition,
    target_bytes: int = TARGET_BYTES,
    fewest: int = 2,
) -> Iterator[Compacted]:
    """Merge runs of at least `fewest` segments. Only for the one that holds the archive's lock."""
    for run in runs_to_merge(archive.manifest(partition).segments, target_bytes, fewest):
        merged = _merge(archive, partition, run)
        save_manifest(archive.path, archive.manifest(partition).merged(run, merged))
        for segment in run:
            archive.file(partition, segment).unlink()
        yield Compacted(partition, len(run), merged)


def runs_to_merge(
    segments: Sequence[Segment], target_bytes: int, fewest: int = 2
) -> list[tuple[Segment, ...]]:
    """Return the runs of neighbours that are worth merging, each within the target size."""
    runs: list[list[Segment]] = [[]]
    size = 0
    for segment in segments:
        if size + segment.size > target_bytes:
            runs.append([])
            size = 0
        runs[-1].append(segment)
        size += segment.size
    return [run for candidate in runs for run in _worthwhile(tuple(candidate), max(2, fewest))]


def _worthwhile(run: tuple[Segment, ...], fewest: int) -> list[tuple[Segment, ...]]:
    """Return the parts of a run in which the largest segment is at most half of the whole."""
    if len(run) < fewest:
        return []
    largest = max(range(len(run)), key=lambda place: run[place].size)
    if 2 * run[largest].size <= sum(segment.size for segment in run):
        return [run]
    return _worthwhile(run[:largest], fewest) + _worthwhile(run[largest + 1 :], fewest)


def _merge(archive: Archive, partition: TopicPartition, run: tuple[Segment, ...]) -> Segment:
    folder = partition_folder(archive.path, partition)
    writer = SegmentWriter(folder, partition, run[0].first_offset)
    for table in _groups(archive, partition, run):
        writer.add(table)
    merged = writer.finish(run[-1].next_offset)
    before = _records(archive, partition, run)
    after = _records(archive, partition, (merged,))
    if any(old != new for old, new in zip_longest(before, after)):
        raise BrokenArchive(
            f"{archive.file(partition, merged)}: differs from the segments that it merges"
        )
    return merged


def _records(
    archive: Archive, partition: TopicPartition, segments: Sequence[Segment]
) -> Iterator[LogRecord]:
    for segment in segments:
        file = archive.file(partition, segment)
        yield from read_records(file, partition, segment.first_offset, segment.next_offset)


def _groups(archive: Archive, partition: TopicPartition, run: Sequence[Segment]) -> Iterator[Any]:
    """Yield the rows of a run in groups of bounded size."""
    held: list[Any] = []
    for segment in run:
        for table in _tables(archive, partition, segment):
            held.append(table)
            if (
                sum(map(len, held)) >= _GROUP_ROWS
                or sum(table.nbytes for table in held) >= _GROUP_BYTES
            ):
                yield pa.concat_tables(held).combine_chunks()
                held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _tables(archive: Archive, partition: TopicPartition, segment: Segment) -> Iterator[Any]:
    """Yield a segment's row groups; columns of an older schema are derived anew."""
    file = archive.file(partition, segment)
    with opened(file) as parquet:
        if parquet.schema_arrow.equals(table_of(partition.topic).schema):
            groups = (parquet.read_row_group(n) for n in range(parquet.num_row_groups))
            yield from guarded(file, groups)
            return
    yield from groups_of(partition.topic, _records(archive, partition, (segment,)))
