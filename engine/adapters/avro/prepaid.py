"""What an account has prepaid, its limits and what waits for approval, as parts of a snapshot.

Most accounts have none of it and cost a byte each. For the others the general writer and reader do:
each part is a tree of one account, not of all of them.
"""

from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from engine.adapters.avro.account import awaiting_of, encode_awaiting
from engine.adapters.avro.grant import grant_fields, grant_of, limit_fields, limit_of
from engine.adapters.avro.reader import Reader
from engine.adapters.avro.wire import from_decimal, to_decimal
from engine.rating.account import Account, Awaiting
from engine.rating.bucket import Bucket
from engine.rating.errors import InvalidDocument
from engine.rating.grant import check_grant
from engine.rating.limit import Limits
from engine.rating.prepaid import Granting, Prepaid
from schemas.loader import latest, part

UNREADABLE = (
    EOFError, LookupError, ValueError, OverflowError, MemoryError, TypeError, InvalidDocument,
)  # fmt: skip
"""What reading bytes that are no snapshot raises."""

_SCHEMA = latest("partition_snapshot")
_LIMITS = part(_SCHEMA, "Limits")
_PREPAID = part(_SCHEMA, "Prepaid")
_AMOUNTS = ("granted", "remaining", "drawn", "expired", "rolled", "voided")

Fields = dict[str, Any]


def awaiting_fields(account: Account) -> list[bytes]:
    """Return the commands that wait for approval, encoded, by their id."""
    return [
        encode_awaiting(command_id, account.account_id, waiting.principal, waiting.order)
        for command_id, waiting in sorted(account.awaiting.items())
    ]


def read_awaiting(reader: Reader) -> tuple[str, Awaiting]:
    """Read a command that waits for approval."""
    command = awaiting_of(reader.fixed(reader.long()))
    return command.command_id, Awaiting(command.order, command.principal)


def limits_fields(limits: Limits) -> Fields | None:
    """Return limits as the fields of their schema; None if there are none."""
    if not limits.by_id and not limits.uses and not limits.over:
        return None
    return {
        "over": limits.over,
        "by_id": [limit_fields(limit) for _, limit in sorted(limits.by_id.items())],
        "uses": [
            {
                "limit_id": limit_id,
                "subject": subject,
                "periods": [{"period": label, "used": to_decimal(used)} for label, used in periods],
            }
            for (limit_id, subject), periods in sorted(limits.uses.items())
        ],
    }


def limits_bytes(limits: Limits) -> bytes:
    """Return limits as a nullable record."""
    return _written(_LIMITS, limits_fields(limits))


def read_limits(reader: Reader, limits: Limits) -> None:
    """Read limits into an empty object."""
    if reader.long():
        fields = reader.record(_LIMITS)
        limits.over = fields["over"]
        limits.by_id = {row["limit_id"]: limit_of(row) for row in fields["by_id"]}
        limits.uses = {
            (row["limit_id"], row["subject"]): tuple(
                (entry["period"], from_decimal(entry["used"])) for entry in row["periods"]
            )
            for row in fields["uses"]
        }
        limits.derive(*{limit.subject for limit in limits.by_id.values()})


def prepaid_fields(prepaid: Prepaid) -> Fields | None:
    """Return grants and buckets as the fields of their schema; None if there are none."""
    if not prepaid.grants:
        return None
    return {
        "grants": [
            {**given._asdict(), "grant": grant_fields(given.grant)}
            for _, given in sorted(prepaid.grants.items())
        ],
        "buckets": [_bucket_fields(bucket) for _, bucket in sorted(prepaid.buckets.items())],
        "subject_draws": [
            {"bucket": bucket, "subject": subject, "units": to_decimal(units)}
            for (bucket, subject), units in sorted(prepaid.subject_draws.items())
        ],
        "money_draws": [
            {
                "counter": counter,
                "draws": [{"bucket": name, "amount": to_decimal(pico)} for name, pico in draws],
            }
            for counter, draws in sorted(prepaid.money_draws.items())
        ],
        "burnt": [
            {
                "bucket": bucket,
                "hours": [{"hour": hour, "units": to_decimal(units)} for hour, units in hours],
            }
            for bucket, hours in sorted(prepaid.burnt.items())
        ],
    }


def _bucket_fields(bucket: Bucket) -> Fields:
    fields = bucket._asdict()
    fields["grant_id"] = fields.pop("grant").grant_id
    for name in _AMOUNTS:
        fields[name] = to_decimal(fields[name])
    return fields


def prepaid_bytes(prepaid: Prepaid) -> bytes:
    """Return grants and buckets as a nullable record."""
    return _written(_PREPAID, prepaid_fields(prepaid))


def read_prepaid(reader: Reader, prepaid: Prepaid) -> None:
    """Read grants and buckets into an empty object that knows its zone."""
    if not reader.long():
        return
    fields = reader.record(_PREPAID)
    for row in fields["grants"]:
        grant = grant_of(row["grant"])
        if grant.recurs and check_grant(grant) is not None:
            raise InvalidDocument("grant", grant, "one that was given")
        prepaid.grants[grant.grant_id] = Granting(grant, row["next_index"], row["is_void"])
    for row in fields["buckets"]:
        prepaid.buckets[row["bucket_id"]] = _bucket_of(row, prepaid)
    prepaid.subject_draws = {
        (row["bucket"], row["subject"]): from_decimal(row["units"])
        for row in fields["subject_draws"]
    }
    prepaid.money_draws = {
        row["counter"]: tuple(
            (draw["bucket"], from_decimal(draw["amount"])) for draw in row["draws"]
        )
        for row in fields["money_draws"]
    }
    prepaid.burnt = {
        row["bucket"]: tuple(
            (entry["hour"], from_decimal(entry["units"])) for entry in row["hours"]
        )
        for row in fields["burnt"]
    }
    prepaid.derive()


def _bucket_of(fields: Fields, prepaid: Prepaid) -> Bucket:
    grant = prepaid.grants[fields.pop("grant_id")].grant
    for name in _AMOUNTS:
        fields[name] = from_decimal(fields[name])
    return Bucket(grant=grant, **fields)


def _written(schema: Any, fields: Fields | None) -> bytes:
    if fields is None:
        return b"\0"
    out = BytesIO()
    out.write(b"\2")
    schemaless_writer(out, schema, fields)
    return out.getvalue()
