"""Where things are in an archive: one folder per topic partition, one file per range of offsets.

    archive.json                                   whose archive it is
    journal/partition=0003/_manifest.json          which segments count
    journal/partition=0003/00000000000000000000-00000000000000004711.parquet

A *segment* holds the records of [first offset, next offset); the ranges of one partition follow
each other without a gap. The *next offset* is where reading went on: markers of transactions take
offsets of their own, so it may lie beyond the last record. Names that start with ``_`` are skipped
by Spark and its like, so a topic's folder can be read as a table partitioned by `partition`.
"""

from pathlib import Path

from engine.ports import TopicPartition

FORMAT = 1
"""Of manifests and segments: the envelope columns and what they mean."""

TOPICS = ("usage", "usage-forwarded", "accounts", "tariffs", "journal")
"""What is archived: the inputs and the truth. Every other topic is derived from the journal."""

MANIFEST = "_manifest.json"
IDENTITY = "archive.json"
LOCK = "_lock"


def partition_folder(archive: Path, partition: TopicPartition) -> Path:
    """Return the folder of one topic partition."""
    return archive / partition.topic / f"partition={partition.partition:04d}"


def segment_name(first_offset: int, next_offset: int) -> str:
    """Return a segment's file name: it sorts in the order of offsets."""
    return f"{first_offset:020d}-{next_offset:020d}.parquet"
