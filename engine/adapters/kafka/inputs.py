"""Reading topics as a member of a group, under the rules of the commit protocol.

Rebalance listeners run on the client's IO thread, so they only seek and pause; the main loop asks
for the new assignment, recovers, and starts each partition where its journal says (rule 4). The
membership is taken right after the poll that brought the batch (rule 3). Range assignor only.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import kafka
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import FencedInstanceIdError

from engine.adapters.kafka.failures import named_failures
from engine.adapters.kafka.log import to_log_record
from engine.ports import Batch, LogRecord, TopicPartition
from engine.settings import KafkaSettings

SESSION_TIMEOUT_MS = 6_000
HEARTBEAT_INTERVAL_MS = 2_000
MAX_POLL_INTERVAL_MS = 300_000


class _Listener(kafka.ConsumerRebalanceListener):  # type: ignore[misc]  # untyped base
    """Notes what changed, on the client's IO thread."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._assigned: set[Any] = set()
        self._changed = False
        self.rebalancing = False

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        """Keep new partitions quiet until the main loop has recovered them."""
        for partition in assigned:
            self._consumer.seek(partition, 0)
        self._consumer.pause(*assigned)
        with self._lock:
            self._assigned |= set(assigned)
            self._changed = True
            self.rebalancing = False

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        """Forget partitions that may go to another member; every rebalance begins so (eager)."""
        with self._lock:
            self._assigned -= set(revoked)
            self._changed = True
            self.rebalancing = True

    def take(self) -> frozenset[int] | None:
        """Return the assigned partition numbers if they changed since the last call."""
        with self._lock:
            if not self._changed:
                return None
            self._changed = False
            return frozenset(partition.partition for partition in self._assigned)


class KafkaInputs:
    """`Inputs` on Kafka. `slot` is the group instance id: a restart rejoins at once."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        *,
        group: str,
        slot: str,
        max_records: int,
    ) -> None:
        self._settings = settings
        self._slot = slot
        self._names = {settings.topic(topic): topic for topic in topics}
        self._consumer = kafka.KafkaConsumer(
            group_id=f"{settings.prefix}{group}",
            group_instance_id=slot,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            max_poll_records=max_records,
            fetch_max_bytes=64 * 1024 * 1024,
            max_partition_fetch_bytes=16 * 1024 * 1024,
            fetch_max_wait_ms=100,
            **settings.client(),
        )
        self._listener = _Listener(self._consumer)
        self._consumer.subscribe(list(self._names), listener=self._listener)

    def poll(self, timeout_ms: int) -> Batch:
        """Return the next records, in order within each partition."""
        with named_failures(f"slot {self._slot}"):
            polled = self._consumer.poll(timeout_ms=timeout_ms)
            self._refuse_taken_slot()
        self._finish_rebalance()
        membership = self._consumer.group_metadata()
        records: list[LogRecord] = []
        for partition, found in polled.items():
            name = self._names[partition.topic]
            records += [to_log_record(record, name) for record in found]
        return Batch(records, membership)

    def _refuse_taken_slot(self) -> None:
        """FencedInstanceIdError if another process has joined with this slot.

        kafka-python 3.0.12 is told so by a heartbeat, logs it, sends no more of them, and goes on
        reading what is no longer ours: a stable member without a heartbeat. There is no public call.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001
        with coordinator._lock:  # noqa: SLF001
            is_silent = coordinator.stable() and not coordinator._heartbeat_enabled  # noqa: SLF001
            if is_silent and not (coordinator.rejoining or coordinator.rejoin_needed):
                raise FencedInstanceIdError(self._slot)

    def _finish_rebalance(self) -> None:
        """Join once more if the client forgot a rebalance that it began.

        kafka-python 3.0.12: when a poll times out while the leader rejoins because its metadata
        changed, the join completes in the background, but the next poll no longer sees a reason to
        wait for it, so the assignment never arrives (docs/decisions/0003). There is no public call.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001
        if self._listener.rebalancing and not coordinator.need_rejoin():
            coordinator.request_rejoin()

    def take_assignment(self) -> frozenset[int] | None:
        """Return the assigned partition numbers if they changed."""
        return self._listener.take()

    def start(self, partition: int, positions: Mapping[str, int]) -> None:
        """Read a partition of every topic on from these offsets."""
        for real_name, name in self._names.items():
            real = kafka.TopicPartition(real_name, partition)
            if real in self._consumer.assignment():
                self._consumer.seek(real, positions.get(name, 0))
                self._consumer.resume(real)

    def committed(self, partition: TopicPartition) -> int:
        """Return the group's committed offset; 0 if there is none."""
        real = kafka.TopicPartition(self._settings.topic(partition.topic), partition.partition)
        with named_failures(f"slot {self._slot}"):
            return self._consumer.committed(real) or 0

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False)
