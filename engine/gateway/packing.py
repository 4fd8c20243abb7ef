"""Packing: spooled events to records of the usage topic, each of one partition.

The partition is the topic's: murmur2 of the account id, as everywhere in Tollbook. Within a
partition events keep the publisher's order. A record holds at most so many events and bytes as the
engine takes in one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.gateway.encoding import account_of, frame_batch
from engine.gateway.segment import Spooled

RECORD_EVENTS = 500
"""Half of what a record may hold (MAX_RECORD_EVENTS)."""
RECORD_BYTES = 512 * 1024
"""With one more event of the largest size, still below MAX_RECORD_BYTES."""


class Outgoing(NamedTuple):
    """A record to be: its partition, its key (the account of its first event) and its value."""

    partition: int
    key: bytes
    value: bytes


def pack(events: Sequence[Spooled], partitions: int) -> Iterator[Outgoing]:
    """Yield records of these events, in the order of their last events."""
    open_batches: dict[int, list[bytes]] = {}
    sizes: dict[int, int] = {}
    for _, account_hash, event in events:
        partition = account_hash % partitions
        batch = open_batches.get(partition)
        if batch is None:
            batch = open_batches[partition] = []
            sizes[partition] = 0
        batch.append(event)
        sizes[partition] += len(event)
        if len(batch) >= RECORD_EVENTS or sizes[partition] >= RECORD_BYTES:
            yield _outgoing(partition, open_batches.pop(partition))
    for partition, batch in open_batches.items():
        yield _outgoing(partition, batch)


def _outgoing(partition: int, batch: list[bytes]) -> Outgoing:
    return Outgoing(partition, account_of(batch[0]), frame_batch(batch))
