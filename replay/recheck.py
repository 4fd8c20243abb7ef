"""Rechecking one partition: each commit decided again from the inputs that it has taken in.

The fold goes along and shows each journal record while the state is as it was just before it; the
record must come out again from its input. What a record makes due in closed periods must follow
right behind it. What is left of the inputs when the commit is folded has no record, and must be a
duplicate or forwarded.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from engine.adapters.avro.charge import encode_charge_like
from engine.adapters.avro.journal import commit_digest, read_commit
from engine.adapters.command_record import read_command_record
from engine.adapters.forwarded import FORWARDED
from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.charge import (
    SETTLEMENT,
    AccountEvent,
    Change,
    Charge,
    Record,
    Rejection,
)
from engine.rating.command import AccountCommand
from engine.rating.errors import Refusal, TollbookError
from engine.rating.journal import Counts, JournalCommit, PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.lifecycle import decide_command, decide_version
from engine.rating.usage import Position, identity_key
from replay.evidence import Admitted, Elsewhere, Input, InputReader, usage_inputs

USAGE_TOPICS = ("usage", FORWARDED)
_OWN_SETTINGS = ("attribute_not_allowed", "signature_missing", "signature_wrong")
"""Rejections that rest on a worker's own settings (replay.evidence)."""


class Differs(TollbookError):
    """What stands is not what comes out again: the place, the field and both values."""


class Witness(NamedTuple):
    """What a recheck asks and tells.

    `selects`: whether a charge is to be rated again; `rated`: called with it and its bytes as they
    stand and as they came out; `forwarded`: called with each event that was passed on.
    """

    selects: Callable[[Charge], bool]
    rated: Callable[[Charge, bytes, bytes], None]
    forwarded: Callable[[Elsewhere], None]


class _Command(NamedTuple):
    """What an account's record asks, and when it was received."""

    command: AccountCommand | Refusal
    received_at: int


class _Decided(NamedTuple):
    """What an account event comes to again, when its input was received, and by which rules."""

    change: Change | None
    received_at: int
    rules: int


