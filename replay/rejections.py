"""Rejections as the journal tells them: where each stands, and whether it still waits for anyone.

A rejected event does not occupy its identity, so it may be mended or sent again. A rejection is
*resolved* when the journal decided the same identity later: usage charged, a void that took something
back, waits or was refused, a command applied or refused. Later means behind it in its own journal partition or, because an event may have been
rejected on another partition than its account's, received later elsewhere. Until then it is *open*.

A record that could not be read names no identity. If today's schemas read it, the identities of
its events count; an identity that was accepted with other content (`identity_conflict`) stays
occupied, so such a rejection stays open.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from engine.adapters.avro.journal import decode_record
from engine.adapters.avro.wire import HEADER_SIZE, Decoded, decode
from engine.adapters.usage_record import read_usage_record
from engine.ports import LogRecord, RecordLog, TopicPartition
from engine.rating.charge import CORRECTION, USAGE, Charge
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.event import AccountEvent, Rejection, UsageRefused, VoidPending
from engine.rating.usage import Position, identity_key
from replay.archive.chain import chained
from replay.journal import journal_partitions
from schemas.loader import by_fingerprint

OPEN = "open"
RESOLVED = "resolved"
COMMANDS = "accounts"
"""The topic of commands; every other topic that is rejected from holds usage."""

_POSITION_PARTS = 4


class JournalPlace(NamedTuple):
    """Where a record stands in the journal; `offset` of its commit, `record` within it."""

    partition: int
    commit: int
    offset: int
    record: int


class Found(NamedTuple):
    """A rejection without its original bytes, its place, and what resolved it.

    `resolved_by`: the charges, or the ids of commands and voids, that settle all it holds; empty while
    open.
    """

    rejection: Rejection
    place: JournalPlace
    resolved_by: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The rejection's name for people."""
        return rejection_id(self.rejection.position)

    @property
    def state(self) -> str:
        """Whether it still waits for anyone."""
        return RESOLVED if self.resolved_by else OPEN


class Wanted(NamedTuple):
    """Which rejections are asked for; what is empty or None asks for any.

    `since`, `until`: received in [since, until), in us UTC.
    """

    positions: frozenset[Position] = frozenset()
    codes: frozenset[str] = frozenset()
    account_id: str | None = None
    source: str | None = None
    since: int | None = None
    until: int | None = None

    def takes(self, rejection: Rejection) -> bool:
        """Whether a rejection is asked for."""
        return (
            (not self.positions or rejection.position in self.positions)
            and (not self.codes or rejection.refusal.code in self.codes)
            and self.account_id in (None, rejection.account_id)
            and self.source in (None, rejection.source)
            and (self.since is None or rejection.received_at >= self.since)
            and (self.until is None or rejection.received_at < self.until)
        )


def rejection_id(position: Position) -> str:
    """Return a rejection's id: its position, such as ``usage/2/1041/0``."""
    return "/".join(map(str, position))


def parse_rejection_id(text: str) -> Position | None:
    """Return the position that an id names; None if it is no id."""
    parts = text.split("/")
    numbers = parts[1:]
    if len(parts) != _POSITION_PARTS or not all(n.isascii() and n.isdigit() for n in numbers):
        return None
    position = Position(parts[0], *map(int, numbers))
    return position if rejection_id(position) == text else None


def find_rejections(
    log: RecordLog,
    partitions: int,
    wanted: Wanted,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Found]:
    """Return the rejections that are asked for, in the order of their receipt.

    The journal's chain is checked on the way (BrokenChain). It is read once for rejections and,
    if there are any, once more for what came of them; `progress` is told of each commit.
    """
    names = journal_partitions(partitions)
    ends = log.ends(names)
    found: list[Found] = []
    awaited: list[frozenset[str]] = []
    asked = {position.partition for position in wanted.positions}
    for name in names:
        if asked and name.partition not in asked:
            continue
        for place, data in _records(log, name, ends[name], ("rejection",), progress):
            rejection = decode_record(data)
            if isinstance(rejection, Rejection) and wanted.takes(rejection):
                found.append(Found(rejection._replace(original=b""), place))
                awaited.append(_awaited(rejection))
    if any(awaited):
        settled = _settled(log, ends, found, awaited, progress)
        found = [
            entry._replace(resolved_by=tuple(by[identity] for identity in sorted(identities)))
            if identities and by.keys() >= identities
            else entry
            for entry, identities, by in zip(found, awaited, settled, strict=True)
        ]
    return sorted(found, key=lambda entry: (entry.rejection.received_at, entry.rejection.position))


