"""Transactions: begin, send, flush, check where the records landed, send offsets, commit.

The order and the offset check are the heart of exactly-once here (docs/decisions/0003): the flush
puts the journal record on the broker before the offsets are fenced, and a record that lands
anywhere but at the folded end proves that somebody else appended since, so the transaction is
aborted and the state folded again (commit protocol, rules 1 to 3 and 7).
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import kafka
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from engine.adapters.kafka.open_transactions import end_open_transactions
from engine.ports import CommitFailed, TopicPartition, Write
from engine.settings import KafkaSettings

TRANSACTION_TIMEOUT_MS = 10_000
MAX_REQUEST_BYTES = 16 * 1024 * 1024
EXIT_STUCK = 70
"""Exit status of a process that its watchdog ended (EX_SOFTWARE)."""


class KafkaTransactions:
    """`Transactions` on Kafka; `slot` is the stable transactional.id."""

    def __init__(self, settings: KafkaSettings, *, slot: str, timeout_seconds: float) -> None:
        self._settings = settings
        self._slot = f"{settings.prefix}{slot}"
        self._timeout_seconds = timeout_seconds
        self._producer: Any = None

    def fence(self, partitions: Sequence[TopicPartition] = ()) -> None:
        """Take the slot, which ends any transaction of an earlier holder (0.2 s), then the rest."""
        self._open()
        if partitions:
            end_open_transactions(self._settings, partitions)

    def commit(
        self,
        writes: Sequence[Write],
        offsets: Mapping[TopicPartition, int],
        membership: object,
    ) -> Sequence[int]:
        """Append and commit. After any failure the producer is discarded (rule 7)."""
        _refuse_expelled(membership)
        try:
            with _watchdog(self._timeout_seconds, f"transaction of {self._slot}"):
                return self._commit(self._open(), writes, offsets, membership)
        except (KafkaError, CommitFailed) as error:
            self._discard()
            if isinstance(error, CommitFailed):
                raise
            raise CommitFailed(f"{self._slot}: {type(error).__name__}: {error}") from error

    def _commit(
        self,
        producer: Any,
        writes: Sequence[Write],
        offsets: Mapping[TopicPartition, int],
        membership: object,
    ) -> Sequence[int]:
        producer.begin_transaction()
        sent = [
            producer.send(
                self._settings.topic(write.topic),
                key=write.key,
                value=write.value,
                partition=write.partition,
            )
            for write in writes
        ]
        producer.flush()
        landed = [future.get(timeout=self._timeout_seconds).offset for future in sent]
        for write, offset in zip(writes, landed, strict=True):
            if write.expected_offset not in (None, offset):
                producer.abort_transaction()
                raise CommitFailed(
                    f"{write.topic}[{write.partition}]: landed at {offset}, expected "
                    f"{write.expected_offset}: another worker appended since"
                )
        producer.send_offsets_to_transaction(
            {
                kafka.TopicPartition(
                    self._settings.topic(entry.topic), entry.partition
                ): OffsetAndMetadata(offset, "", -1)
                for entry, offset in offsets.items()
            },
            membership,
        )
        producer.commit_transaction()
        return landed

    def _open(self) -> Any:
        if self._producer is None:
            producer = kafka.KafkaProducer(
                transactional_id=self._slot,
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
                acks="all",
                compression_type="lz4",
                max_request_size=MAX_REQUEST_BYTES,
                batch_size=MAX_REQUEST_BYTES // 2,
                linger_ms=0,
                allow_auto_create_topics=False,
                **self._settings.client(),
            )
            try:
                producer.init_transactions()
            except KafkaError as error:
                producer.close(timeout=1)
                raise CommitFailed(f"{self._slot}: {type(error).__name__}: {error}") from error
            self._producer = producer
        return self._producer

    def _discard(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=1)
            self._producer = None

    def close(self) -> None:
        """Release the slot."""
        self._discard()


def _refuse_expelled(membership: object) -> None:
    """Refuse to commit without a live membership: the broker would then check nothing (rule 3)."""
    generation = getattr(membership, "generation_id", None)
    member = getattr(membership, "member_id", "")
    if generation is None or generation < 0 or not member:
        raise CommitFailed(f"not a member of the group any more (generation {generation})")


@contextmanager
def _watchdog(seconds: float, what: str) -> Iterator[None]:
    """End the process if a block hangs: the client's commit waits without a timeout."""

    def end() -> None:
        sys.stderr.write(f"{what} did not end within {seconds} s; stopping this process\n")
        sys.stderr.flush()
        os._exit(EXIT_STUCK)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
