"""The ports in memory: a cluster small enough to read, with the rules of Kafka that matter here.

A `MemoryCluster` holds topics, transactions and groups; `MemoryLog`, `MemoryInputs` and
`MemoryTransactions` are its three faces, and pass the contract suite that the Kafka ones pass
(tests/ports). As in Kafka: the end of a transaction takes an offset of its own in each partition
it wrote to; read_committed readers stop before a transaction that is open; taking a slot again
ends the transaction of its earlier holder and fences it; a member of a group that has changed
since its poll can not commit.

It has no threads and no waiting: a reader that would have to wait for an open transaction raises
LogStalled at once. The cluster's time advances a millisecond with each record that is appended
outside of a transaction, so the times of inputs do not depend on how their readers commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from engine.ports import Batch, CommitFailed, LogRecord, LogStalled, TopicPartition, Write

FIRST_APPEND = 1_798_761_600_000_000
"""When the first record is appended: 2027-01-01 in us UTC."""
_MILLISECOND = 1_000


class _Outcome(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


class _Transaction:
    """One transaction of a slot, and the partitions it wrote to."""

    def __init__(self) -> None:
        self.outcome = _Outcome.OPEN
        self.partitions: dict[TopicPartition, None] = {}


class _Entry(NamedTuple):
    """What one offset holds: a record, or the marker (None) of a transaction's end."""

    record: LogRecord | None
    transaction: _Transaction | None


class Membership(NamedTuple):
    """One member of one generation of a group; a generation below zero is none."""

    group: str
    member_id: str
    generation_id: int


class _Group:
    """The members of a group by slot, and how far it has committed."""

    def __init__(self) -> None:
        self.generation = 0
        self.members: dict[str, str] = {}
        self.offsets: dict[TopicPartition, int] = {}

    def join(self, slot: str) -> str:
        """Add a member, in place of an earlier one of its slot; return the new member's id."""
        self.generation += 1
        self.members[slot] = f"{slot}-{self.generation}"
        return self.members[slot]

    def leave(self, slot: str, member_id: str) -> None:
        """Remove a member, if it is still the one of its slot."""
        if self.members.get(slot) == member_id:
            del self.members[slot]
            self.generation += 1

    def share(self, slot: str, partitions: int) -> frozenset[int]:
        """Return the partitions of a member: contiguous ranges in the order of slots."""
        slots = sorted(self.members)
        index, (each, more) = slots.index(slot), divmod(partitions, len(slots))
        first = index * each + min(index, more)
        return frozenset(range(first, first + each + (index < more)))


