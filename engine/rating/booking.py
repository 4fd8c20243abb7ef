"""Booking: charges that no usage event is the direct subject of.

Settlements, adjustments, and what fills and closes buckets share one shape: their `position` is that
of the record that caused them, and their id is worked out from what they are for.
"""

from hashlib import sha256

from engine.rating.account import Account
from engine.rating.bucket import Bucket
from engine.rating.charge import (
    EXPIRY,
    GRANT,
    RECHARGE,
    ROLLOVER,
    Charge,
    Drawdown,
    Line,
    TariffReference,
)
from engine.rating.period import billing_month
from engine.rating.usage import Origin

NO_USAGE = bytes(32)
"""The digest in a charge that no usage event is the subject of."""


def booked(
    account: Account,
    kind: str,
    key: str,
    origin: Origin,
    occurred_at: int,
    rules: int,
    *,
    lines: tuple[Line, ...] = (),
    drawdowns: tuple[Drawdown, ...] = (),
    amount: int = 0,
    due: int | None = None,
    service_period: str = "",
    tariff: TariffReference | None = None,
    corrects: str = "",
) -> Charge:
    """Return a charge of a kind, for what `key` names; `origin` is that of its cause.

    `due` is what the account owes after it (pico; None: as before). Without `service_period`, that of
    `occurred_at`.
    """
    sequence = account.sequence + 1
    cause = "\0".join((kind, account.account_id, key, str(sequence)))
    return Charge(
        charge_id=sha256(cause.encode()).hexdigest()[:32],
        kind=kind,
        account_id=account.account_id,
        subject="",
        sequence=sequence,
        source="",
        event_id="",
        digest=NO_USAGE,
        position=origin.position,
        occurred_at=occurred_at,
        received_at=origin.received_at,
        service_period=service_period or billing_month(account.zone, occurred_at),
        provider="",
        model="",
        operation="",
        service_tier="",
        region="",
        tariff=tariff,
        rules=rules,
        currency=account.currency,
        lines=lines,
        drawdowns=drawdowns,
        amount=amount,
        supplier_cost=None,
        corrects=corrects,
        trace_id="",
        parent_event_id="",
        initiator="unknown",
        due=account.due if due is None else due,
    )


def opening(account: Account, bucket: Bucket, origin: Origin, rules: int) -> Charge:
    """Return the charge that opens a bucket of a grant, as of its first instant."""
    kind = RECHARGE if bucket.grant.is_paid else GRANT
    return _filling(account, kind, bucket, bucket.granted, origin, bucket.valid_from, rules)


def recharge(account: Account, bucket: Bucket, units: int, origin: Origin, rules: int) -> Charge:
    """Return the charge that puts units more into an open bucket."""
    filled = bucket.filled(units)
    return _filling(account, RECHARGE, filled, units, origin, origin.received_at, rules)


def rollover(
    account: Account, bucket: Bucket, origin: Origin, at: int, rules: int
) -> Charge | None:
    """Return the charge that opens the successor of a closed bucket; None if it has none."""
    successor = bucket.successor(bucket.rolled)
    if successor is None:
        return None
    return _filling(account, ROLLOVER, successor, successor.granted, origin, at, rules)


def _filling(
    account: Account, kind: str, bucket: Bucket, units: int, origin: Origin, at: int, rules: int
) -> Charge:
    drawdown = Drawdown(bucket.bucket_id, -units, bucket.remaining)
    return booked(account, kind, bucket.bucket_id, origin, at, rules, drawdowns=(drawdown,))


def expiry(account: Account, bucket: Bucket, origin: Origin, at: int, rules: int) -> Charge:
    """Return the charge that closes a bucket."""
    closed = bucket.closed()
    gone = (closed.rolled - bucket.rolled, closed.expired - bucket.expired)
    drawdown = Drawdown(bucket.bucket_id, 0, 0, *gone)
    return booked(account, EXPIRY, bucket.bucket_id, origin, at, rules, drawdowns=(drawdown,))
