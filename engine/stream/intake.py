"""Intake: the bytes of one record become checked usage events, or the reason why not.

A usage batch gives one result per event, so a bad event never takes its neighbours along; a record
that can not be read at all gives one result for itself. An event is *admitted* if its source is
registered for what it reports, and *misrouted* if its account lives on another partition: then it
is passed on, once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.adapters.avro.usage import Fields, encode_usage
from engine.adapters.command_record import read_order_record
from engine.adapters.forwarded import FORWARDED, as_received
from engine.adapters.signing import Signatures
from engine.adapters.usage_record import read_usage_record
from engine.ports import LogRecord
from engine.rating.authority import Authority
from engine.rating.clock import refuse_advance
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.errors import Refusal
from engine.rating.rules import Terms
from engine.rating.usage import MAX_TEXT, UsageEvent, check_usage


class Refused(NamedTuple):
    """An event that was not accepted, as far as it could be read, and its bytes."""

    refusal: Refusal
    account_id: str
    source: str
    event_id: str
    original: bytes


class Misrouted(NamedTuple):
    """An event whose account lives on another partition, `home`."""

    account_id: str
    fields: Fields
    home: int


class CheckedUsage(NamedTuple):
    """A checked usage event, and how to get at its own bytes should rating refuse it."""

    usage: UsageEvent
    terms: Terms
    fields: Fields
    record: LogRecord
    alone: bool

    def refused(self, refusal: Refusal) -> Refused:
        """Return the event as refused."""
        original = self.record.value if self.alone else encode_usage(self.fields)
        usage = self.usage
        return Refused(refusal, usage.account_id, usage.source, usage.event_id, original)


class TakenIn(NamedTuple):
    """What one usage record holds: one result per event, in order, at least one.

    `received_at`: when the broker appended it first, in us UTC.
    """

    received_at: int
    events: Sequence[CheckedUsage | Misrouted | Refused]


class Intake:
    """Reads usage records of one deployment.

    `home_partition` gives the partition of an account; `allowed_attributes` the attribute names
    that usage may carry; `signatures` knows the keys of sources that sign.
    """

    def __init__(
        self,
        home_partition: Callable[[str], int],
        allowed_attributes: frozenset[str],
        signatures: Signatures,
    ) -> None:
        self._home_partition = home_partition
        self._allowed_attributes = allowed_attributes
        self._signatures = signatures

    def read_usage(self, record: LogRecord, authority: Authority) -> TakenIn:
        """Read a record of `usage` or `usage-forwarded`."""
        received = as_received(record)
        if isinstance(received, Refusal):
            return TakenIn(record.appended_at, [Refused(received, "", "", "", record.value)])
        found = read_usage_record(received)
        if isinstance(found, Refusal):
            return TakenIn(received.appended_at, [Refused(found, "", "", "", received.value)])
        alone = len(found) == 1
        events = [self._check(fields, received, authority, alone) for fields in found]
        return TakenIn(received.appended_at, events)

    def _check(
        self, fields: Fields | Refusal, record: LogRecord, authority: Authority, alone: bool
    ) -> CheckedUsage | Misrouted | Refused:
        if isinstance(fields, Refusal):
            return Refused(fields, "", "", "", record.value)
        event = check_usage(fields, self._allowed_attributes)
        if isinstance(event, Refusal):
            return _refused(event, fields, record.value if alone else encode_usage(fields))
        terms = authority.admit(event, record.appended_at)
        if isinstance(terms, Refusal):
            return _refused(terms, fields, record.value if alone else encode_usage(fields))
        checked = CheckedUsage(event, terms, fields, record, alone)
        unsigned = self._unsigned(event, record, authority)
        if unsigned is not None:
            return checked.refused(unsigned)
        home = self._home_partition(event.account_id)
        if home == record.partition:
            return checked
        if record.topic == FORWARDED:
            return checked.refused(_misrouted(event.account_id, record.partition, home))
        return Misrouted(event.account_id, fields, home)

    def _unsigned(
        self, event: UsageEvent, record: LogRecord, authority: Authority
    ) -> Refusal | None:
        """Check the signature where it was first received; a worker forwards only what was."""
        registration = authority.of(event.source)
        if registration is None or record.topic == FORWARDED:
            return None
        return self._signatures.check(registration, record)

    def read_order(self, record: LogRecord, rules: int) -> AccountCommand | AdvanceTo | Refused:
        """Return what a record of the `accounts` topic asks; `rules` is the revision that counts."""
        asked = read_order_record(record)
        if isinstance(asked, Refusal):
            return Refused(asked, "", "", "", record.value)
        if isinstance(asked, AdvanceTo):
            refusal = refuse_advance(asked, record.appended_at, rules)
            return asked if refusal is None else Refused(refusal, "", "", "", record.value)
        home = self._home_partition(asked.account_id)
        if not asked.account_id or not asked.command_id:
            refusal = Refusal("missing_field", "account_id, command_id: expected both to be given")
        elif home != record.partition:
            refusal = _misrouted(asked.account_id, record.partition, home)
        else:
            return asked
        return Refused(refusal, asked.account_id, "", asked.command_id, record.value)


def _misrouted(account_id: str, partition: int, home: int) -> Refusal:
    return Refusal(
        "misrouted",
        f"partition: got {partition}, expected {home} for account {account_id!r} "
        "(murmur2 of the record key account_id)",
    )


def _refused(refusal: Refusal, fields: Fields, original: bytes) -> Refused:
    """Return a refused event with the identity that it claims."""
    account_id, source, event_id = (
        str(fields[name])[:MAX_TEXT] for name in ("account_id", "source", "event_id")
    )
    return Refused(refusal, account_id, source, event_id, original)
