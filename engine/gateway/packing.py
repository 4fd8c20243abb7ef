"""Packing: spooled events to records of the usage topic, each of one partition.

The partition is the topic's: murmur2 of the account id, as everywhere in Tollbook. Within a
partition events keep the publisher's order. A record holds at most so many events and bytes as the
engine takes in one, and events of one version of the schema. Where a source signs, each record is
signed here: on the sender's thread.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.adapters.signing import sign
from engine.gateway.encoding import account_of, frame_batch, version_of
from engine.gateway.segment import Spooled

RECORD_EVENTS = 500
"""Half of what a record may hold (MAX_RECORD_EVENTS)."""
RECORD_BYTES = 512 * 1024
"""With one more event of the largest size, still below MAX_RECORD_BYTES."""


class Outgoing(NamedTuple):
    """A record to be: its partition, its key (the account of its first event), value and headers."""

    partition: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def pack(
    events: Sequence[Spooled], partitions: int, signing_key: bytes | None = None
) -> Iterator[Outgoing]:
    """Yield records of these events, in the order of their last events, signed if there is a key."""
    open_batches: dict[int, list[bytes]] = {}
    sizes: dict[int, int] = {}
    for _, account_hash, event in events:
        partition = account_hash % partitions
        batch = open_batches.get(partition)
        if batch and version_of(batch[0]) != version_of(event):
            yield _outgoing(partition, open_batches.pop(partition), signing_key)
            batch = None
        if batch is None:
            batch = open_batches[partition] = []
            sizes[partition] = 0
        batch.append(event)
        sizes[partition] += len(event)
        if len(batch) >= RECORD_EVENTS or sizes[partition] >= RECORD_BYTES:
            yield _outgoing(partition, open_batches.pop(partition), signing_key)
    for partition, batch in open_batches.items():
        yield _outgoing(partition, batch, signing_key)


def _outgoing(partition: int, batch: list[bytes], signing_key: bytes | None) -> Outgoing:
    value = frame_batch(batch)
    headers = () if signing_key is None else (sign(signing_key, value),)
    return Outgoing(partition, account_of(batch[0]), value, headers)
