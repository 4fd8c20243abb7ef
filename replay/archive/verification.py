"""Verification: whether an archive is what its manifests say, and what the log it came from says.

Each segment's size and SHA-256; its rows and records counted again; its records within its range
and in order; the journal's chain from the first commit on; and, if asked, its columns derived again
from the original bytes, and every record against Kafka's. Whoever alters a file must alter its
manifest too, and whoever alters both can not alter the journal without breaking the chain, nor the
usage without breaking the digests that the charges name.
"""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import NamedTuple

import pyarrow as pa

from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.errors import BrokenChain
from replay.archive.chain import chained
from replay.archive.errors import BrokenArchive
from replay.archive.folder import Archive
from replay.archive.manifest import Manifest, Segment
from replay.archive.segments import fingerprint, groups_of, guarded, opened, read_records
from replay.archive.tables import table_of

_BATCH_ROWS = 5_000


class Finding(NamedTuple):
    """Something that is not as it should be, and where."""

    partition: TopicPartition
    place: str
    problem: str


class Verified(NamedTuple):
    """One partition that was verified: what it holds, and everything that was found wrong."""

    partition: TopicPartition
    segments: int
    records: int
    next_offset: int
    findings: tuple[Finding, ...]


Progress = Callable[[int], None]


def verify(
    archive: Archive, partition: TopicPartition, progress: Progress = lambda _: None
) -> Verified:
    """Verify one partition by itself; `progress` is told of each segment."""
    try:
        manifest = archive.manifest(partition)
    except BrokenArchive as error:
        return Verified(partition, 0, 0, 0, (Finding(partition, "manifest", str(error)),))
    findings: list[Finding] = []
    for segment in manifest.segments:
        findings += [
            Finding(partition, segment.name, problem)
            for problem in verify_segment(archive, partition, segment)
        ]
        progress(1)
    if partition.topic == "journal" and not findings:
        findings += _verify_chain(archive, manifest)
    return Verified(
        partition, len(manifest.segments), manifest.records, manifest.next_offset, tuple(findings)
    )


def verify_segment(archive: Archive, partition: TopicPartition, segment: Segment) -> Iterator[str]:
    """Yield what is wrong with one segment."""
    file = archive.file(partition, segment)
    try:
        size, digest = fingerprint(file)
    except FileNotFoundError:
        yield "the file is missing"
        return
    if (size, digest) != (segment.size, segment.sha256):
        yield (
            f"the file has {size} bytes with SHA-256 {digest}, the manifest says {segment.size} "
            f"bytes with {segment.sha256}"
        )
        return
    try:
        yield from _verify_content(archive, partition, segment)
    except BrokenArchive as error:
        yield str(error)


def _verify_content(archive: Archive, partition: TopicPartition, segment: Segment) -> Iterator[str]:
    file = archive.file(partition, segment)
    rows = records = 0
    position = segment.first_offset
    with opened(file) as parquet:
        rows = parquet.metadata.num_rows
    for record in read_records(file, partition, 0, 2**63 - 1):
        if not position <= record.offset < segment.next_offset:
            yield f"offset {record.offset} stands where {position} or later is expected"
            return
        position = record.offset + 1
        records += 1
    if (records, rows) != (segment.records, segment.rows):
        yield (
            f"the file holds {records} records in {rows} rows, the manifest says "
            f"{segment.records} in {segment.rows}"
        )


def verify_columns(
    archive: Archive, partition: TopicPartition, progress: Progress = lambda _: None
) -> Iterator[Finding]:
    """Yield the segments whose columns are not those that this program derives from the bytes.

    A segment that an earlier program wrote may have fewer columns or know fewer types of record;
    one with other columns is not compared.
    """
    for segment in archive.manifest(partition).segments:
        if not _columns_follow(archive, partition, segment):
            problem = "the columns do not say what the original bytes say"
            yield Finding(partition, segment.name, problem)
        progress(1)


def _columns_follow(archive: Archive, partition: TopicPartition, segment: Segment) -> bool:
    file = archive.file(partition, segment)
    with opened(file) as parquet:
        if not parquet.schema_arrow.equals(table_of(partition.topic).schema):
            return True
        stored = guarded(file, parquet.iter_batches(batch_size=_BATCH_ROWS))
        records = read_records(file, partition, segment.first_offset, segment.next_offset)
        derived = (
            batch
            for table in groups_of(partition.topic, records)
            for batch in table.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS)
        )
        return _same_rows(stored, derived)


def _same_rows(first: Iterator[pa.RecordBatch], second: Iterator[pa.RecordBatch]) -> bool:
    """Whether two streams of batches hold the same rows, however they are cut."""
    left = right = None
    while True:
        left = left or next(first, None)
        right = right or next(second, None)
        if left is None or right is None:
            return left is right
        shared = min(len(left), len(right))
        if not left.slice(0, shared).equals(right.slice(0, shared)):
            return False
        left, right = left.slice(shared), right.slice(shared)


def _verify_chain(archive: Archive, manifest: Manifest) -> Iterator[Finding]:
    """Yield where the journal's chain breaks, if it does."""
    partition = manifest.partition
    records = (
        record
        for segment in manifest.segments
        for record in read_records(
            archive.file(partition, segment), partition, segment.first_offset, segment.next_offset
        )
    )
    try:
        for _ in chained(records, None):
            pass
    except BrokenChain as error:
        yield Finding(partition, "chain", str(error))


def compare(
    log: RecordLog, other: RecordLog, partition: TopicPartition, start: int, end: int
) -> Iterator[Finding]:
    """Yield the first record of [start, end) that two logs do not share, if there is one."""
    for mine, theirs in zip_longest(
        log.read(partition, start, end), other.read(partition, start, end)
    ):
        if mine != theirs:
            yield Finding(partition, f"offset {_offset(mine, theirs)}", _difference(mine, theirs))
            return


def _offset(*records: LogRecord | None) -> int:
    return min(record.offset for record in records if record is not None)


def _difference(mine: LogRecord | None, theirs: LogRecord | None) -> str:
    if mine is None or (theirs is not None and theirs.offset < mine.offset):
        return "Kafka has a record here, the archive has none"
    if theirs is None or mine.offset < theirs.offset:
        return "the archive has a record here, Kafka has none"
    names = ", ".join(
        name for name, a, b in zip(LogRecord._fields, mine, theirs, strict=True) if a != b
    )
    return f"the archive and Kafka differ in {names}"
