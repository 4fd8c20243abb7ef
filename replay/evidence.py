"""The inputs of a partition, read again in the order of their offsets.

What a worker made of each usage event is decided anew here, from the record's bytes and what the
`tariffs` topic said then: admitted, refused, or on the wrong partition. So is what a record of
`accounts` asks. Two things are in no topic and so are not judged again: the list of attributes that a
worker lets through, and the keys that signatures are checked with.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from engine.adapters.avro.usage import Fields
from engine.adapters.command_record import read_order_record
from engine.adapters.forwarded import FORWARDED, as_received
from engine.adapters.tariff_log import TariffLog
from engine.adapters.usage_record import read_usage_record
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.authority import Authority
from engine.rating.clock import refuse_advance
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.errors import Refusal
from engine.rating.rules import Terms
from engine.rating.tariff import TariffVersion
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


class Ordered(NamedTuple):
    """What a record of the `accounts` topic asks of one account, or of all, and by which rules."""

    order: AccountCommand | AdvanceTo
    origin: Origin
    rules: int


class Published(NamedTuple):
    """A version that the `tariffs` topic made known, and the rules in force at its place."""

    version: TariffVersion
    origin: Origin
    rules: int


UsageInput = Admitted | Elsewhere | Refusal
Asked = Admitted | Ordered | Published
"""An input that the ledger decides."""

Input = UsageInput | Ordered | Published


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
) -> Mapping[Position, UsageInput]:
    """Return what each usage event of a record is, by its position."""
    place = Position(record.topic, record.partition, record.offset)
    received = as_received(record)
    if isinstance(received, Refusal):
        return {place: received}
    found = read_usage_record(received)
    if isinstance(found, Refusal):
        return {place: found}
    inputs: dict[Position, UsageInput] = {}
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
) -> UsageInput:
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


def order_input(
    record: LogRecord, rules: int, home_partition: Callable[[str], int]
) -> Ordered | Refusal:
    """Return what a record of `accounts` asks, or why it is refused before anything is decided."""
    asked = read_order_record(record)
    if isinstance(asked, Refusal):
        return asked
    if isinstance(asked, AdvanceTo):
        refusal = refuse_advance(asked, record.appended_at, rules)
        if refusal is not None:
            return refusal
    elif not asked.account_id or not asked.command_id:
        return Refusal("missing_field", "account_id, command_id: expected both to be given")
    elif home_partition(asked.account_id) != record.partition:
        home = home_partition(asked.account_id)
        return Refusal("misrouted", f"partition: got {record.partition}, expected {home}")
    place = Position(record.topic, record.partition, record.offset)
    return Ordered(asked, Origin(place, record.appended_at), rules)


def input_at(log: RecordLog, position: Position, tariffs: TariffLog) -> Input | None:
    """Return the one input that stands at a position, which is taken to be its account's home.

    `tariffs` is read up to what was known when it was decided.
    """
    if position.topic == "tariffs":
        for known, appended_at, rules in tariffs.versions:
            if known.offset == position.offset:
                return Published(known.version, Origin(position, appended_at), rules)
        return None
    name = TopicPartition(position.topic, position.partition)
    for record in log.read(name, position.offset, position.offset + 1):
        if position.topic == "accounts":
            return order_input(record, tariffs.authority.rules, lambda _: position.partition)
        inputs = usage_inputs(record, tariffs.authority, lambda _: position.partition)
        return inputs.get(position)
    return None
