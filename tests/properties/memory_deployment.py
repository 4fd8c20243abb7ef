"""Workers over a cluster in memory: random inputs, cuts, failures, and what must come out."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from engine.adapters.avro.account import encode_advance, encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.journal import commit_digest, decode_commit, encode_record
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.memory import MemoryCluster, MemoryInputs, MemoryLog, MemoryTransactions
from engine.adapters.memory_caches import MemoryIdentityIndexes, MemorySnapshots
from engine.adapters.signing import Signatures
from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.ports import (
    CommitFailed,
    LogRecord,
    LogUnavailable,
    RecordLog,
    TopicPartition,
    Write,
)
from engine.rating.authority import OPEN
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.journal import Counts, JournalCommit, PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.rules import LATEST_REVISION
from engine.settings import WorkerSettings
from engine.stream.intake import Intake
from engine.stream.keeping import Keeper
from engine.stream.projector import OUTPUT_TOPICS
from engine.stream.worker import USAGE_TOPICS, Worker
from engine.telemetry import Telemetry
from tests.properties.streams import Advance, Command, Input, Publish, Use
from tests.rating.scenario import state_of, usage_fields

PARTITIONS = 2
HOMES = {"acme": 0, "globex": 1}
"""The partition of each account of the random streams."""
GROUP = "workers"
_TURNS = 2_000
TOPICS = {
    **dict.fromkeys(
        ("usage", "usage-forwarded", "accounts", "journal", *OUTPUT_TOPICS), PARTITIONS
    ),
    "tariffs": 1,
}

BEFORE_APPENDING = "before appending"
ABORTED = "appended, then aborted"
LEFT_OPEN = "appended, then left open"
UNKNOWN = "committed, and said to have failed"
FAILURES = (BEFORE_APPENDING, ABORTED, LEFT_OPEN, UNKNOWN)


class Failing:
    """Transactions that fail as told: one entry for each commit; None, or none left, goes well."""

    def __init__(self, cluster: MemoryCluster, slot: str, failures: Sequence[str | None]) -> None:
        self._cluster = cluster
        self._slot = slot
        self._real = MemoryTransactions(cluster, slot=slot)
        self._failures = list(failures)
        self.failed = 0
        self.before_commit: Callable[[], None] = lambda: None
        """What happens elsewhere between a worker's decision and its commit."""

    def commit(
        self,
        writes: Sequence[Write],
        offsets: Mapping[TopicPartition, int],
        membership: object,
    ) -> Sequence[int]:
        """Commit, or fail in the way that is next."""
        self.before_commit()
        failure = self._failures.pop(0) if self._failures else None
        if failure is None:
            return self._real.commit(writes, offsets, membership)
        self.failed += 1
        if failure == UNKNOWN:
            self._real.commit(writes, offsets, membership)
        elif failure != BEFORE_APPENDING:
            self._real.append(writes)
        self._real = MemoryTransactions(self._cluster, slot=self._slot)
        if failure == ABORTED:
            self._real.fence()
        raise CommitFailed(failure)

    def fence(self, partitions: Sequence[TopicPartition] = ()) -> None:
        """Take the slot, and end what others hold open."""
        self._real.fence(partitions)

    def close(self) -> None:
        """Release the slot."""
        self._real.close()


class Caches:
    """What workers keep, and hand over: identity indexes and snapshots."""

    def __init__(self) -> None:
        self.indexes = MemoryIdentityIndexes()
        self.snapshots = MemorySnapshots()

    def lose(self, what: str) -> None:
        """Delete the indexes or the snapshots, as anybody may at any moment."""
        if what == "indexes":
            self.indexes = MemoryIdentityIndexes()
        elif what == "snapshots":
            self.snapshots = MemorySnapshots()


class FlakyLog:
    """A log whose broker is away when it is asked for the n-th time, for each n as told."""

    def __init__(self, log: RecordLog, away: Set[int]) -> None:
        self._log = log
        self._away = away
        self._asked = 0

    def _ask(self) -> None:
        self._asked += 1
        if self._asked - 1 in self._away:
            raise LogUnavailable("the broker is away")

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return the ends, or fail."""
        self._ask()
        return self._log.ends(partitions)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the records, or fail."""
        self._ask()
        yield from self._log.read(partition, start, end)


class MemoryWorker:
    """A worker and the parts of it that a test plays with; it keeps a snapshot of every turn."""

    def __init__(
        self,
        cluster: MemoryCluster,
        slot: str = "worker-1",
        failures: Sequence[str | None] = (),
        max_commit_bytes: int = 4 * 1024 * 1024,
        caches: Caches | None = None,
        away: Set[int] = frozenset(),
        homes: Mapping[str, int] = HOMES,
    ) -> None:
        self.inputs = MemoryInputs(cluster, USAGE_TOPICS, group=GROUP, slot=slot, max_records=100)
        self.transactions = Failing(cluster, slot, failures)
        log, telemetry = FlakyLog(MemoryLog(cluster), away), Telemetry()
        caches = caches or Caches()
        self.worker = Worker(
            self.inputs,
            log,
            self.transactions,
            Intake(homes.__getitem__, frozenset(), Signatures({})),
            Keeper(log, caches.indexes, caches.snapshots, telemetry, snapshot_seconds=0.0),
            WorkerSettings(slot=slot, max_commit_bytes=max_commit_bytes),
            telemetry,
        )

    def turn(self, max_records: int = 100) -> int:
        """Take one turn with at most so many records."""
        self.inputs.max_records = max_records
        return self.worker.turn()


