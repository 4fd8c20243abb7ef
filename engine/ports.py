"""Ports: what the engine needs from outside, and nothing else.

The worker and the projector are written against these; `adapters.kafka` is the real thing and
`adapters.memory` an in-memory one that passes the same contract suite (tests/ports). Topics are
named bare (`usage`), without the deployment's prefix, so that journals compare between
deployments.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from engine.rating.errors import TollbookError
from engine.rating.journal import NO_DIGEST
from engine.rating.ledger import Identities


class LogRecord(NamedTuple):
    """One record of a topic. `appended_at`: the broker's time in us UTC."""

    topic: str
    partition: int
    offset: int
    appended_at: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Write(NamedTuple):
    """A record to append in a transaction.

    `expected_offset`: where it must land, or the transaction is aborted (optimistic append); None
    where nobody depends on it.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    expected_offset: int | None = None


class Batch(NamedTuple):
    """What one poll brought.

    `membership` is the group membership under which it was read: an opaque token, taken right
    after the poll, that fences a zombie when the batch is committed.
    """

    records: Sequence[LogRecord]
    membership: object


class CommitFailed(TollbookError):
    """A transaction was aborted, or its outcome is unknown. The state behind it must be dropped."""


class LogStalled(TollbookError):
    """The end of a log did not become readable in time: a transaction hangs before it."""


class LogUnavailable(TollbookError):
    """The broker can not be reached now. Nothing is wrong with what was read so far."""


class LogPruned(TollbookError):
    """What was asked for is not in the log any more: the archive has it."""


class RecordLog(Protocol):
    """Reading topics without a group: journals to recover, commands, tariffs."""

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return each partition's end, counting records of transactions that are still open."""

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the committed records from `start` until the position reaches `end`.

        Waits for open transactions before `end`. LogStalled if that takes too long, LogPruned if
        records from `start` on were deleted, LogUnavailable if the broker is away.
        """


class Inputs(Protocol):
    """Reading topics as a member of a group."""

    def poll(self, timeout_ms: int) -> Batch:
        """Return the next records of the assigned partitions that were started."""

    def take_assignment(self) -> frozenset[int] | None:
        """Return the assigned partition numbers if they changed since the last call, else None.

        Newly assigned partitions are paused until `start` is called.
        """

    def start(self, partition: int, positions: Mapping[str, int]) -> None:
        """Read a partition on from these offsets (by topic)."""

    def committed(self, partition: TopicPartition) -> int:
        """Return the group's committed offset; 0 if there is none."""

    def close(self) -> None:
        """Leave the group."""


class Transactions(Protocol):
    """Appending records and committing input offsets, all or nothing."""

    def commit(
        self,
        writes: Sequence[Write],
        offsets: Mapping[TopicPartition, int],
        membership: object,
    ) -> Sequence[int]:
        """Append all writes and commit the offsets; return the offset of each write.

        CommitFailed if nothing was committed or if that is unknown.
        """

    def fence(self, partitions: Sequence[TopicPartition] = ()) -> None:
        """End any transaction that an earlier holder of this slot left open.

        And any that another slot has open in these partitions, which are ours now. LogUnavailable
        or CommitFailed if the broker is away.
        """

    def close(self) -> None:
        """Release the slot."""


class Stamp(NamedTuple):
    """How far a cache has taken a journal partition in: the last commit, its digest, its offset.

    A cache whose stamp does not name a commit that stands in the journal is not used.
    """

    commit: int = 0
    digest: bytes = NO_DIGEST
    offset: int = -1


class IdentityIndex(Identities, Protocol):
    """The identities of one partition, for ever: a cache in bounded memory, with a stamp.

    What was added since the last `write` is seen by `get` and `standing` but lives in memory only:
    an aborted commit must leave no trace (written early, its retry would be lost as a duplicate).
    """

    @property
    def stamp(self) -> Stamp:
        """How far the index went when it was last written."""

    @property
    def unwritten(self) -> int:
        """How many identities were added since."""

    @property
    def size(self) -> int:
        """About how many identities are written."""

    def write(self, stamp: Stamp) -> None:
        """Keep what was added, and the stamp, both or neither, also through a power cut."""

    def clear(self) -> None:
        """Forget everything: the stamp is Stamp() again."""

    def close(self) -> None:
        """Let go of it; what was not written is gone."""


class IdentityIndexes(Protocol):
    """Where the identity index of each partition is kept."""

    def open(self, partition: int) -> IdentityIndex:
        """Open the index of a partition, for this process alone."""


class Snapshots(Protocol):
    """Where snapshots of partitions are kept: bytes, of which the store knows only the stamp."""

    def save(self, partition: int, stamp: Stamp, data: bytes) -> None:
        """Keep a snapshot, whole or not at all. OSError if there is no room; older ones stand."""

    def stored(self, partition: int) -> Iterator[tuple[Stamp, bytes]]:
        """Yield what is kept of a partition and is whole, the latest commit first."""


def next_append(offset: int) -> int:
    """Return where the next transaction's record lands: a commit marker stands in between."""
    return offset + 2
