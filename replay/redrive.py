"""Sending rejected input again: what goes out, and what must hold before it does.

What goes out is the original from its topic, not the journal's copy, which may be cut. Its digest
must be the rejection's. A record that was rejected as a whole goes out byte for byte with its
headers; one event of a batch goes out alone, because its neighbours were decided. What can be read
goes to the partition of its account, everything else to where it stood.

Sending again is always safe: identity decides, so what was charged meanwhile becomes a duplicate.
Nothing here writes: `redrive` is handed the function that sends, and a dry run hands it another.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from engine.adapters.avro.usage import Fields, decode_usage, encode_usage
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.forwarded import as_received
from engine.adapters.signing import HEADER, key_digest, sign
from engine.adapters.usage_record import read_usage_record
from engine.ports import LogPruned, LogRecord, RecordLog, TopicPartition
from engine.rating.authority import Authority, SourceRegistration
from engine.rating.errors import Refusal
from engine.rating.event import Rejection
from engine.rating.usage import Position
from replay.rejections import COMMANDS, Found, read_rejection, rejection_id

SENT = "sent"
SKIPPED = "skipped"
NOT_SENT = "not sent"

Headers = tuple[tuple[str, bytes], ...]
USAGE = "usage"
_NEAR_OFFSETS = 1_000
_SIGNATURE_CODES = ("signature_missing", "signature_wrong")


class Resend(NamedTuple):
    """A record to append again."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: Headers = ()


class Impossible(NamedTuple):
    """Why a rejection can not be sent again, as a sentence.

    `copy_may_tell`: whether the journal's copy of the original may show that it can.
    """

    sentence: str
    copy_may_tell: bool = False


class Outcome(NamedTuple):
    """What became of one rejection: SENT, SKIPPED or NOT_SENT, and where to, or why."""

    found: Found
    outcome: str
    detail: str


class Originals:
    """Reads originals from their topics, those that stand near each other in one go.

    `positions`: all that will be asked for; they were decided, so no read of them ever waits.
    """

    def __init__(self, log: RecordLog, positions: Iterable[Position]) -> None:
        self._log = log
        self._offsets: dict[TopicPartition, set[int]] = {}
        for position in positions:
            self._offsets.setdefault(TopicPartition(*position[:2]), set()).add(position.offset)
        self._near: dict[tuple[object, ...], LogRecord] = {}

    def read(self, position: Position) -> LogRecord | Impossible:
        """Return the record at a position, or say that it is gone."""
        gone = None if position[:3] in self._near else self._read_on(position)
        found = self._near.get(position[:3])
        if found is not None:
            return found
        why = gone or "its topic has no record there"
        return Impossible(f"the original of {rejection_id(position)} is not there: {why}")

    def _read_on(self, position: Position) -> str | None:
        """Read on from a position, or say why not."""
        partition = TopicPartition(*position[:2])
        self._near = {}
        end = self._log.ends([partition])[partition]
        if position.offset >= end:
            return "its topic ends before it"
        near = min(position.offset + _NEAR_OFFSETS, end)
        wanted = {n for n in self._offsets[partition] if position.offset <= n < near}
        try:
            for record in self._log.read(partition, position.offset, max(wanted) + 1):
                if record.offset in wanted:
                    self._near[record[:3]] = record
        except LogPruned:
            return "it was deleted from Kafka: give --archive to read it from there"
        return None


class Signer:
    """Signs what a source must sign, with the keys that a person gave, by source."""

    def __init__(self, authority: Authority, keys: Mapping[str, Sequence[bytes]]) -> None:
        self._authority = authority
        self._keys = {key_digest(key): key for of_source in keys.values() for key in of_source}

    def signed(
        self, sources: set[str], value: bytes, headers: Headers, rejection: Rejection
    ) -> Headers | Impossible:
        """Return the headers under which a value goes out.

        A signature that it has and was not rejected for needs no key here.
        """
        asked = [
            registration
            for source in sorted(sources)
            if (registration := self._authority.of(source)) and registration.key_digests
        ]
        if not asked:
            return headers
        if len(asked) > 1:
            return Impossible("several of its sources sign: a signed record has events of one")
        key = self._key_of(asked[0])
        if key is not None:
            return (*((n, text) for n, text in headers if n != HEADER), sign(key, value))
        if HEADER in dict(headers) and rejection.refusal.code not in _SIGNATURE_CODES:
            return headers
        digests = " or ".join(digest.hex()[:16] for digest in asked[0].key_digests)
        (source,) = (s for s in sources if self._authority.of(s) is asked[0])
        return Impossible(
            f"source {source!r} signs its records: expected its key in --key-file (the one whose "
            f"SHA-256 begins with {digests})"
        )

    def _key_of(self, registration: SourceRegistration) -> bytes | None:
        digests = registration.key_digests
        return next((self._keys[digest] for digest in digests if digest in self._keys), None)


