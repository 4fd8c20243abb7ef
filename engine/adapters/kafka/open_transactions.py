"""Transactions that dead workers left open: they hold back every reader of a journal partition.

A worker that takes a partition over ends them at once, by taking their transactional id for a
moment (first commit after about 6 s instead of 17 s, commit protocol rule 5). That can also meet a
live worker that is late to notice that the partition has moved: its commit fails, as it must. A
transaction that no coordinator knows any more *hangs* and would hold readers back for ever: it is
aborted in the partition itself.
"""

import time
from collections.abc import Sequence
from typing import Any

import kafka
import structlog
from kafka.admin import AbortTransactionSpec, TransactionState
from kafka.errors import KafkaError

from engine.adapters.kafka.admin import opened_admin
from engine.adapters.kafka.failures import named_failures
from engine.ports import TopicPartition
from engine.settings import KafkaSettings

_HANGING_MS = 30_000
"""Longer than the transaction timeout (10 s), the broker's scan (1 s) and its markers take."""
_UNENDED = (
    TransactionState.ONGOING, TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT,
)  # fmt: skip
_log = structlog.get_logger()


def end_open_transactions(settings: KafkaSettings, partitions: Sequence[TopicPartition]) -> None:
    """End what others hold open in these partitions. LogUnavailable if the broker is away."""
    real = {kafka.TopicPartition(settings.topic(name.topic), name.partition) for name in partitions}
    with named_failures("open transactions"), opened_admin(settings) as admin:
        unended = _unended(admin)
        for transactional_id, transaction in unended.items():
            held = real & set(transaction.topic_partitions)
            if held and transaction.state == TransactionState.ONGOING:
                _take_for_a_moment(settings, transactional_id)
                partitions_held = sorted(partition.partition for partition in held)
                _log.warning(
                    "transaction_ended", holder=transactional_id, partitions=partitions_held
                )
        known = {transaction.producer_id for transaction in unended.values()}
        for partition, state in admin.describe_producers(sorted(real)).items():
            for producer in state.active_producers:
                if _hangs(producer, known):
                    _abort(admin, partition, producer)


def _unended(admin: Any) -> dict[str, Any]:
    """Return the transactions that have begun and not ended, by transactional id."""
    # By value: kafka-python 3.0.12 would send a member's name, which no broker knows.
    listings = admin.list_transactions(state_filters=[state.value for state in _UNENDED])
    names = sorted({found.transactional_id for each in listings.values() for found in each})
    return dict(admin.describe_transactions(names)) if names else {}


def _take_for_a_moment(settings: KafkaSettings, transactional_id: str) -> None:
    producer = kafka.KafkaProducer(
        transactional_id=transactional_id, acks="all", **settings.client()
    )
    try:
        producer.init_transactions()
    finally:
        producer.close(timeout=1)


def _hangs(producer: Any, known: set[int]) -> bool:
    is_open = producer.current_transaction_start_offset >= 0
    age_ms = time.time() * 1_000 - producer.last_timestamp
    return is_open and producer.producer_id not in known and age_ms > _HANGING_MS


def _abort(admin: Any, partition: Any, producer: Any) -> None:
    # With the epoch of the coordinator that wrote there last: the client's default, -1, is older
    # than any, and a partition that has seen a marker refuses it (TransactionCoordinatorFenced).
    spec = AbortTransactionSpec(
        topic_partition=partition,
        producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch,
        coordinator_epoch=max(producer.coordinator_epoch, 0),
    )
    try:
        admin.abort_transaction(spec)
    except KafkaError as error:
        _log.error("hanging_transaction_stays", partition=str(partition), reason=str(error))
        return
    _log.error("hanging_transaction_aborted", partition=str(partition), start=str(producer))
