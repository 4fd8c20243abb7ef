"""Recovery: a partition's state is what its journal says, and only that.

A snapshot and the identity index save folding what they have taken in already; each names a commit
by number and digest, and is used only if that very commit stands in the journal. Without them the
whole journal is folded, to the same state.

The end is read as read_uncommitted and folded up to as read_committed, so a transaction that a
dead owner left in flight must end first; folding only to the last stable offset could fold short
(commit protocol, rule 5).
"""

from typing import NamedTuple

from engine.adapters.avro.journal import commit_digest, decode_commit
from engine.adapters.avro.snapshot import decode_snapshot
from engine.ports import (
    IdentityIndex,
    LogPruned,
    RecordLog,
    Snapshots,
    Stamp,
    TopicPartition,
)
from engine.rating.event import Rejection
from engine.rating.journal import JournalCommit, PartitionState, require_next
from engine.rating.ledger import Identities, Ledger
from engine.rating.tariff_book import TariffBook

MAX_UNWRITTEN = 100_000
"""How many identities wait in memory before the index is written."""


class Recovered(NamedTuple):
    """A partition's state, the stamp of its last commit, and where the next one must land."""

    state: PartitionState
    last: Stamp
    journal_end: int
    folded: int


class FromSnapshot(NamedTuple):
    """What a snapshot gave: the state, its stamp, and the notes kept with it."""

    state: PartitionState
    stamp: Stamp
    notes: tuple[str, ...]


def recover(
    partition: int, log: RecordLog, book: TariffBook, index: IdentityIndex, snapshots: Snapshots
) -> Recovered:
    """Return a partition's state and bring its identity index up to it. BrokenChain if broken."""
    journal = TopicPartition("journal", partition)
    end = log.ends([journal])[journal]
    if not stands(log, journal, index.stamp, end):
        index.clear()
    state, stamp, _ = from_snapshot(partition, log, book, index, snapshots, end)
    last = min(stamp, index.stamp)
    folded, start = 0, last.offset + 1
    while start < end:
        for record in log.read(journal, start, end):
            commit, digest = decode_commit(record.value), commit_digest(record.value)
            require_next(commit, last.commit, last.digest)
            last = Stamp(commit.commit, digest, record.offset)
            if commit.commit > state.commit:
                state.fold(commit, digest)
            else:
                _take_identities(commit, state.ledger)
            if index.unwritten >= MAX_UNWRITTEN:
                # Folding what it had gone past does not take it back: it holds the later ones too.
                index.write(max(last, index.stamp))
            folded += 1
        # What was waited for has moved the end: at least the marker that ended a transaction.
        start, end = end, log.ends([journal])[journal]
    return Recovered(state, max(last, stamp), end, folded)


def from_snapshot(
    partition: int,
    log: RecordLog,
    book: TariffBook,
    identities: Identities,
    snapshots: Snapshots,
    end: int,
) -> FromSnapshot:
    """Return the state of the latest snapshot that is of this journal and code, or an empty one."""
    journal = TopicPartition("journal", partition)
    for stamp, data in snapshots.stored(partition):
        if not stands(log, journal, stamp, end):
            continue
        decoded = decode_snapshot(data, book, identities)
        if decoded is not None:
            state, notes = decoded
            return FromSnapshot(state, stamp, notes)
    return FromSnapshot(PartitionState(partition, book, identities), Stamp(), ())


def stands(log: RecordLog, journal: TopicPartition, stamp: Stamp, end: int) -> bool:
    """Whether the commit that a stamp names stands in the journal, at its offset."""
    if stamp == Stamp():
        return True
    if stamp.offset >= end:
        return False
    try:
        records = list(log.read(journal, stamp.offset, stamp.offset + 1))
    except LogPruned:
        return False
    return [commit_digest(record.value) for record in records] == [stamp.digest]


def _take_identities(commit: JournalCommit, ledger: Ledger) -> None:
    """Take a commit into the identity index that the snapshot holds already."""
    for record in commit.records:
        if not isinstance(record, Rejection):
            ledger.identify(record)