class MemoryCluster:
    """Topics with their partition counts, transactions by slot, and groups."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._partitions = dict(topics)
        self._logs: dict[TopicPartition, list[_Entry]] = {
            TopicPartition(topic, number): []
            for topic, count in topics.items()
            for number in range(count)
        }
        self._now = FIRST_APPEND
        self._epochs: dict[str, int] = {}
        self._open: dict[str, _Transaction] = {}
        self._groups: dict[str, _Group] = {}

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if it does not exist."""
        return self._partitions.get(topic, 0)

    def group(self, name: str) -> _Group:
        """Return a group; it begins empty."""
        return self._groups.setdefault(name, _Group())

    def append(
        self,
        partition: TopicPartition,
        value: bytes | None,
        key: bytes | None = None,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> int:
        """Append a record outside of any transaction; return its offset."""
        return self._append(partition, key, value, headers, None)

    def _append(
        self,
        partition: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: tuple[tuple[str, bytes], ...],
        transaction: _Transaction | None,
    ) -> int:
        log = self._logs[partition]
        record = LogRecord(*partition, len(log), self._now, key, value or b"", headers)
        if transaction is None:
            self._now += _MILLISECOND
        log.append(_Entry(record, transaction))
        return record.offset

    def end(self, partition: TopicPartition) -> int:
        """Return the offset that the next record takes."""
        return len(self._logs[partition])

    def stable_end(self, partition: TopicPartition) -> int:
        """Return the offset of the first record whose transaction is open, or the end."""
        for offset, entry in enumerate(self._logs[partition]):
            if entry.transaction and entry.transaction.outcome is _Outcome.OPEN:
                return offset
        return self.end(partition)

    def committed(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the records of [start, end) that are not aborted; `end` within the stable end."""
        for entry in self._logs[partition][start:end]:
            aborted = entry.transaction and entry.transaction.outcome is _Outcome.ABORTED
            if entry.record is not None and not aborted:
                yield entry.record

    def take_slot(self, slot: str) -> int:
        """End what an earlier holder of a slot left open; return the new holder's epoch."""
        self._end(slot, _Outcome.ABORTED)
        self._epochs[slot] = self._epochs.get(slot, -1) + 1
        return self._epochs[slot]

    def end_open(self, partitions: Sequence[TopicPartition]) -> None:
        """Take every slot whose open transaction wrote to one of these partitions."""
        for slot, transaction in list(self._open.items()):
            if transaction.partitions.keys() & set(partitions):
                self.take_slot(slot)

    def write(self, slot: str, epoch: int, write: Write) -> int:
        """Append a record in a slot's transaction, which begins with it; return its offset."""
        self._refuse_fenced(slot, epoch)
        transaction = self._open.setdefault(slot, _Transaction())
        partition = TopicPartition(write.topic, write.partition)
        transaction.partitions[partition] = None
        return self._append(partition, write.key, write.value, (), transaction)

    def abort(self, slot: str, epoch: int) -> None:
        """Abort a slot's transaction."""
        self._refuse_fenced(slot, epoch)
        self._end(slot, _Outcome.ABORTED)

    def commit(
        self,
        slot: str,
        epoch: int,
        offsets: Mapping[TopicPartition, int],
        membership: Membership,
    ) -> None:
        """Commit a slot's transaction with a group's offsets. CommitFailed if fenced."""
        self._refuse_fenced(slot, epoch)
        group = self.group(membership.group)
        is_member = membership.member_id in group.members.values()
        if not is_member or membership.generation_id != group.generation:
            raise CommitFailed(
                f"{slot}: {membership} is not of the group's generation {group.generation}"
            )
        group.offsets.update(offsets)
        self._end(slot, _Outcome.COMMITTED)

    def _refuse_fenced(self, slot: str, epoch: int) -> None:
        if self._epochs[slot] != epoch:
            raise CommitFailed(f"{slot}: epoch {epoch} was fenced by {self._epochs[slot]}")

    def _end(self, slot: str, outcome: _Outcome) -> None:
        transaction = self._open.pop(slot, None)
        if transaction is not None:
            transaction.outcome = outcome
            for partition in transaction.partitions:
                self._logs[partition].append(_Entry(None, transaction))


class MemoryLog:
    """`RecordLog` in memory."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return each partition's read_uncommitted end."""
        return {partition: self._cluster.end(partition) for partition in partitions}

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the committed records of [start, end). LogStalled at an open transaction."""
        stable = self._cluster.stable_end(partition)
        yield from self._cluster.committed(partition, start, min(end, stable))
        if start < end and stable < end:
            raise LogStalled(
                f"{partition.topic}[{partition.partition}]: stuck at {stable}, expected to reach "
                f"{end}; a transaction before it is open"
            )


class MemoryInputs:
    """`Inputs` in memory. `max_records`, of one poll, may be changed between polls."""

    def __init__(
        self,
        cluster: MemoryCluster,
        topics: Sequence[str],
        *,
        group: str,
        slot: str,
        max_records: int,
    ) -> None:
        self._cluster = cluster
        self._topics = tuple(topics)
        self._group_name = group
        self._slot = slot
        self.max_records = max_records
        self._member_id = ""
        self._generation = -1
        self._assigned: frozenset[int] = frozenset()
        self._changed = False
        self._positions: dict[TopicPartition, int] = {}

    @property
    def _group(self) -> _Group:
        return self._cluster.group(self._group_name)

    def poll(self, timeout_ms: int) -> Batch:  # noqa: ARG002 - nothing here waits
        """Return the next records, in order within each partition."""
        if not self._member_id:
            self._member_id = self._group.join(self._slot)
        if self._generation != self._group.generation:
            self._rejoin()
        records: list[LogRecord] = []
        for partition in sorted(self._positions):
            records += self._take(partition, self.max_records - len(records))
        membership = Membership(self._group_name, self._member_id, self._generation)
        return Batch(records, membership)

    def _rejoin(self) -> None:
        """Learn the group's new generation; every partition waits until it is started."""
        self._positions.clear()
        self._changed = True
        if self._group.members.get(self._slot) != self._member_id:
            self._assigned, self._generation = frozenset(), -1
            return
        self._generation = self._group.generation
        count = max(self._cluster.partitions(topic) for topic in self._topics)
        self._assigned = self._group.share(self._slot, count)

    def _take(self, partition: TopicPartition, limit: int) -> list[LogRecord]:
        start, end = self._positions[partition], self._cluster.stable_end(partition)
        found = list(self._cluster.committed(partition, start, end))[:limit]
        if found:
            self._positions[partition] = found[-1].offset + 1
        return found

    def take_assignment(self) -> frozenset[int] | None:
        """Return the assigned partition numbers if they changed."""
        changed, self._changed = self._changed, False
        return self._assigned if changed else None

    def start(self, partition: int, positions: Mapping[str, int]) -> None:
        """Read a partition of every topic on from these offsets."""
        for topic in self._topics:
            if partition in self._assigned and partition < self._cluster.partitions(topic):
                self._positions[TopicPartition(topic, partition)] = positions.get(topic, 0)

    def committed(self, partition: TopicPartition) -> int:
        """Return the group's committed offset; 0 if there is none."""
        return self._group.offsets.get(partition, 0)

    def close(self) -> None:
        """Leave the group."""
        self._group.leave(self._slot, self._member_id)


class MemoryTransactions:
    """`Transactions` in memory, in the order of the commit protocol."""

    def __init__(self, cluster: MemoryCluster, *, slot: str) -> None:
        self._cluster = cluster
        self._slot = slot
        self._epoch: int | None = None

    def fence(self, partitions: Sequence[TopicPartition] = ()) -> None:
        """Take the slot, unless this holder has it already, and end what others hold open."""
        self._hold()
        self._cluster.end_open(partitions)

    def _hold(self) -> int:
        if self._epoch is None:
            self._epoch = self._cluster.take_slot(self._slot)
        return self._epoch

    def commit(
        self,
        writes: Sequence[Write],
        offsets: Mapping[TopicPartition, int],
        membership: object,
    ) -> Sequence[int]:
        """Append and commit. After any failure the slot has to be taken again."""
        if not isinstance(membership, Membership) or membership.generation_id < 0:
            raise CommitFailed(f"not a member of the group any more: {membership}")
        epoch = self._hold()
        try:
            landed = self.append(writes)
            self._check(writes, landed, epoch)
            self._cluster.commit(self._slot, epoch, offsets, membership)
        except CommitFailed:
            self._epoch = None
            raise
        return landed

    def append(self, writes: Sequence[Write]) -> Sequence[int]:
        """Append all writes and leave the transaction open; return where each landed."""
        epoch = self._hold()
        return [self._cluster.write(self._slot, epoch, write) for write in writes]

    def _check(self, writes: Sequence[Write], landed: Sequence[int], epoch: int) -> None:
        for write, offset in zip(writes, landed, strict=True):
            if write.expected_offset not in (None, offset):
                self._cluster.abort(self._slot, epoch)
                raise CommitFailed(
                    f"{write.topic}[{write.partition}]: landed at {offset}, expected "
                    f"{write.expected_offset}: another worker appended since"
                )

    def close(self) -> None:
        """Release the slot. What it left open is ended by whoever takes it next."""
        self._epoch = None
