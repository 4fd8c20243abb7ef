"""The inputs of a partition, read again in the order of their offsets.

What a worker made of each usage event is decided anew here, from the record's bytes and what the
`tariffs` topic said then: admitted, refused, or on the wrong partition. Two things are not in any
topic and so not judged again: the list of attributes that a worker let through, and the keys that
signatures are checked with.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from engine.adapters.forwarded import FORWARDED, as_received
from engine.adapters.usage_record import read_usage_record
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.authority import Authority
from engine.rating.errors import Refusal, TollbookError
from engine.rating.rules import Terms
from engine.rating.usage import Origin, Position, UsageEvent, check_usage


class MissingInput(TollbookError):
    """The record that something stands on is not in the log."""


class Admitted(NamedTuple):
    """A usage event that may be rated, and how."""

    event: UsageEvent
    origin: Origin
    terms: Terms


class Elsewhere(NamedTuple):
    """A usage event that was passed on to the partition of its account."""

    origin: Origin
    event: UsageEvent


Input = Admitted | Elsewhere | Refusal


class InputReader:
    """Reads one topic's partition forward, range by range; each range begins where one ended."""

    def __init__(self, log: RecordLog, partition: TopicPartition, end: int) -> None:
        self._partition = partition
        self._records = log.read(partition, 0, end)
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


def usage_inputs(
    record: LogRecord, authority: Authority, home_partition: Callable[[str], int]
) -> Mapping[Position, Input]:
    """Return what each usage event of a record is, by its position."""

    def position(index: int) -> Position:
        return Position(record.topic, record.partition, record.offset, index)

    received = as_received(record)
    found = received if isinstance(received, Refusal) else read_usage_record(received)
    if isinstance(received, Refusal) or isinstance(found, Refusal):
        assert isinstance(found, Refusal)  # noqa: S101 - a refused frame is found as refused
        return {position(0): found}
    inputs: dict[Position, Input] = {}
    for index, fields in enumerate(found):
        origin = Origin(position(index), received.appended_at)
        event = (
            fields
            if isinstance(fields, Refusal)
            else check_usage(fields, frozenset(fields["attributes"]))
        )
        inputs[origin.position] = (
            event
            if isinstance(event, Refusal)
            else _admit(event, origin, authority, home_partition(event.account_id))
        )
    return inputs


def _admit(event: UsageEvent, origin: Origin, authority: Authority, home: int) -> Input:
    terms = authority.admit(event, origin.received_at)
    if isinstance(terms, Refusal):
        return terms
    place = origin.position
    if home == place.partition:
        return Admitted(event, origin, terms)
    if place.topic != FORWARDED:
        return Elsewhere(origin, event)
    return Refusal("misrouted", f"partition: got {place.partition}, expected {home}")
