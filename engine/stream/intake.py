"""Intake: the bytes of one record become checked usage events, or the reason why not.

A usage batch gives one result per event, so a bad event never takes its neighbours along; a record
that can not be read at all gives one result for itself.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.adapters.avro.account import command_of
from engine.adapters.avro.usage import Fields, encode_usage
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.usage_record import read_usage_record, refuse_size
from engine.ports import LogRecord
from engine.rating.command import AccountCommand
from engine.rating.errors import Refusal
from engine.rating.usage import MAX_TEXT, UsageEvent, check_usage


class Refused(NamedTuple):
    """An event that was not accepted, as far as it could be read, and its bytes."""

    refusal: Refusal
    account_id: str
    source: str
    event_id: str
    original: bytes


class CheckedUsage(NamedTuple):
    """A checked usage event, and how to get at its own bytes should rating refuse it."""

    usage: UsageEvent
    fields: Fields
    record: LogRecord
    alone: bool

    def refused(self, refusal: Refusal) -> Refused:
        """Return the event as refused."""
        original = self.record.value if self.alone else encode_usage(self.fields)
        usage = self.usage
        return Refused(refusal, usage.account_id, usage.source, usage.event_id, original)


class Intake:
    """Reads usage records of one deployment.

    `home_partition` gives the partition of an account; `allowed_attributes` the attribute names
    that usage may carry.
    """

    def __init__(
        self, home_partition: Callable[[str], int], allowed_attributes: frozenset[str]
    ) -> None:
        self._home_partition = home_partition
        self._allowed_attributes = allowed_attributes

    def read_usage(self, record: LogRecord) -> Sequence[CheckedUsage | Refused]:
        """Return one result per event of the record, in order; at least one."""
        found = read_usage_record(record)
        if isinstance(found, Refusal):
            return [Refused(found, "", "", "", record.value)]
        alone = len(found) == 1
        return [self._check(fields, record, alone) for fields in found]

    def _check(
        self, fields: Fields | Refusal, record: LogRecord, alone: bool
    ) -> CheckedUsage | Refused:
        if isinstance(fields, Refusal):
            return Refused(fields, "", "", "", record.value)
        event = check_usage(fields, self._allowed_attributes)
        if isinstance(event, Refusal):
            return _refused(event, fields, record.value if alone else encode_usage(fields))
        checked = CheckedUsage(event, fields, record, alone)
        misrouted = self._misrouted(event.account_id, record.partition)
        return checked.refused(misrouted) if misrouted else checked

    def _misrouted(self, account_id: str, partition: int) -> Refusal | None:
        home = self._home_partition(account_id)
        if home == partition:
            return None
        return Refusal(
            "misrouted",
            f"partition: got {partition}, expected {home} for account {account_id!r} "
            "(murmur2 of the record key account_id)",
        )

    def read_command(self, record: LogRecord) -> AccountCommand | Refused:
        """Return the account command in a record of the `accounts` topic."""
        decoded = refuse_size(record) or decode(record.value)
        if not isinstance(decoded, Decoded):
            return Refused(decoded, "", "", "", record.value)
        if decoded.name != "account_command":
            refusal = Refusal(
                "wrong_record_type", f"value: got a {decoded.name}, expected an account_command"
            )
            return Refused(refusal, "", "", "", record.value)
        command = command_of(decoded.fields)
        if not command.account_id or not command.command_id:
            refusal = Refusal("missing_field", "account_id, command_id: expected both to be given")
        else:
            misrouted = self._misrouted(command.account_id, record.partition)
            if misrouted is None:
                return command
            refusal = misrouted
        return Refused(refusal, command.account_id, "", command.command_id, record.value)


def _refused(refusal: Refusal, fields: Fields, original: bytes) -> Refused:
    """Return a refused event with the identity that it claims."""
    account_id, source, event_id = (
        str(fields[name])[:MAX_TEXT] for name in ("account_id", "source", "event_id")
    )
    return Refused(refusal, account_id, source, event_id, original)
