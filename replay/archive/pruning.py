"""Pruning: how far Kafka may forget.

A record may go from Kafka when its segment was verified just now, and when nobody who reads Kafka
still needs it: a worker reads `usage` and `accounts` on from the positions in its journal, so an
input that is archived but not journaled stays. `tariffs` is never pruned, because every worker
reads it from the beginning. The journal goes only if asked for: workers and projectors that have
no archive fold it from its start.
"""

from collections.abc import Iterator
from typing import NamedTuple

from engine.adapters.avro.journal import decode_commit
from engine.ports import TopicPartition
from replay.archive.folder import Archive
from replay.archive.log import ArchiveLog
from replay.archive.verification import verify_segment

INPUTS = ("usage", "usage-forwarded", "accounts")


class Prunable(NamedTuple):
    """Kafka may delete what stands before `before`; `reason`: why not more."""

    partition: TopicPartition
    before: int
    reason: str


def prunable(archive: Archive, partition: TopicPartition) -> Prunable:
    """Return how far a partition may be pruned. Its segments are verified first."""
    verified = 0
    reason = "that is how far it is archived and verified"
    for segment in archive.manifest(partition).segments:
        problem = next(verify_segment(archive, partition, segment), None)
        if problem is not None:
            reason = f"{segment.name}: {problem}"
            break
        verified = segment.next_offset
    if partition.topic not in INPUTS:
        return Prunable(partition, verified, reason)
    journaled = _journaled(archive, partition)
    if journaled < verified:
        return Prunable(partition, journaled, "that is how far the archived journal has read it")
    return Prunable(partition, verified, reason)


def _journaled(archive: Archive, partition: TopicPartition) -> int:
    """Return how far a topic has been read, as the last archived commit of its partition says."""
    journal = TopicPartition("journal", partition.partition)
    log = ArchiveLog(archive)
    for segment in reversed(archive.manifest(journal).segments):
        last = None
        for record in log.read(journal, segment.first_offset, segment.next_offset):
            last = record
        if last is not None:
            positions = decode_commit(last.value).positions
            return next((e.offset for e in positions if e.topic == partition.topic), 0)
    return 0


def plan(archive: Archive, *, with_journal: bool) -> Iterator[Prunable]:
    """Yield how far each partition may be pruned."""
    topics = (*INPUTS, "journal") if with_journal else INPUTS
    for partition in archive.names(*topics):
        yield prunable(archive, partition)
