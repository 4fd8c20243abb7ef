"""Clusters in memory that hold something of everything: journals that fold, usage of any kind."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from engine.adapters.avro.account import encode_advance, encode_command
from engine.adapters.avro.journal import commit_digest, encode_commit
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.avro.wire import encode
from engine.adapters.memory import MemoryCluster, MemoryInputs, MemoryLog, MemoryTransactions
from engine.adapters.tariff_log import TARIFFS
from engine.ports import LogRecord, TopicPartition, Write
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.journal import NO_DIGEST, Counts, JournalCommit, NextOffset
from replay.archive.archiver import Archiver, Limits
from replay.archive.folder import Archive, Identity
from replay.archive.layout import TOPICS
from schemas.loader import latest
from tests.properties.avro_values import values_of
from tests.properties.streams import Command, Input, Publish, Use, run
from tests.rating.scenario import usage_fields

IDENTITY = Identity("test.", 2)
USAGE = TopicPartition("usage", 0)
JOURNAL = TopicPartition("journal", 0)


def new_cluster() -> MemoryCluster:
    """Return a cluster with the topics of a deployment, all empty."""
    topics = {**dict.fromkeys(TOPICS, IDENTITY.partitions), "tariffs": 1}
    return MemoryCluster(topics)


def filled(records: int) -> MemoryCluster:
    """Return a cluster with so many records in the first partition of usage."""
    cluster = new_cluster()
    for number in range(records):
        cluster.append(USAGE, b"%d" % number)
    return cluster


class Journaling:
    """Appends commits to a journal in transactions, as a worker does."""

    def __init__(self, cluster: MemoryCluster) -> None:
        inputs = MemoryInputs(cluster, ["usage"], group="workers", slot="w", max_records=1)
        self._membership = inputs.poll(0).membership
        self._transactions = MemoryTransactions(cluster, slot="w")

    def commit(self, data: bytes, topic: str = "journal") -> None:
        """Append one record and commit it."""
        self._transactions.commit([Write(topic, 0, None, data)], {}, self._membership)

    def abort(self, data: bytes, topic: str = "journal") -> None:
        """Append one record and abort it."""
        self.leave_open(data, topic)
        self._transactions.close()
        self._transactions.fence()

    def leave_open(self, data: bytes, topic: str = "journal") -> None:
        """Append one record in a transaction that stays open."""
        self._transactions.append([Write(topic, 0, None, data)])


def append_stream(cluster: MemoryCluster, stream: Sequence[Input], cuts: set[int]) -> None:
    """Append a stream's inputs, and the journal of a worker that took them in, with these cuts."""
    for entry in stream:
        if isinstance(entry, Publish):
            cluster.append(TARIFFS, encode_tariff(entry.version))
        elif isinstance(entry, Command):
            command = AccountCommand(entry.command_id, entry.account_id, "", entry.order)
            cluster.append(TopicPartition("accounts", 0), encode_command(command), b"key")
        elif isinstance(entry, Use):
            cluster.append(USAGE, encode_usage(fields_of(entry)), entry.account_id.encode())
        else:
            order = AdvanceTo(entry.until)
            cluster.append(TopicPartition("accounts", 0), encode_advance(order))
    uses = [fields_of(entry) for entry in stream if isinstance(entry, Use)]
    if uses:
        cluster.append(TopicPartition("usage", 1), encode_usage_batch(uses))
    journaling = Journaling(cluster)
    for number, data in enumerate(run(list(stream), cuts).journal):
        journaling.commit(data)
        if number % 3 == 1:
            journaling.abort(b"an aborted commit")


def journal_of(cluster: MemoryCluster, commits: int, *positions: NextOffset) -> None:
    """Append commits without records that follow each other; all have these positions."""
    journaling, previous = Journaling(cluster), NO_DIGEST
    where = positions or (NextOffset("usage", 6),)
    for number in range(1, commits + 1):
        data = encode_commit(JournalCommit(0, number, previous, where, 0, Counts(), ()), [])
        previous = commit_digest(data)
        journaling.commit(data)


def fields_of(use: Use) -> Any:
    """Return the fields of a usage event."""
    return usage_fields(
        use.event_id,
        f"2026-11-{use.day:02d}T20:00:00Z",
        dict(use.quantities),
        account_id=use.account_id,
        subject=use.login,
    )


def records_of(name: str) -> st.SearchStrategy[bytes]:
    """Return encoded records of one type, with any values that its schema allows."""
    schema = latest(name)
    return values_of(schema.declared).map(lambda fields: encode(schema, fields))


HEADERS = st.lists(
    st.tuples(st.sampled_from(["ce_id", "signature", ""]), st.binary(max_size=4)), max_size=2
).map(tuple)


def read_all(log: Any, names: Sequence[TopicPartition]) -> list[LogRecord]:
    """Return every record of these partitions, in order."""
    ends = log.ends(names)
    return [record for name in names for record in log.read(name, 0, ends[name])]


def archived(cluster: MemoryCluster, path: Any, limits: Limits = Limits()) -> Archive:  # noqa: B008 - immutable
    """Return an archive of everything that stands in a cluster now."""
    archive = Archive.of(path, IDENTITY)
    with archive.writing():
        assert Archiver(archive, MemoryLog(cluster), limits).catch_up() == []
    return archive