def read_rejection(log: RecordLog, found: Found) -> Rejection:
    """Return a rejection with its original, as it stands in the journal."""
    place = found.place
    journal = TopicPartition("journal", place.partition)
    for record in log.read(journal, place.offset, place.offset + 1):
        rejection = decode_record(_commit(record)["records"][place.record])
        if isinstance(rejection, Rejection) and rejection.position == found.rejection.position:
            return rejection
    raise BrokenInvariant(f"journal[{place.partition}] offset {place.offset}: {found.id} is gone")


def _records(
    log: RecordLog,
    journal: TopicPartition,
    end: int,
    names: tuple[str, ...],
    progress: Callable[[int], None],
) -> Iterator[tuple[JournalPlace, bytes]]:
    """Yield the records of these schemas, encoded; the others are not even decoded."""
    for record in chained(log.read(journal, 0, end), None):
        commit = _commit(record)
        for index, data in enumerate(commit["records"]):
            schema = by_fingerprint(data[:HEADER_SIZE])
            if schema is not None and schema.name in names:
                place = JournalPlace(journal.partition, commit["commit"], record.offset, index)
                yield place, data
        progress(1)


def _commit(record: LogRecord) -> dict[str, Any]:
    decoded = decode(record.value)
    if not isinstance(decoded, Decoded):
        raise BrokenInvariant(f"journal[{record.partition}] offset {record.offset}: {decoded}")
    return decoded.fields


def _awaited(rejection: Rejection) -> frozenset[str]:
    """Return the identities that, once decided, resolve a rejection; none if nothing ever does."""
    if rejection.refusal.code == "identity_conflict":
        return frozenset()
    if rejection.event_id or rejection.source or rejection.account_id:
        return frozenset([_identity(rejection)])
    if len(rejection.original) < rejection.size:
        return frozenset()
    return _identities_read_now(rejection)


def _identity(rejection: Rejection) -> str:
    if rejection.position.topic == COMMANDS:
        return _command_identity(rejection.account_id, rejection.event_id)
    return identity_key(rejection.account_id, rejection.source, rejection.event_id)


def _command_identity(account_id: str, command_id: str) -> str:
    return f"command {account_id}\0{command_id}"


def _identities_read_now(rejection: Rejection) -> frozenset[str]:
    """Return the identities in a record that could not be read then, if it can be read now."""
    position = rejection.position
    if position.topic == COMMANDS:
        decoded = decode(rejection.original)
        if not isinstance(decoded, Decoded) or decoded.name != "account_command":
            return frozenset()
        fields = decoded.fields
        return frozenset([_command_identity(fields["account_id"], fields["command_id"])])
    record = LogRecord(*position[:3], rejection.received_at, None, rejection.original)
    found = read_usage_record(record)
    if isinstance(found, Refusal):
        return frozenset()
    events = found[position.index :][:1] if position.index else found
    identities = [
        identity_key(fields["account_id"], fields["source"], fields["event_id"])
        for fields in events
        if not isinstance(fields, Refusal)
    ]
    return frozenset(identities) if len(identities) == len(events) else frozenset()


def _settled(
    log: RecordLog,
    ends: Mapping[TopicPartition, int],
    found: list[Found],
    awaited: list[frozenset[str]],
    progress: Callable[[int], None],
) -> list[dict[str, str]]:
    """Return, for each rejection, what decided each of its identities later."""
    waiting: dict[str, list[int]] = {}
    for number, identities in enumerate(awaited):
        for identity in identities:
            waiting.setdefault(identity, []).append(number)
    settled: list[dict[str, str]] = [{} for _ in found]
    for name, end in ends.items():
        for place, data in _records(log, name, end, ("charge_event", "account_event"), progress):
            record = decode_record(data)
            if isinstance(record, Rejection) or (decided := _decided(record)) is None:
                continue
            identity, decided_by = decided
            for number in waiting.get(identity, ()):
                if _is_later(place, record.received_at, found[number]):
                    settled[number].setdefault(identity, decided_by)
    return settled


def _decided(record: Charge | AccountEvent) -> tuple[str, str] | None:
    """Return the identity that a record decides, and what is shown for it; None if it decides none."""
    account_id = record.account_id
    if isinstance(record, Charge):
        if record.kind == USAGE:
            return record.charge_id, record.charge_id
        if record.kind == CORRECTION:
            return identity_key(account_id, record.source, record.event_id), record.charge_id
    elif record.command_id:
        return _command_identity(account_id, record.command_id), record.command_id
    elif isinstance(record.change, VoidPending | UsageRefused):
        void = record.change
        return identity_key(account_id, void.source, void.event_id), void.event_id
    return None


def _is_later(place: JournalPlace, received_at: int, than: Found) -> bool:
    if place.partition == than.place.partition:
        return place > than.place
    return received_at > than.rejection.received_at
