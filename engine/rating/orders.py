"""Orders about what is prepaid and what may be spent: grants, recharges, limits, adjustments.

Deciding only, as in `engine.rating.lifecycle`: each function reads state and returns the change to
journal. The charges that a change brings (a bucket filled, an adjustment) follow right behind it,
worked out by `brought_by`.
"""

from collections.abc import Iterator

from engine.rating.account import Account
from engine.rating.booking import booked, opening, recharge
from engine.rating.bucket import opened
from engine.rating.charge import ADJUSTMENT, RATED, Charge, Line
from engine.rating.command import (
    Adjust,
    IssueGrant,
    Order,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.event import (
    AccountEvent,
    Adjusted,
    BucketRecharged,
    Change,
    CommandRefused,
    Granted,
    GrantVoided,
    LimitSet,
    refused,
)
from engine.rating.grant import CREDIT, MAX_PAST_BUCKETS, Grant, check_grant, successor_id
from engine.rating.limit import check_limit
from engine.rating.money import LIMIT_PICO, format_pico
from engine.rating.period import FIRST_INSTANT, format_instant
from engine.rating.purse import NO_FACTS, Purse
from engine.rating.rules import MAX_AHEAD
from engine.rating.usage import MAX_TEXT, UNPRINTABLE, Origin

MAX_FILLED_BUCKETS = 64
"""Open buckets of one account that hold units: what one event draws must fit into a charge."""

MAX_AMOUNT_PICO = LIMIT_PICO // 10**6
"""Of one grant, recharge or adjustment: no sum of them comes near what DECIMAL(38,12) holds."""


def decide_prepaid(account: Account, order: Order, received_at: int) -> Change:
    """Return what an order does to an open account; CommandRefused if it does nothing."""
    unfit = check_order(order)
    if unfit is not None:
        return CommandRefused(unfit)
    if isinstance(order, IssueGrant):
        return _grant(account, order.grant, received_at)
    if isinstance(order, RechargeBucket):
        return _recharge(account, order)
    if isinstance(order, VoidGrant):
        return _void(account, order.grant_id)
    if isinstance(order, SetLimit):
        return _limit(account, order)
    if isinstance(order, Adjust):
        return _adjust(account, order, received_at)
    raise BrokenInvariant(f"no order about what is prepaid: {order}")


def check_order(order: Order) -> Refusal | None:
    """Return why an order can not take effect on any account, or None."""
    if isinstance(order, IssueGrant):
        if order.grant.amount > MAX_AMOUNT_PICO:
            return _too_much(order.grant.amount)
        return check_grant(order.grant)
    if isinstance(order, SetLimit):
        return check_limit(order.limit)
    if isinstance(order, RechargeBucket) and not 0 < order.amount <= MAX_AMOUNT_PICO:
        return _too_much(order.amount)
    return _check_adjustment(order) if isinstance(order, Adjust) else None


def _check_adjustment(order: Adjust) -> Refusal | None:
    if not order.reason or len(order.reason) > MAX_TEXT or UNPRINTABLE.search(order.reason):
        return Refusal("reason_missing", f"reason: expected 1 to {MAX_TEXT} printable characters")
    if len(order.corrects) > MAX_TEXT or UNPRINTABLE.search(order.corrects):
        return Refusal(
            "charge_unknown", f"corrects: expected a charge_id, got {order.corrects[:40]!r}"
        )
    if not order.amount or abs(order.amount) > MAX_AMOUNT_PICO:
        return _too_much(order.amount)
    return None


def _grant(account: Account, grant: Grant, received_at: int) -> Change:
    for taken in account.prepaid.grants:
        if grant.grant_id in (taken, successor_id(taken)) or successor_id(grant.grant_id) == taken:
            return refused(
                "grant_exists",
                f"grant_id: got {grant.grant_id!r}, expected one whose buckets are not those of "
                f"grant {taken!r}",
            )
    buckets = account.prepaid.buckets
    filled = sum(buckets[name].remaining > 0 for name in account.prepaid.open_buckets)
    if filled >= MAX_FILLED_BUCKETS:
        return refused(
            "too_many_buckets", f"grant: {filled} open buckets hold units, expected fewer"
        )
    past = grant.recurs and grant.span(MAX_PAST_BUCKETS, account.zone)
    if past and past[0] <= received_at:
        return refused(
            "too_many_buckets",
            f"valid_from: got {format_instant(grant.valid_from)}, expected at most "
            f"{MAX_PAST_BUCKETS} occurrences before {format_instant(received_at)}",
        )
    return Granted(grant)


def _recharge(account: Account, order: RechargeBucket) -> Change:
    bucket = account.prepaid.buckets.get(order.bucket)
    if bucket is None or bucket.is_closed:
        state = "there is none" if bucket is None else "it is closed"
        return refused(
            "bucket_not_open", f"bucket: got {order.bucket!r}, expected an open one; {state}"
        )
    if order.unit not in ("", bucket.grant.unit):
        return refused(
            "unit_mismatch", f"unit: got {order.unit!r}, expected {bucket.grant.unit!r} as granted"
        )
    if bucket.is_money and bucket.grant.returns != CREDIT:
        return refused(
            "bucket_not_paid",
            f"bucket: what comes back to {order.bucket!r} once it is closed is lost; expected one that "
            "was paid for, or a paid grant of its own",
        )
    if bucket.granted + order.amount >= LIMIT_PICO:
        return CommandRefused(_too_much(bucket.granted + order.amount))
    return BucketRecharged(order.bucket, order.amount)


def _void(account: Account, grant_id: str) -> Change:
    granting = account.prepaid.grants.get(grant_id)
    if granting is None:
        return refused("unknown_grant", f"grant_id: got {grant_id!r}, expected one that was given")
    if granting.is_void:
        return refused("grant_void", f"grant_id: {grant_id!r} was voided before")
    return GrantVoided(grant_id)


def _limit(account: Account, order: SetLimit) -> Change:
    limit = order.limit
    if limit.amount is None and limit.limit_id not in account.limits.by_id:
        return refused(
            "unknown_limit", f"limit_id: got {limit.limit_id!r}, expected a limit that is set"
        )
    return LimitSet(limit)


def _adjust(account: Account, order: Adjust, received_at: int) -> Change:
    at = received_at if order.occurred_at is None else order.occurred_at
    if not FIRST_INSTANT <= at <= received_at + MAX_AHEAD:
        return refused(
            "time_out_of_range",
            f"occurred_at: got {at} us, expected from 2000 on and no later than its receipt",
        )
    if abs(account.due + order.amount) >= LIMIT_PICO:
        return CommandRefused(_too_much(account.due + order.amount))
    return Adjusted(order.amount, order.reason, at, order.corrects)


def _too_much(amount: int) -> Refusal:
    return Refusal(
        "amount_out_of_range",
        f"amount: got {format_pico(amount)}, expected above 0 (an adjustment: not 0) and at most "
        f"{format_pico(MAX_AMOUNT_PICO)}",
    )


def brought_by(
    account: Account, event: AccountEvent, origin: Origin, rules: int
) -> Iterator[Charge]:
    """Yield the charges that an account event brings, once the account has taken it in."""
    change, buckets = event.change, account.prepaid.buckets
    if isinstance(change, Granted):
        bucket = opened(change.grant, 0, account.zone)
        if bucket is None:
            raise BrokenInvariant(f"account {account.account_id}: {change.grant} opens no bucket")
        yield opening(account, bucket, origin, rules)
    elif isinstance(change, BucketRecharged):
        yield recharge(account, buckets[change.bucket], change.amount, origin, rules)
    elif isinstance(change, Adjusted):
        yield _adjustment(account, change, origin, rules)


def _adjustment(account: Account, change: Adjusted, origin: Origin, rules: int) -> Charge:
    """Return the charge of an adjustment: money buckets pay for what it adds."""
    purse = Purse(account, change.occurred_at, "", lambda: NO_FACTS)
    draws = purse.settle("", change.amount, lambda: account.adjusted - purse.net_drawn(""))
    line = Line("", ADJUSTMENT, 0, "", 0, 0, (), (), change.amount, RATED, "", draws=draws)
    return booked(
        account,
        ADJUSTMENT,
        change.reason,
        origin,
        change.occurred_at,
        rules,
        lines=(line,),
        drawdowns=purse.drawdowns(),
        amount=change.amount,
        due=purse.due,
        corrects=change.corrects,
    )
