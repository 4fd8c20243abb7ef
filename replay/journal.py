"""Reading the journal as evidence: every commit checked against the one before it.

A fold through `PartitionState` refuses a missing, doubled or foreign commit, a gap in an account's
sequence, and a charge whose `due` does not follow; so state rebuilt here is proved, not trusted.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from engine.adapters.avro.journal import commit_digest, decode_commit
from engine.ports import RecordLog, TopicPartition
from engine.rating.journal import JournalCommit, PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.tariff_book import TariffBook


class ReadCommit(NamedTuple):
    """A commit, its digest, where its record stands, and the partition's state after it."""

    commit: JournalCommit
    digest: bytes
    offset: int
    state: PartitionState


def journal_partitions(partitions: int) -> list[TopicPartition]:
    """Return the partitions of the journal."""
    return [TopicPartition("journal", number) for number in range(partitions)]


def read_journal(log: RecordLog, partition: TopicPartition, end: int) -> Iterator[ReadCommit]:
    """Yield the commits of one partition up to `end`, folding as it goes. BrokenChain if broken."""
    state = PartitionState(partition.partition, TariffBook(), MemoryIdentities())
    for record in log.read(partition, 0, end):
        commit, digest = decode_commit(record.value), commit_digest(record.value)
        state.fold(commit, digest)
        yield ReadCommit(commit, digest, record.offset, state)


def fold_journal(
    log: RecordLog, partitions: int, progress: Callable[[int], None] = lambda _: None
) -> list[PartitionState]:
    """Return every partition's state after its last commit; `progress` is told of each commit."""
    names = journal_partitions(partitions)
    ends = log.ends(names)
    states = []
    for name in names:
        state = PartitionState(name.partition, TariffBook(), MemoryIdentities())
        for read in read_journal(log, name, ends[name]):
            state = read.state
            progress(1)
        states.append(state)
    return states
