"""Kafka's side of the archive: where its partitions begin, and deleting what stands before."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import kafka
from kafka.admin import KafkaAdminClient

from engine.ports import TopicPartition
from engine.settings import KafkaSettings


def first_offsets(
    settings: KafkaSettings, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return where each partition begins: what stood before was deleted."""
    with _consumer(settings, None) as consumer:
        real = {_real(settings, name): name for name in partitions}
        found = consumer.beginning_offsets(list(real))
        return {real[partition]: offset for partition, offset in found.items()}


def committed_offsets(
    settings: KafkaSettings, group: str, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return how far a group has come, for the partitions it has read."""
    with _consumer(settings, f"{settings.prefix}{group}") as consumer:
        found = {name: consumer.committed(_real(settings, name)) for name in partitions}
        return {name: offset for name, offset in found.items() if offset is not None}


def delete_before(settings: KafkaSettings, offsets: Mapping[TopicPartition, int]) -> None:
    """Delete the records of each partition before an offset. It can not be undone."""
    options = {key: value for key, value in settings.client().items() if key != "metrics_enabled"}
    client = KafkaAdminClient(**options)
    try:
        client.delete_records({_real(settings, name): end for name, end in offsets.items()})
    finally:
        client.close()


def _real(settings: KafkaSettings, name: TopicPartition) -> Any:
    return kafka.TopicPartition(settings.topic(name.topic), name.partition)


@contextmanager
def _consumer(settings: KafkaSettings, group: str | None) -> Iterator[Any]:
    consumer = kafka.KafkaConsumer(
        group_id=group, enable_auto_commit=False, auto_offset_reset="none", **settings.client()
    )
    try:
        yield consumer
    finally:
        consumer.close()