class Outcome(NamedTuple):
    """What a journal partition comes to, however it was cut into commits."""

    records: list[bytes]
    accounts: dict[str, dict[str, object]]
    positions: dict[str, int]
    tariffs_offset: int
    counts: Counts


def append_phase(cluster: MemoryCluster, phase: Sequence[Input], batch_sizes: Sequence[int]) -> int:
    """Append the inputs of one phase and return how many usage events they hold.

    In front of everything stand the latest rules, by which any source may report any usage.
    Versions and commands go first, because a worker takes in all there are before the usage of its
    turn; usage goes in batches of these sizes, one after the other.
    """
    if not cluster.end(TARIFFS):
        cluster.append(TARIFFS, encode_revision(LATEST_REVISION))
        cluster.append(TARIFFS, encode_registration(OPEN))
    for entry in phase:
        if isinstance(entry, Publish):
            cluster.append(TARIFFS, encode_tariff(entry.version))
        elif isinstance(entry, Command):
            command = AccountCommand(entry.command_id, entry.account_id, "", entry.order)
            cluster.append(
                TopicPartition("accounts", HOMES[entry.account_id]), encode_command(command)
            )
        elif isinstance(entry, Advance):
            for home in HOMES.values():
                data = encode_advance(AdvanceTo(entry.until))
                cluster.append(TopicPartition("accounts", home), data)
    uses = [entry for entry in phase if isinstance(entry, Use)]
    for account_id, home in HOMES.items():
        own = [_fields(use) for use in uses if use.account_id == account_id]
        sizes = iter([*batch_sizes, *[1] * len(own)])
        while own:
            size = next(sizes)
            data = encode_usage(own[0]) if size == 1 else encode_usage_batch(own[:size])
            cluster.append(TopicPartition("usage", home), data)
            own = own[size:]
    return len(uses)


def _fields(use: Use) -> dict[str, object]:
    fields: dict[str, object] = usage_fields(
        use.event_id,
        f"2026-11-{use.day:02d}T20:00:00Z",
        dict(use.quantities),
        account_id=use.account_id,
        subject=use.login,
        action=use.action,
        corrects=use.corrects,
    )
    return fields


def is_done(cluster: MemoryCluster) -> bool:
    """Whether the journal has taken in everything that was appended."""
    tariffs = cluster.end(TARIFFS)
    for number in range(PARTITIONS):
        newest = newest_commit(cluster, number)
        if newest is None or newest.tariffs_offset != tariffs:
            return False
        positions = {entry.topic: entry.offset for entry in newest.positions}
        for topic in ("usage", "usage-forwarded", "accounts"):
            partition = TopicPartition(topic, number)
            start, end = positions.get(topic, 0), cluster.stable_end(partition)
            if end != cluster.end(partition) or any(cluster.committed(partition, start, end)):
                return False
    return True


def newest_commit(cluster: MemoryCluster, partition: int) -> JournalCommit | None:
    """Return the newest commit of a journal partition."""
    name = TopicPartition("journal", partition)
    end = cluster.stable_end(name)
    for start in range(end - 1, -1, -1):
        for record in cluster.committed(name, start, end):
            return decode_commit(record.value)
    return None


def work(cluster: MemoryCluster, turn: Callable[[], object]) -> None:
    """Take turns until everything is journaled; fail if that never happens."""
    for _ in range(_TURNS):
        if is_done(cluster):
            return
        turn()
    raise AssertionError(f"not everything is journaled after {_TURNS} turns")


def fold(cluster: MemoryCluster, partition: int) -> PartitionState:
    """Return the state that a journal partition folds to; raises if its chain does not hold."""
    log, name = MemoryLog(cluster), TopicPartition("journal", partition)
    tariffs = TariffLog(log)
    tariffs.read_all()
    state = PartitionState(partition, tariffs.book, MemoryIdentities())
    for record in log.read(name, 0, cluster.stable_end(name)):
        state.fold(decode_commit(record.value), commit_digest(record.value))
    return state


def outcome(cluster: MemoryCluster, partition: int) -> Outcome:
    """Return what a journal partition comes to."""
    name = TopicPartition("journal", partition)
    records = [
        encode_record(record)
        for commit in MemoryLog(cluster).read(name, 0, cluster.end(name))
        for record in decode_commit(commit.value).records
    ]
    state = fold(cluster, partition)
    accounts = {name: state_of(account) for name, account in state.ledger.accounts.items()}
    return Outcome(records, accounts, state.positions, state.tariffs_offset, state.counts)


def outcomes(cluster: MemoryCluster) -> list[Outcome]:
    """Return what every journal partition comes to."""
    return [outcome(cluster, number) for number in range(PARTITIONS)]
