"""Journal commits, and the account events and rejections in them, to bytes and back."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from engine.adapters.avro.account import awaiting_of, encode_awaiting, zone_fields, zone_of
from engine.adapters.avro.charge import charge_of, encode_charge, position_fields
from engine.adapters.avro.grant import grant_fields, grant_of, limit_fields, limit_of
from engine.adapters.avro.wire import decode, encode, from_decimal, qualified, to_decimal
from engine.rating.charge import Charge
from engine.rating.errors import BrokenInvariant, InvalidDocument, Refusal
from engine.rating.event import (
    AccountEvent,
    AccountOpened,
    Adjusted,
    AlertCleared,
    AlertRaised,
    ApprovalAwaited,
    BucketRecharged,
    Change,
    CommandRefused,
    Granted,
    GrantVoided,
    LimitSet,
    PeriodClosed,
    Record,
    Rejection,
    TariffAssigned,
    UsageRefused,
    VersionAdopted,
    VersionReference,
    VersionStaged,
    VoidLapsed,
    VoidPending,
)
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
    if isinstance(change, ApprovalAwaited):
        who = (event.command_id, event.account_id, event.principal)
        fields: dict[str, Any] = {"order": encode_awaiting(*who, change.order)}
    else:
        fields = _change_fields(change)
    return {
        **event._asdict(),
        "position": position_fields(event.position),
        "change": (qualified(type(change).__name__), fields),
    }


def _change_fields(change: Change) -> dict[str, Any]:
    if isinstance(change, AccountOpened):
        zone = zone_fields(change.zone)
        return {"currency": change.currency, **zone, "close_grace": change.close_grace}
    if isinstance(change, CommandRefused):
        return change.refusal._asdict()
    if isinstance(change, UsageRefused):
        who = {"source": change.source, "event_id": change.event_id, "digest": change.digest}
        return {**who, **change.refusal._asdict()}
    if isinstance(change, TariffAssigned):
        references = [reference._asdict() for reference in change.versions]
        return {**change._asdict(), "versions": references}
    if isinstance(change, Granted):
        return {"grant": grant_fields(change.grant)}
    if isinstance(change, LimitSet):
        return {"limit": limit_fields(change.limit)}
    if isinstance(change, BucketRecharged | Adjusted):
        return {**change._asdict(), "amount": to_decimal(change.amount)}
    return change._asdict()


def _account_event_of(fields: dict[str, Any]) -> AccountEvent:
    try:
        change = _change_of(*fields["change"])
    except InvalidDocument as error:
        raise BrokenInvariant(f"journal record: {error}") from error
    position = Position(**fields["position"])
    return AccountEvent(**{**fields, "position": position, "change": change})


def _change_of(full_name: str, fields: dict[str, Any]) -> Change:
    name = full_name.rpartition(".")[2]
    read = _CHANGES.get(name)
    return _PLAIN_CHANGES[name](**fields) if read is None else read(fields)


def _tariff_assigned_of(fields: dict[str, Any]) -> TariffAssigned:
    references = tuple(VersionReference(**row) for row in fields["versions"])
    return TariffAssigned(**{**fields, "versions": references})


def _usage_refused_of(fields: dict[str, Any]) -> UsageRefused:
    refusal = Refusal(fields["code"], fields["explanation"])
    return UsageRefused(fields["source"], fields["event_id"], fields["digest"], refusal)


def _with_amount(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "amount": from_decimal(fields["amount"])}


_CHANGES: dict[str, Callable[[dict[str, Any]], Change]] = {
    "AccountOpened": lambda f: AccountOpened(f["currency"], zone_of(f), f["close_grace"]),
    "TariffAssigned": _tariff_assigned_of,
    "CommandRefused": lambda f: CommandRefused(Refusal(**f)),
    "Granted": lambda f: Granted(grant_of(f["grant"])),
    "BucketRecharged": lambda f: BucketRecharged(**_with_amount(f)),
    "LimitSet": lambda f: LimitSet(limit_of(f["limit"])),
    "Adjusted": lambda f: Adjusted(**_with_amount(f)),
    "ApprovalAwaited": lambda f: ApprovalAwaited(awaiting_of(f["order"]).order),
    "UsageRefused": _usage_refused_of,
}
"""How changes are read whose fields are not those of the schema as they are."""

_Plain = type[
    VersionAdopted
    | VersionStaged
    | PeriodClosed
    | GrantVoided
    | VoidPending
    | VoidLapsed
    | AlertRaised
    | AlertCleared
]
_PLAIN_CHANGES: dict[str, _Plain] = {
    change.__name__: change
    for change in (
        VersionAdopted,
        VersionStaged,
        PeriodClosed,
        GrantVoided,
        VoidPending,
        VoidLapsed,
        AlertRaised,
        AlertCleared,
    )
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
