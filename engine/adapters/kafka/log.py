"""Reading topics without a group: recovery, commands, tariffs, replay."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import kafka

from engine.adapters.kafka.failures import named_failures
from engine.ports import LogRecord, LogStalled, TopicPartition
from engine.settings import KafkaSettings

_METADATA_SECONDS = 0.05
_STALL_SECONDS = 60.0
"""Longer than the transaction timeout (10 s), the broker's scan (1 s) and a broker's restart."""


class KafkaLog:
    """`RecordLog` on Kafka.

    Two consumers: `end_offsets` obeys the isolation level, and an end read as read_committed would
    stop short of a transaction that is still open (commit protocol, rule 5).
    """

    def __init__(self, settings: KafkaSettings, stall_seconds: float = _STALL_SECONDS) -> None:
        self._settings = settings
        self._stall_seconds = stall_seconds
        self._committed = self._consumer("read_committed")
        self._uncommitted = self._consumer("read_uncommitted")

    def _consumer(self, isolation_level: str) -> Any:
        return kafka.KafkaConsumer(
            group_id=None,
            isolation_level=isolation_level,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            max_poll_records=10_000,
            fetch_max_bytes=64 * 1024 * 1024,
            max_partition_fetch_bytes=16 * 1024 * 1024,
            fetch_max_wait_ms=100,
            **self._settings.client(),
        )

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return each partition's read_uncommitted end."""
        if not partitions:
            return {}
        real = {self._real(partition): partition for partition in partitions}
        since = time.monotonic()
        while True:
            try:
                with named_failures("end offsets"):
                    ends = self._uncommitted.end_offsets(list(real))
                return {real[partition]: offset for partition, offset in ends.items()}
            except KeyError as error:
                # kafka-python 3.0.12 leaves out a partition whose leader it does not know yet.
                if time.monotonic() - since > self._stall_seconds:
                    raise LogStalled(f"{error.args[0]}: no leader is known") from error
                time.sleep(_METADATA_SECONDS)

    def since(self, partition: TopicPartition, at: int) -> int:
        """Return the offset of the first record appended at an instant (us UTC) or later, or the end."""
        real = self._real(partition)
        with named_failures(f"{real.topic}[{real.partition}]"):
            found = self._uncommitted.offsets_for_times({real: at // 1_000})[real]
        return self.ends([partition])[partition] if found is None else int(found.offset)

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if it does not exist."""
        found = self._uncommitted.partitions_for_topic(self._settings.topic(topic))
        return len(found or ())

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        """Yield the committed records of [start, end), waiting for open transactions."""
        if start >= end:
            return
        real = self._real(partition)
        self._committed.assign([real])
        self._committed.seek(real, start)
        progress, since = start, time.monotonic()
        name = f"{real.topic}[{real.partition}]"
        while (position := self._position(real)) < end:
            if position > progress:
                progress, since = position, time.monotonic()
            elif time.monotonic() - since > self._stall_seconds:
                raise LogStalled(
                    f"{name}: stuck at {position}, expected to reach {end}; "
                    "a transaction before it hangs (kafka-transactions.sh --find-hanging)"
                )
            with named_failures(f"{name} offset {position}"):
                polled = self._committed.poll(timeout_ms=200)
            for records in polled.values():
                for record in records:
                    if record.offset >= end:
                        return
                    yield to_log_record(record, partition.topic)

    def _position(self, real: Any) -> int:
        with named_failures(f"{real.topic}[{real.partition}]"):
            return int(self._committed.position(real))

    def _real(self, partition: TopicPartition) -> Any:
        return kafka.TopicPartition(self._settings.topic(partition.topic), partition.partition)

    def close(self) -> None:
        """Close the connections."""
        self._committed.close()
        self._uncommitted.close()


def to_log_record(record: Any, topic: str) -> LogRecord:
    """Return a client's record as ours; a tombstone's value is empty."""
    return LogRecord(
        topic,
        record.partition,
        record.offset,
        record.timestamp * 1_000,
        record.key,
        record.value or b"",
        tuple(record.headers or ()),
    )
