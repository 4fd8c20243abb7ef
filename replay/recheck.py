"""Rechecking one partition: each commit decided again from the inputs that it has taken in.

The fold goes along and shows each journal record while the state is as it was just before it. There
is always one input whose outcomes are asked for, record by record: each must be the very record that
stands. When it leads to nothing more, the next record begins the outcomes of another input, which is
found by its position. Inputs without a record must have none to lead to: usage is then a duplicate or
forwarded, time has passed without effect, a version concerns nobody.

A version, and time that passes, concern many accounts, so commits may end between two of these. Then
the position stays before the record, and the next commit goes on with the rest: what has happened is
not due again.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.adapters.avro.charge import encode_charge_like
from engine.adapters.avro.journal import commit_digest, read_commit
from engine.adapters.forwarded import FORWARDED
from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.charge import MONEY_CHARGES, USAGE, Charge
from engine.rating.command import AdvanceTo
from engine.rating.errors import Refusal, TollbookError
from engine.rating.event import AccountEvent, Record, Rejection
from engine.rating.journal import Counts, JournalCommit, PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.usage import Origin, Position, identity_key
from replay.again import (
    NOTHING,
    Outcome,
    Outcomes,
    decided_again,
    first_difference,
    name_of,
    named,
    only,
    told,
)
from replay.evidence import (
    Admitted,
    Elsewhere,
    InputReader,
    Ordered,
    Published,
    UsageInput,
    order_input,
    usage_inputs,
)

USAGE_TOPICS = ("usage", FORWARDED)
ACCOUNTS = "accounts"
_OWN_KNOWLEDGE = ("attribute_not_allowed", "signature_missing", "signature_wrong", "unknown_schema")
"""Rejections that rest on a worker's own settings, or on the schemas that it knew then."""


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


