"""One segment: a Parquet file written in groups of bounded size, and the records read back from it.

The file is written under a draft name, forced to disk, and only then given its name; its size and
SHA-256 are taken from what was read back. It does not count before a manifest names it.
"""

import os
from collections.abc import Iterable, Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.adapters.durable import sync_path
from engine.ports import LogRecord, TopicPartition
from replay.archive.errors import BrokenArchive
from replay.archive.layout import FORMAT, segment_name
from replay.archive.manifest import Segment
from replay.archive.tables import ORIGINAL, arrow_table, table_of

_GROUP_ROWS = 20_000
_GROUP_BYTES = 4 * 1024 * 1024
"""Of original bytes: a row group, and so what is held in memory, ends at either bound."""

_READ_ROWS = 2_000
_UNREPEATED = ("value", "key", "digest", "previous", "original", "charge_id", "event_id")
"""Columns whose values do not come again: a dictionary of them would only be in the way."""


def groups_of(topic: str, records: Iterable[LogRecord]) -> Iterator[Any]:
    """Yield the rows of records as Arrow tables of bounded size."""
    held: list[LogRecord] = []
    size = 0
    for record in records:
        held.append(record)
        size += len(record.value)
        if size >= _GROUP_BYTES or len(held) >= _GROUP_ROWS:
            yield arrow_table(topic, held)
            held, size = [], 0
    if held:
        yield arrow_table(topic, held)


class SegmentWriter:
    """Writes one segment: `add` groups of rows, then `finish` with the range it turned out to be."""

    def __init__(self, folder: Path, partition: TopicPartition, first_offset: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._partition = partition
        self._first_offset = first_offset
        self._draft = folder / f"_{first_offset:020d}.parquet.tmp"
        self._rows = 0
        self._records = 0
        schema = table_of(partition.topic).schema
        self._writer = pq.ParquetWriter(
            self._draft,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=_dictionary_columns(schema),
            version="2.6",
        )

    def add(self, table: Any) -> None:
        """Append a group of rows."""
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._rows += len(table)
        self._records += len(table) - table.column("value").null_count

    def finish(self, next_offset: int) -> Segment:
        """Close the file, force it to disk and give it its name."""
        self._writer.add_key_value_metadata(
            {
                "tollbook.format": str(FORMAT),
                "tollbook.topic": self._partition.topic,
                "tollbook.partition": str(self._partition.partition),
                "tollbook.first_offset": str(self._first_offset),
                "tollbook.next_offset": str(next_offset),
            }
        )
        self._writer.close()
        size, digest = fingerprint(self._draft, durable=True)
        self._draft.replace(self._folder / segment_name(self._first_offset, next_offset))
        sync_path(self._folder)
        return Segment(
            self._first_offset, next_offset, self._records, self._rows, size, digest, FORMAT
        )


def fingerprint(file: Path, *, durable: bool = False) -> tuple[int, str]:
    """Return a file's size and SHA-256; `durable`: force it to disk first."""
    with file.open("rb") as stream:
        if durable:
            os.fsync(stream.fileno())
        return os.fstat(stream.fileno()).st_size, file_digest(stream, "sha256").hexdigest()


def _dictionary_columns(schema: Any) -> list[str]:
    """Return the leaf columns that get a dictionary, named as Parquet names them."""
    return [path for path in _leaves(schema, "") if path.split(".")[-1] not in _UNREPEATED]


def _leaves(fields: Any, above: str) -> Iterator[str]:
    for field in fields:
        yield from _leaves_of(field.type, f"{above}{field.name}")


def _leaves_of(kind: Any, path: str) -> Iterator[str]:
    if pa.types.is_struct(kind):
        yield from _leaves(kind, f"{path}.")
    elif pa.types.is_map(kind):
        yield f"{path}.key_value.key"
        yield from _leaves_of(kind.item_type, f"{path}.key_value.value")
    elif pa.types.is_list(kind):
        yield from _leaves_of(kind.value_type, f"{path}.list.element")
    else:
        yield path


def read_records(
    file: Path, partition: TopicPartition, start: int, end: int
) -> Iterator[LogRecord]:
    """Yield the records of [start, end) that a segment holds, as they were read from Kafka.

    FileNotFoundError if it is gone, BrokenArchive if it can not be read.
    """
    with opened(file) as parquet:
        wanted = [
            group
            for group in range(parquet.metadata.num_row_groups)
            if _overlaps(parquet.metadata.row_group(group).column(0).statistics, start, end)
        ]
        batches = parquet.iter_batches(
            batch_size=_READ_ROWS, row_groups=wanted, columns=list(ORIGINAL)
        )
        for batch in guarded(file, batches):
            yield from _records_of(batch, partition, start, end)


def _overlaps(statistics: Any, start: int, end: int) -> bool:
    return statistics is None or (statistics.max >= start and statistics.min < end)


def _records_of(batch: Any, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
    firsts = batch.filter(pc.is_valid(batch.column("value")))
    columns = [firsts.column(name) for name in ORIGINAL]
    columns[1] = columns[1].cast(pa.int64())
    for offset, appended_at, key, headers, value in zip(
        *(column.to_pylist() for column in columns), strict=True
    ):
        if start <= offset < end:
            named = tuple((header["name"], header["value"]) for header in headers)
            yield LogRecord(*partition, offset, appended_at, key, value, named)


def opened(file: Path) -> Any:
    """Open a segment's file. FileNotFoundError if it is gone, BrokenArchive if it is no Parquet."""
    try:
        return pq.ParquetFile(file)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise BrokenArchive(f"{file}: can not be read: {error}") from error


def guarded(file: Path, batches: Iterable[Any]) -> Iterator[Any]:
    """Yield batches of a file. BrokenArchive where one can not be read."""
    try:
        yield from batches
    except (pa.ArrowException, OSError) as error:
        raise BrokenArchive(f"{file}: can not be read: {error}") from error