class Planner:
    """Decides what goes out. `home_partition` gives the partition of an account."""

    def __init__(self, home_partition: Callable[[str], int], signer: Signer) -> None:
        self._home_partition = home_partition
        self._signer = signer

    def plan(self, rejection: Rejection, record: LogRecord) -> Resend | Impossible:
        """Return what goes out for a rejection whose original stands in `record`."""
        if record.topic == COMMANDS:
            return self._command(rejection, record)
        unframed = as_received(record)
        received = record if isinstance(unframed, Refusal) else unframed
        found = read_usage_record(received)
        events = [] if isinstance(found, Refusal) else found
        index = rejection.position.index
        event = events[index] if index < len(events) else None
        if rejection.digest in (_digest(record.value), _digest(received.value)):
            if event is None or isinstance(event, Refusal) or (len(events) > 1 and not index):
                return self._as_it_was(rejection, record, events)
            if len(events) == 1:
                return self._event(rejection, record, event, received)
        elif event is None or isinstance(event, Refusal):
            return _other(rejection)
        elif not _is_rejected(event, rejection):
            return _other(rejection)._replace(copy_may_tell=not rejection.original)
        alone = received._replace(value=encode_usage(event), headers=())
        return self._event(rejection, record, event, alone)

    def _event(
        self, rejection: Rejection, record: LogRecord, event: Fields, sent: LogRecord
    ) -> Resend | Impossible:
        """Send one event home; without an account to where its record stands."""
        headers = self._signer.signed({event["source"]}, sent.value, sent.headers, rejection)
        if isinstance(headers, Impossible):
            return headers
        account_id = event["account_id"]
        if not account_id:
            return Resend(USAGE, record.partition, record.key, sent.value, headers)
        home = self._home_partition(account_id)
        return Resend(USAGE, home, account_id.encode(), sent.value, headers)

    def _as_it_was(
        self, rejection: Rejection, record: LogRecord, events: Iterable[Fields | Refusal]
    ) -> Resend | Impossible:
        sources = {fields["source"] for fields in events if not isinstance(fields, Refusal)}
        headers = self._signer.signed(sources, record.value, record.headers, rejection)
        if isinstance(headers, Impossible):
            return headers
        return Resend(record.topic, record.partition, record.key, record.value, headers)

    def _command(self, rejection: Rejection, record: LogRecord) -> Resend | Impossible:
        if _digest(record.value) != rejection.digest:
            return _other(rejection)
        as_it_was = Resend(record.topic, record.partition, record.key, record.value, record.headers)
        decoded = decode(record.value)
        if not isinstance(decoded, Decoded) or decoded.name != "account_command":
            return as_it_was
        account_id = decoded.fields["account_id"]
        if not account_id:
            return as_it_was
        return as_it_was._replace(
            partition=self._home_partition(account_id), key=account_id.encode()
        )


def _is_rejected(event: Fields, rejection: Rejection) -> bool:
    """Whether an event of a batch is the rejected one.

    The digest is over the event encoded alone. An event schema that was published since encodes
    it in other bytes; then the copy in the journal, if whole, tells.
    """
    if _digest(encode_usage(event)) == rejection.digest:
        return True
    kept = rejection.original
    return _digest(kept) == rejection.digest and decode_usage(kept) == [event]


def _digest(value: bytes) -> bytes:
    return sha256(value).digest()


def _other(rejection: Rejection) -> Impossible:
    return Impossible(
        f"at {rejection_id(rejection.position)} stands something else than was rejected: expected "
        f"bytes with the SHA-256 {rejection.digest.hex()}"
    )


def redrive(
    log: RecordLog,
    found: Iterable[Found],
    plan: Callable[[Rejection, LogRecord], Resend | Impossible],
    send: Callable[[Resend], Impossible | None],
) -> Iterator[Outcome]:
    """Send rejections again, in the order of their positions, and tell what became of each.

    What is resolved is skipped; of rejections with the same bytes only the first is sent.
    """
    entries = sorted(found, key=lambda entry: entry.rejection.position)
    originals = Originals(log, (e.rejection.position for e in entries if not e.resolved_by))
    sent: dict[Resend, str] = {}
    for entry in entries:
        if entry.resolved_by:
            yield Outcome(entry, SKIPPED, f"resolved by {' '.join(entry.resolved_by)}")
            continue
        record = originals.read(entry.rejection.position)
        if isinstance(record, Impossible):
            yield Outcome(entry, NOT_SENT, record.sentence)
            continue
        resend = plan(entry.rejection, record)
        if isinstance(resend, Impossible) and resend.copy_may_tell:
            resend = plan(read_rejection(log, entry), record)
        if isinstance(resend, Impossible):
            yield Outcome(entry, NOT_SENT, resend.sentence)
            continue
        name = resend._replace(value=_digest(resend.value))
        if name in sent:
            yield Outcome(entry, SKIPPED, f"the same bytes as {sent[name]}")
            continue
        failure = send(resend)
        if failure is not None:
            yield Outcome(entry, NOT_SENT, failure.sentence)
            continue
        sent[name] = entry.id
        yield Outcome(entry, SENT, f"to {resend.topic}[{resend.partition}]")
