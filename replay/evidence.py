"""The inputs of a partition, read again in the order of their offsets.

What a worker made of each usage event is decided anew here, from the record's bytes and what the
`tariffs` topic said then: admitted, refused, or on the wrong partition. Two things are in no topic
and so are not judged again: the list of attributes that a worker lets through, and the keys that
signatures are checked with.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from engine.adapters.avro.usage import Fields
from engine.adapters.forwarded import FORWARDED, as_received
from engine.adapters.usage_record import read_usage_record
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.authority import Authority
from engine.rating.errors import Refusal
from engine.rating.rules import Terms
from engine.rating.usage import Origin, Position, UsageEvent, check_usage

_CHUNK_OFFSETS = 1_000
"""A log is read piece by piece, because several partitions of it are read side by side."""


class Admitted(NamedTuple):
    """A usage event that may be rated, and how."""

    event: UsageEvent
    origin: Origin
    terms: Terms


class Elsewhere(NamedTuple):
    """A usage event that was passed on to the partition of its account."""

    event: UsageEvent
    origin: Origin


Input = Admitted | Elsewhere | Refusal


class InputReader:
    """Reads one partition forward, range by range; each range begins where the last one ended."""

    def __init__(self, log: RecordLog, partition: TopicPartition, end: int) -> None:
        self._records = in_chunks(log, partition, end)
        self._ahead: LogRecord | None = None

    def until(self, offset: int) -> Iterator[LogRecord]:
        """Yield the records that were not read yet and stand before an offset."""
        while True:
            record = self._ahead or next(self._records, None)
            self._ahead = None
            if record is None:
                return
            if record.offset >= offset:
                self._ahead = record
                return
            yield record


def in_chunks(log: RecordLog, partition: TopicPartition, end: int) -> Iterator[LogRecord]:
    """Yield the records of a partition up to its end, never holding the log while it waits."""
    for start in range(0, end, _CHUNK_OFFSETS):
        yield from list(log.read(partition, start, min(start + _CHUNK_OFFSETS, end)))


def usage_inputs(
    record: LogRecord, authority: Authority, home_partition: Callable[[str], int]
) -> Mapping[Position, Input]:
    """Return what each usage event of a record is, by its position."""
    place = Position(record.topic, record.partition, record.offset)
    received = as_received(record)
    if isinstance(received, Refusal):
        return {place: received}
    found = read_usage_record(received)
    if isinstance(found, Refusal):
        return {place: found}
    inputs: dict[Position, Input] = {}
    for index, fields in enumerate(found):
        origin = Origin(place._replace(index=index), received.appended_at)
        inputs[origin.position] = (
            fields
            if isinstance(fields, Refusal)
            else _admit(fields, origin, authority, home_partition)
        )
    return inputs


def _admit(
    fields: Fields, origin: Origin, authority: Authority, home_partition: Callable[[str], int]
) -> Input:
    event = check_usage(fields, frozenset(fields["attributes"]))
    if isinstance(event, Refusal):
        return event
    terms = authority.admit(event, origin.received_at)
    if isinstance(terms, Refusal):
        return terms
    home = home_partition(event.account_id)
    if home == origin.position.partition:
        return Admitted(event, origin, terms)
    if origin.position.topic != FORWARDED:
        return Elsewhere(event, origin)
    return Refusal("misrouted", f"partition: got {origin.position.partition}, expected {home}")
