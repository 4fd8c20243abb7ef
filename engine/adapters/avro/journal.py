"""Journal commits, and the account events and rejections in them, to bytes and back."""

from hashlib import sha256
from typing import Any

from engine.adapters.avro.account import zone_fields, zone_of
from engine.adapters.avro.charge import charge_of, encode_charge, position_fields
from engine.adapters.avro.wire import decode, encode, qualified
from engine.rating.charge import (
    AccountEvent,
    AccountOpened,
    Change,
    Charge,
    CommandRefused,
    PeriodClosed,
    Record,
    Rejection,
    TariffAssigned,
    VersionAdopted,
    VersionReference,
    VersionStaged,
)
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.journal import Counts, JournalCommit, NextOffset
from engine.rating.usage import Position
from schemas.loader import latest

_COMMIT = latest("journal_commit")
_ACCOUNT_EVENT = latest("account_event")
_REJECTION = latest("rejection")


def encode_record(record: Record) -> bytes:
    """Return one record of a commit in single-object encoding."""
    if isinstance(record, Charge):
        return encode_charge(record)
    if isinstance(record, AccountEvent):
        return encode(_ACCOUNT_EVENT, account_event_fields(record))
    return encode(_REJECTION, rejection_fields(record))


def encode_commit(commit: JournalCommit, records: list[bytes]) -> bytes:
    """Return a commit in single-object encoding; `records` are its records, encoded."""
    fields = {
        "partition": commit.partition,
        "commit": commit.commit,
        "previous": commit.previous,
        "positions": [entry._asdict() for entry in commit.positions],
        "tariffs_offset": commit.tariffs_offset,
        "counts": commit.counts._asdict(),
        "records": records,
    }
    return encode(_COMMIT, fields)


def commit_digest(data: bytes) -> bytes:
    """Return the digest by which the next commit names this one."""
    return sha256(data).digest()


def decode_commit(data: bytes) -> JournalCommit:
    """Read a commit. BrokenInvariant if the journal holds anything else."""
    return read_commit(data)[0]


def read_commit(data: bytes) -> tuple[JournalCommit, list[bytes]]:
    """Read a commit, and the bytes of each of its records as they were written."""
    fields = _fields(data, "journal_commit")
    commit = JournalCommit(
        fields["partition"],
        fields["commit"],
        fields["previous"],
        tuple(NextOffset(**entry) for entry in fields["positions"]),
        fields["tariffs_offset"],
        Counts(**fields["counts"]),
        tuple(decode_record(record) for record in fields["records"]),
    )
    return commit, fields["records"]


def read_counts(data: bytes) -> Counts:
    """Return the counts of a commit without decoding its records. BrokenInvariant if it is none."""
    return Counts(**_fields(data, "journal_commit")["counts"])


def decode_record(data: bytes) -> Record:
    """Read one record of a commit. BrokenInvariant if it is none."""
    decoded = decode(data)
    if not isinstance(decoded, Refusal):
        if decoded.name == "charge_event":
            return charge_of(decoded.fields)
        if decoded.name == "account_event":
            return _account_event_of(decoded.fields)
        if decoded.name == "rejection":
            return _rejection_of(decoded.fields)
    raise BrokenInvariant(f"journal record: got {decoded}, expected a charge, event or rejection")


def _fields(data: bytes, name: str) -> dict[str, Any]:
    decoded = decode(data)
    if isinstance(decoded, Refusal) or decoded.name != name:
        raise BrokenInvariant(f"journal: got {decoded}, expected a {name}")
    return decoded.fields


def account_event_fields(event: AccountEvent) -> dict[str, Any]:
    """Return an account event as the fields of its schema."""
    change = event.change
    return {
        "account_id": event.account_id,
        "sequence": event.sequence,
        "command_id": event.command_id,
        "principal": event.principal,
        "position": position_fields(event.position),
        "received_at": event.received_at,
        "change": (qualified(type(change).__name__), _change_fields(change)),
    }


def _change_fields(change: Change) -> dict[str, Any]:
    if isinstance(change, AccountOpened):
        zone = zone_fields(change.zone)
        return {"currency": change.currency, **zone, "close_grace": change.close_grace}
    if isinstance(change, CommandRefused):
        return change.refusal._asdict()
    if isinstance(change, TariffAssigned):
        references = [reference._asdict() for reference in change.versions]
        return {**change._asdict(), "versions": references}
    return change._asdict()


def _account_event_of(fields: dict[str, Any]) -> AccountEvent:
    return AccountEvent(
        fields["account_id"],
        fields["sequence"],
        fields["command_id"],
        fields["principal"],
        Position(**fields["position"]),
        fields["received_at"],
        _change_of(*fields["change"]),
    )


def _change_of(full_name: str, fields: dict[str, Any]) -> Change:
    name = full_name.rpartition(".")[2]
    if name == "AccountOpened":
        return AccountOpened(fields["currency"], zone_of(fields), fields["close_grace"])
    if name == "TariffAssigned":
        references = tuple(VersionReference(**row) for row in fields["versions"])
        return TariffAssigned(**{**fields, "versions": references})
    if name == "CommandRefused":
        return CommandRefused(Refusal(**fields))
    return _PLAIN_CHANGES[name](**fields)


_PLAIN_CHANGES: dict[str, type[VersionAdopted | VersionStaged | PeriodClosed]] = {
    change.__name__: change for change in (VersionAdopted, VersionStaged, PeriodClosed)
}


def rejection_fields(rejection: Rejection) -> dict[str, Any]:
    """Return a rejection as the fields of its schema."""
    return {
        "position": position_fields(rejection.position),
        "received_at": rejection.received_at,
        "code": rejection.refusal.code,
        "explanation": rejection.refusal.explanation,
        "account_id": rejection.account_id,
        "source": rejection.source,
        "event_id": rejection.event_id,
        "digest": rejection.digest,
        "size": rejection.size,
        "original": rejection.original,
    }


def _rejection_of(fields: dict[str, Any]) -> Rejection:
    return Rejection(
        Position(**fields["position"]),
        fields["received_at"],
        Refusal(fields["code"], fields["explanation"]),
        fields["account_id"],
        fields["source"],
        fields["event_id"],
        fields["digest"],
        fields["size"],
        fields["original"],
    )