class PartitionRecheck:
    """Rechecks the commits of one partition, in order."""

    def __init__(
        self,
        log: RecordLog,
        partition: int,
        home_partition: Callable[[str], int],
        witness: Witness,
    ) -> None:
        inputs = [TopicPartition(topic, partition) for topic in (*USAGE_TOPICS, "accounts")]
        ends = log.ends([TARIFFS, *inputs])
        self._tariffs = TariffLog(log)
        self.state = PartitionState(partition, self._tariffs.book, MemoryIdentities())
        self._home_partition = home_partition
        self._witness = witness
        self._readers = {name.topic: InputReader(log, name, ends[name]) for name in inputs}
        self._ends = {name.topic: ends[name] for name in [TARIFFS, *inputs]}
        self._usage: dict[Position, Input] = {}
        self._commands: dict[Position, _Command] = {}
        self._settlements: Iterator[Charge] = iter(())

    def take(self, record: LogRecord) -> bool:
        """Recheck the next commit; False if its inputs are not in the log yet.

        Differs, or BrokenInvariant from the fold, if something is not as it must be.
        """
        commit, written = read_commit(record.value)
        positions = {entry.topic: entry.offset for entry in commit.positions}
        known = {"tariffs": commit.tariffs_offset, **positions}
        if any(offset > self._ends.get(topic, 0) for topic, offset in known.items()):
            return False
        self._read_inputs(commit, positions)
        before = self.state.counts
        self.state.fold(
            commit, commit_digest(record.value), lambda index, r: self._recheck(r, written[index])
        )
        self._recheck_rest(commit, before)
        return True

    def _read_inputs(self, commit: JournalCommit, positions: Mapping[str, int]) -> None:
        """Read what the commit has taken in, and the tariffs that it knew."""
        events = [r for r in commit.records if isinstance(r, AccountEvent)]
        published = [r.position.offset + 1 for r in events if r.position.topic == "tariffs"]
        self._tariffs.read_to(max([commit.tariffs_offset, *published]))
        self._usage.clear()
        self._commands.clear()
        authority = self._tariffs.authority
        for topic in USAGE_TOPICS:
            for record in self._readers[topic].until(positions.get(topic, 0)):
                self._usage.update(usage_inputs(record, authority, self._home_partition))
        for record in self._readers["accounts"].until(positions.get("accounts", 0)):
            place = Position("accounts", record.partition, record.offset)
            self._commands[place] = _Command(read_command_record(record), record.appended_at)

    def _recheck(self, record: Record, written: bytes) -> None:
        due = next(self._settlements, None)  # the state is as the record before has left it
        if isinstance(record, Charge) and record.kind == SETTLEMENT:
            self._recheck_settlement(record, written, due)
            return
        _refuse_missing(due)
        if isinstance(record, Charge):
            self._recheck_charge(record, written)
            self._settlements = self.state.ledger.decide_settlements(record, record.rules)
        elif isinstance(record, AccountEvent):
            rules = self._recheck_event(record)
            self._settlements = self.state.ledger.decide_settlements(record, rules)
        elif record.position.topic == "accounts":
            self._commands.pop(record.position, None)
        else:
            self._recheck_rejection(record)

    def _recheck_charge(self, charge: Charge, written: bytes) -> None:
        place = f"charge {charge.charge_id} of account {charge.account_id}"
        stands_on = self._usage.pop(charge.position, None)
        if stands_on is None:
            raise Differs(f"{place}: there is no usage event at {named(charge.position)}")
        if not isinstance(stands_on, Admitted):
            raise Differs(f"{place}: its usage event at {named(charge.position)} is {stands_on}")
        if not self._witness.selects(charge):
            return
        again = self.state.ledger.decide(*stands_on)
        if not isinstance(again, Charge):
            raise Differs(f"{place}: stands, but rated again it is {again}")
        self._compare(place, charge, written, again)

    def _recheck_settlement(self, charge: Charge, written: bytes, due: Charge | None) -> None:
        place = f"settlement {charge.charge_id} of account {charge.account_id}"
        if due is None:
            raise Differs(f"{place}: stands, but nothing is to be settled there")
        if self._witness.selects(charge):
            self._compare(place, charge, written, due)
        elif due != charge:
            raise Differs(f"{place}: {first_difference(charge, due)}")

    def _compare(self, place: str, charge: Charge, written: bytes, again: Charge) -> None:
        bytes_again = encode_charge_like(again, written)
        self._witness.rated(charge, written, bytes_again)
        if bytes_again != written:
            raise Differs(f"{place}: {first_difference(charge, again)}")

    def _recheck_event(self, event: AccountEvent) -> int:
        """Check an account event; return the rules by which it was decided."""
        place = f"account {event.account_id}, sequence {event.sequence}"
        decide = self._decide_version if event.position.topic == "tariffs" else self._decide_command
        again = decide(event, place)
        if again.change != event.change:
            raise Differs(f"{place}: change stands as {event.change}, decided again {again.change}")
        if again.received_at != event.received_at:
            raise Differs(
                f"{place}: received_at stands as {event.received_at}, its input has "
                f"{again.received_at}"
            )
        return again.rules

    def _decide_version(self, event: AccountEvent, place: str) -> _Decided:
        account = self.state.ledger.account(event.account_id)
        for known, appended_at, rules in self._tariffs.versions:
            if known.offset == event.position.offset:
                return _Decided(decide_version(account, known.version), appended_at, rules)
        raise Differs(f"{place}: there is no tariff version at {named(event.position)}")

    def _decide_command(self, event: AccountEvent, place: str) -> _Decided:
        account = self.state.ledger.account(event.account_id)
        command, received_at = self._commands.pop(event.position, (None, 0))
        if not isinstance(command, AccountCommand):
            raise Differs(f"{place}: at {named(event.position)} is no command, but {command}")
        change = decide_command(account, command, received_at, self._tariffs.book)
        return _Decided(change, received_at, self._tariffs.authority.rules)

    def _recheck_rejection(self, rejection: Rejection) -> None:
        place = f"rejection {rejection.refusal.code} at {named(rejection.position)}"
        stands_on = self._usage.pop(rejection.position, None)
        if stands_on is None:
            raise Differs(f"{place}: there is no usage event")
        if rejection.refusal.code in _OWN_SETTINGS:
            return
        again: object = stands_on
        if isinstance(stands_on, Admitted):
            again = self.state.ledger.decide(*stands_on)
        if not isinstance(again, Refusal) or again.code != rejection.refusal.code:
            raise Differs(f"{place}: decided again it is {again}")

    def _recheck_rest(self, commit: JournalCommit, before: Counts) -> None:
        """Check what has no record of its own: duplicates and forwarded usage, nothing else."""
        _refuse_missing(next(self._settlements, None))
        place = f"journal partition {commit.partition}, commit {commit.commit}"
        duplicates = forwarded = 0
        for position, left in self._usage.items():
            if isinstance(left, Elsewhere):
                self._witness.forwarded(left)
                forwarded += 1
            elif isinstance(left, Admitted) and self._is_duplicate(left):
                duplicates += 1
            else:
                raise Differs(f"{place}: usage at {named(position)} has no record, and is {left}")
        counts = commit.counts
        counted = (counts.duplicates - before.duplicates, counts.forwarded - before.forwarded)
        if counted != (duplicates, forwarded):
            raise Differs(
                f"{place}: counts {counted} duplicates and forwarded, found {(duplicates, forwarded)}"
            )
        if self._commands:
            raise Differs(f"{place}: the command at {named(next(iter(self._commands)))} is missing")

    def _is_duplicate(self, left: Admitted) -> bool:
        event = left.event
        identity = identity_key(event.account_id, event.source, event.event_id)
        return self.state.ledger.identities.get(identity) == event.digest


def _refuse_missing(due: Charge | None) -> None:
    if due is not None:
        raise Differs(
            f"account {due.account_id}: the settlement of {due.lines[0].counter} at sequence "
            f"{due.sequence} is missing"
        )


def named(position: Position) -> str:
    """Return a position as text."""
    return f"{position.topic}[{position.partition}] offset {position.offset} index {position.index}"


def first_difference(stands: Charge, again: Charge) -> str:
    """Return the first field in which two charges differ, and both values."""
    for name, value, other in zip(Charge._fields, stands, again, strict=True):
        if name == "lines" and value != other:
            return _first_line(stands, again)
        if value != other:
            return f"{name} stands as {value!r}, rated again {other!r}"
    return "the bytes differ, the fields do not"


def _first_line(stands: Charge, again: Charge) -> str:
    if len(stands.lines) != len(again.lines):
        return f"lines: {len(stands.lines)} stand, rated again {len(again.lines)}"
    for number, (line, other) in enumerate(zip(stands.lines, again.lines, strict=True)):
        for name, value, new in zip(line._fields, line, other, strict=True):
            if value != new:
                return f"lines[{number}].{name} stands as {value!r}, rated again {new!r}"
    return "lines are equal"