class PartitionRecheck:
    """Rechecks the commits of one partition, in order."""

    def __init__(
        self,
        log: RecordLog,
        partition: int,
        home_partition: Callable[[str], int],
        witness: Witness,
    ) -> None:
        inputs = [TopicPartition(topic, partition) for topic in (*USAGE_TOPICS, ACCOUNTS)]
        ends = log.ends([TARIFFS, *inputs])
        self._tariffs = TariffLog(log)
        self.state = PartitionState(partition, self._tariffs.book, MemoryIdentities())
        self._home_partition = home_partition
        self._witness = witness
        self._readers = {name.topic: InputReader(log, name, ends[name]) for name in inputs}
        self._ends = {name.topic: ends[name] for name in [TARIFFS, *inputs]}
        self._usage: dict[Position, UsageInput] = {}
        self._orders: dict[Position, Ordered | Refusal] = {}
        self._versions: dict[Position, Published] = {}
        self._next: dict[str, int] = {}
        self._outcomes = NOTHING

    def take(self, record: LogRecord) -> bool:
        """Recheck the next commit; False if its inputs are not in the log yet.

        Differs, or BrokenInvariant from the fold, if something is not as it must be.
        """
        commit, written = read_commit(record.value)
        self._next = {
            "tariffs": commit.tariffs_offset,
            **{entry.topic: entry.offset for entry in commit.positions},
        }
        begun = _begun(commit, self._next)
        if any(offset > self._ends.get(topic, 0) for topic, offset in begun.items()):
            return False
        self._read_inputs(begun)
        before = self.state.counts
        self.state.fold(
            commit, commit_digest(record.value), lambda index, r: self._recheck(r, written[index])
        )
        self._recheck_rest(commit, before)
        return True

    def _read_inputs(self, begun: Mapping[str, int]) -> None:
        """Read what the commit has taken in, or begun to, and the tariffs that it knew."""
        seen = len(self._tariffs.versions)
        self._tariffs.read_to(begun["tariffs"])
        for known, appended_at, rules in self._tariffs.versions[seen:]:
            place = Position("tariffs", 0, known.offset)
            self._versions[place] = Published(known.version, Origin(place, appended_at), rules)
        authority = self._tariffs.authority
        self._usage.clear()
        for topic in USAGE_TOPICS:
            for record in self._readers[topic].until(begun.get(topic, 0)):
                self._usage.update(usage_inputs(record, authority, self._home_partition))
        for record in self._readers[ACCOUNTS].until(begun.get(ACCOUNTS, 0)):
            place = Position(ACCOUNTS, record.partition, record.offset)
            self._orders[place] = order_input(record, authority.rules, self._home_partition)

    def _recheck(self, record: Record, written: bytes) -> None:
        again = self._outcomes.next()  # the state is as the record before has left it
        if again is None:
            begun = self._begin(record)
            if begun is None:
                return
            self._outcomes = begun
            again = self._outcomes.next()
        self._compare(record, written, again)

    def _begin(self, record: Record) -> Outcomes | None:
        """Return what the input leads to that a record begins; None: nothing is compared."""
        ledger, position = self.state.ledger, record.position
        if position.topic == "tariffs":
            self._pass(Position("tariffs", 0, position.offset))
            version = self._versions.get(position)
            if version is None:
                raise Differs(f"{name_of(record)}: there is no tariff version at {named(position)}")
            return decided_again(ledger, version)
        self._pass(Position("tariffs", 0, self._next["tariffs"]))
        if position.topic == ACCOUNTS:
            self._pass(position)
            if _is_of_own_knowledge(record):
                self._orders.pop(position, None)
                return None
            return decided_again(ledger, self._order_of(record))
        self._pass(position._replace(topic=ACCOUNTS, offset=self._next.get(ACCOUNTS, 0), index=0))
        return self._begin_usage(record)

    def _order_of(self, record: Record) -> Ordered | Refusal:
        """Return the order that a record begins to carry out. Differs if there is none."""
        place, asked = record.position, self._orders.get(record.position)
        if asked is None or (isinstance(asked, Refusal) and not isinstance(record, Rejection)):
            raise Differs(f"{name_of(record)}: at {named(place)} is no command, but {asked}")
        if isinstance(asked, Ordered) and isinstance(asked.order, AdvanceTo):
            # begun in an earlier commit, perhaps by other rules
            return asked._replace(rules=self._tariffs.authority.rules)
        if place.offset >= self._next.get(ACCOUNTS, 0):
            raise Differs(f"{name_of(record)}: the position of its commit is not past its command")
        return self._orders.pop(place)

    def _begin_usage(self, record: Record) -> Outcomes | None:
        ledger, asked = self.state.ledger, self._usage.pop(record.position, None)
        if asked is None:
            raise Differs(
                f"{name_of(record)}: there is no usage event at {named(record.position)}, or all "
                "that it leads to stands before"
            )
        if _is_of_own_knowledge(record):
            return None
        if isinstance(asked, Elsewhere) or (
            isinstance(asked, Refusal) and not isinstance(record, Rejection)
        ):
            raise Differs(
                f"{name_of(record)}: its usage event at {named(record.position)} is {asked}"
            )
        if isinstance(asked, Admitted) and self._is_left_out(record, asked):
            self._outcomes = only(ledger.following(record, asked.terms.rules))  # type: ignore[arg-type]  # a charge
            return None
        return decided_again(ledger, asked)

    def _is_left_out(self, record: Record, asked: Admitted) -> bool:
        """Whether a charge is not to be rated again: then only what follows it is checked."""
        event = asked.event
        if not isinstance(record, Charge) or event.action != "record":
            return False
        next_refill = self.state.ledger.account(event.account_id).prepaid.next_refill
        return (
            not self._witness.selects(record)
            and (record.kind, record.digest) == (USAGE, event.digest)
            and (next_refill is None or next_refill > event.occurred_at)
        )

    def _compare(self, record: Record, written: bytes, again: Outcome | None) -> None:
        place = name_of(record)
        if again is None:
            raise Differs(f"{place}: stands, but nothing leads to it there")
        if isinstance(record, Charge) and isinstance(again, Charge) and _are_alike(record, again):
            bytes_again = encode_charge_like(again, written)
            if self._witness.selects(record):
                self._witness.rated(record, written, bytes_again)
            if bytes_again != written:
                raise Differs(f"{place}: {first_difference(record, again)}")
        elif isinstance(record, AccountEvent) and isinstance(again, AccountEvent):
            if record != again:
                raise Differs(f"{place}: {first_difference(record, again)}")
        elif not isinstance(again, Refusal | str):
            raise Differs(f"{place}: stands where {told(again)} comes out")
        elif not isinstance(record, Rejection) or record.refusal.code != told(again):
            raise Differs(f"{place}: stands, but decided again it is {again}")

    def _pass(self, before: Position) -> None:
        """Go past the orders, or versions, in front of a position: no record tells of them."""
        waiting = self._versions if before.topic == "tariffs" else self._orders
        for place in [place for place in waiting if place.offset < before.offset]:
            asked = waiting.pop(place)
            if not isinstance(asked, Published) and not _is_time(asked):
                raise Differs(f"the command at {named(place)} is missing")
            left = decided_again(self.state.ledger, asked).next()
            if left is not None:
                raise Differs(f"{told(left)} is missing: {named(place)} leads to it")

    def _recheck_rest(self, commit: JournalCommit, before: Counts) -> None:
        """Check what has no record of its own."""
        missing = self._outcomes.next_of_step()
        if missing is not None:
            raise Differs(f"{told(missing)} is missing")
        self._outcomes = NOTHING
        self._pass(Position("tariffs", 0, self._next["tariffs"]))
        self._pass(Position(ACCOUNTS, commit.partition, self._next.get(ACCOUNTS, 0)))
        self._recheck_usage(commit, before)

    def _recheck_usage(self, commit: JournalCommit, before: Counts) -> None:
        """Check usage without a record: duplicates and what was forwarded, nothing else."""
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

    def _is_duplicate(self, left: Admitted) -> bool:
        event = left.event
        identity = identity_key(event.account_id, event.source, event.event_id)
        return self.state.ledger.identities.get(identity) == event.digest


def _begun(commit: JournalCommit, following: Mapping[str, int]) -> dict[str, int]:
    """Return the next offset by topic, behind what the commit has only begun to take in, too."""
    begun = dict(following)
    for record in commit.records:
        topic, _, offset, _ = record.position
        if topic in ("tariffs", ACCOUNTS):
            begun[topic] = max(begun.get(topic, 0), offset + 1)
    return begun


def _is_of_own_knowledge(record: Record) -> bool:
    return isinstance(record, Rejection) and record.refusal.code in _OWN_KNOWLEDGE


def _is_time(asked: Ordered | Refusal) -> bool:
    """Whether an order may be without effect, and so without a record."""
    return isinstance(asked, Ordered) and isinstance(asked.order, AdvanceTo)


def _are_alike(charge: Charge, again: Charge) -> bool:
    """Whether two charges are about the same, so that their fields can be compared."""
    if charge.kind != again.kind or charge.kind in MONEY_CHARGES:
        return charge.kind == again.kind
    return [d.bucket for d in charge.drawdowns] == [d.bucket for d in again.drawdowns]
