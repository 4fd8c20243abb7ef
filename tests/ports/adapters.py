"""The adapters under test behind one set of hands: a cluster to append to, and the three ports."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

import kafka

from engine.adapters.kafka import KafkaInputs, KafkaLog, KafkaTransactions
from engine.adapters.kafka.topics import create_topics
from engine.adapters.memory import MemoryCluster, MemoryInputs, MemoryLog, MemoryTransactions
from engine.ports import Batch, Inputs, RecordLog, TopicPartition, Transactions, Write
from engine.settings import KafkaSettings

PARTITIONS = 2
TOPICS = {"usage": PARTITIONS, "accounts": PARTITIONS, "journal": PARTITIONS, "tariffs": 1}
GROUP = "workers"
STALL_SECONDS = 1.0
_POLLS = 300
"""Bounds a wait for Kafka's group: each poll there waits up to 100 ms."""

_Closable = TypeVar("_Closable", KafkaLog, KafkaTransactions, KafkaInputs)
Headers = tuple[tuple[str, bytes], ...]


class Adapters(Protocol):
    """One cluster with the topics of TOPICS, empty."""

    def append(
        self,
        partition: TopicPartition,
        value: bytes,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> int:
        """Append a record outside of any transaction; return its offset."""

    def append_and_leave_open(self, slot: str, write: Write) -> int:
        """Append in a slot's transaction and leave it as a process does that dies there."""

    def log(self) -> RecordLog:
        """Return a reader."""

    def transactions(self, slot: str) -> Transactions:
        """Return a holder of a slot."""

    def inputs(
        self, slot: str, topics: Sequence[str] = ("usage",), max_records: int = 100
    ) -> Inputs:
        """Return a member of the group."""


class InMemory:
    """The adapters in memory."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster(TOPICS)

    def append(
        self,
        partition: TopicPartition,
        value: bytes,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> int:
        return self.cluster.append(partition, value, key, headers)

    def append_and_leave_open(self, slot: str, write: Write) -> int:
        (offset,) = MemoryTransactions(self.cluster, slot=slot).append([write])
        return offset

    def log(self) -> RecordLog:
        return MemoryLog(self.cluster)

    def transactions(self, slot: str) -> Transactions:
        return MemoryTransactions(self.cluster, slot=slot)

    def inputs(
        self, slot: str, topics: Sequence[str] = ("usage",), max_records: int = 100
    ) -> Inputs:
        return MemoryInputs(self.cluster, topics, group=GROUP, slot=slot, max_records=max_records)


class OnKafka:
    """The adapters on a real Kafka, closed at the end."""

    def __init__(self, bootstrap: str, prefix: str, stack: ExitStack) -> None:
        self._settings = KafkaSettings(bootstrap, prefix)
        self._stack = stack
        create_topics(self._settings, PARTITIONS, names=tuple(TOPICS))
        self._producer = self._new_producer()

    def _new_producer(self, **options: Any) -> Any:
        producer = kafka.KafkaProducer(acks="all", **options, **self._settings.client())
        self._stack.callback(producer.close, timeout=1)
        return producer

    def append(
        self,
        partition: TopicPartition,
        value: bytes,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> int:
        future = self._producer.send(
            self._settings.topic(partition.topic),
            value=value,
            key=key,
            partition=partition.partition,
            headers=list(headers),
        )
        offset: int = future.get(timeout=30).offset
        return offset

    def append_and_leave_open(self, slot: str, write: Write) -> int:
        producer = self._new_producer(transactional_id=f"{self._settings.prefix}{slot}")
        producer.init_transactions()
        producer.begin_transaction()
        future = producer.send(
            self._settings.topic(write.topic), value=write.value, partition=write.partition
        )
        producer.flush()
        offset: int = future.get(timeout=30).offset
        return offset

    def log(self) -> RecordLog:
        return self._closed_at_the_end(KafkaLog(self._settings, stall_seconds=STALL_SECONDS))

    def transactions(self, slot: str) -> Transactions:
        return self._closed_at_the_end(
            KafkaTransactions(self._settings, slot=slot, timeout_seconds=30)
        )

    def inputs(
        self, slot: str, topics: Sequence[str] = ("usage",), max_records: int = 100
    ) -> Inputs:
        return self._closed_at_the_end(
            KafkaInputs(self._settings, topics, group=GROUP, slot=slot, max_records=max_records)
        )

    def _closed_at_the_end(self, adapter: _Closable) -> _Closable:
        self._stack.callback(adapter.close)
        return adapter


def in_memory() -> Iterator[Adapters]:
    """Yield the adapters in memory."""
    yield InMemory()


def on_kafka(bootstrap: str, prefix: str) -> Iterator[Adapters]:
    """Yield the adapters on Kafka."""
    with ExitStack() as stack:
        yield OnKafka(bootstrap, prefix, stack)


def poll_until(inputs: Inputs, condition: Callable[[Batch], bool], what: str) -> Batch:
    """Poll until a batch fulfils a condition."""
    for _ in range(_POLLS):
        batch = inputs.poll(100)
        if condition(batch):
            return batch
    raise AssertionError(f"not after {_POLLS} polls: {what}")


def assigned(inputs: Inputs, others: Sequence[Inputs] = ()) -> frozenset[int]:
    """Poll, the others too, until partitions are assigned; start none."""
    for _ in range(_POLLS):
        inputs.poll(100)
        found = inputs.take_assignment()
        if found:
            return found
        for other in others:
            other.poll(100)
    raise AssertionError(f"no partition was assigned in {_POLLS} polls")


def joined(inputs: Inputs) -> Batch:
    """Join the group, start every assigned partition from its beginning; return one poll."""
    for partition in assigned(inputs):
        inputs.start(partition, {})
    return inputs.poll(0)
