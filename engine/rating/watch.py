"""Thresholds: what an operator is warned of, decided right after the record that crosses it.

An alert is an account event, so the same journal has the same alerts in every replay. Each threshold
is raised once per crossing and period; a recharge lets those of its bucket be raised again that it
has moved out of reach. The codes:

    bucket_used     a bucket is used up to a percentage of what was granted
    bucket_low      no more than so many units remain in it
    run_out_ahead   at the pace of its last 24 hours it is empty before it ends
    expiry_ahead    it ends soon, and something remains (engine.rating.clock)
    exhausted       usage finds nothing left in any bucket
    limit_ahead     a limit is used up to a percentage
    limit_reached   a limit is used up: the account, or its subject, is limited
"""

from collections.abc import Iterator

from engine.rating.account import Account
from engine.rating.bucket import Bucket
from engine.rating.charge import EXPIRY, MONEY_CHARGES, RECHARGE, Charge
from engine.rating.event import AccountEvent, AlertCleared, AlertRaised, GrantVoided, LimitSet
from engine.rating.grant import WHOLE
from engine.rating.limit import SPEND, SUBJECT, Limit, ends_at, period_of
from engine.rating.money import format_pico
from engine.rating.period import format_instant
from engine.rating.prepaid import BURN_HOURS, HOUR

EXHAUSTED = "exhausted"
BUCKET_USED = "bucket_used"
BUCKET_LOW = "bucket_low"
RUN_OUT_AHEAD = "run_out_ahead"
EXPIRY_AHEAD = "expiry_ahead"
LIMIT_AHEAD = "limit_ahead"
LIMIT_REACHED = "limit_reached"

_REARMED = (BUCKET_USED, BUCKET_LOW, RUN_OUT_AHEAD)
"""What a recharge lets be raised again."""

News = AlertRaised | AlertCleared


def alerts(account: Account, record: Charge | AccountEvent) -> Iterator[News]:
    """Yield what a record that the account has just taken in crosses, or lets be crossed again."""
    if isinstance(record, AccountEvent):
        change, at = record.change, record.received_at
        if isinstance(change, LimitSet) and change.limit.amount is not None:
            yield from _of_new_limit(account, change.limit, at)
        elif isinstance(change, GrantVoided):
            left = is_exhausted(account, max(account.latest_charge_at or 0, at))
            if left and EXHAUSTED not in account.raised:
                yield _exhausted(account, at)
        return
    if record.drawdowns:
        yield from _of_buckets(account, record)
    if account.limits.by_id and record.kind in MONEY_CHARGES:
        yield from _of_limits(account, record)


def _of_buckets(account: Account, charge: Charge) -> Iterator[News]:
    buckets = account.prepaid.buckets
    for drawdown in charge.drawdowns:
        bucket = buckets[drawdown.bucket]
        crossed = {} if bucket.is_closed else dict(_crossed(account, bucket, charge.occurred_at))
        for key, news in crossed.items():
            if key not in account.raised:
                yield news
        if charge.kind == RECHARGE:
            mine = (f"bucket/{bucket.bucket_id}/{code}/" for code in _REARMED)
            prefixes = tuple(mine)
            for key in sorted(account.raised):
                if key.startswith(prefixes) and key not in crossed:
                    yield cleared(key)
    yield from _of_exhaustion(account, charge)


def cleared(key: str) -> AlertCleared:
    """Return the news that an alert of a bucket or limit may be raised again."""
    of, level = key.split("/"), key.rpartition("/")[2]
    if of[0] == "bucket":
        return AlertCleared(of[2], key)
    return AlertCleared(LIMIT_REACHED if level == f"{WHOLE}" else LIMIT_AHEAD, key)


def _of_exhaustion(account: Account, charge: Charge) -> Iterator[News]:
    latest = account.latest_charge_at or charge.occurred_at
    left = is_exhausted(account, max(latest, charge.occurred_at))
    took = charge.kind == EXPIRY or any(drawdown.units > 0 for drawdown in charge.drawdowns)
    is_over = took and not _is_filled_at_once(account, charge)
    if left and EXHAUSTED not in account.raised and is_over:
        yield _exhausted(account, charge.occurred_at)
    elif not left and EXHAUSTED in account.raised:
        yield AlertCleared(EXHAUSTED, EXHAUSTED)


def _exhausted(account: Account, at: int) -> AlertRaised:
    text = f"nothing remains in any bucket of account {account.account_id}"
    return AlertRaised(EXHAUSTED, EXHAUSTED, text, at)


def _is_filled_at_once(account: Account, charge: Charge) -> bool:
    """Whether what an expiry leaves empty is filled at the same instant: it rolls, or opens anew."""
    if charge.kind != EXPIRY:
        return False
    prepaid = account.prepaid
    bucket = prepaid.buckets[charge.drawdowns[0].bucket]
    successor = bucket.successor(bucket.rolled)
    rolls = successor is not None and successor.granted > 0
    return rolls or (prepaid.next_refill is not None and prepaid.next_refill <= charge.occurred_at)


def is_exhausted(account: Account, at: int) -> bool:
    """Whether something was prepaid, and usage at an instant (us UTC) finds nothing left of it."""
    prepaid = account.prepaid
    holding = [prepaid.buckets[name] for name in prepaid.open_buckets]
    left = any(bucket.remaining and bucket.holds_at(at) for bucket in holding)
    return bool(prepaid.buckets) and not left


def _crossed(account: Account, bucket: Bucket, at: int) -> Iterator[tuple[str, AlertRaised]]:
    """Yield each threshold of a bucket that is crossed, by its key."""
    thresholds, unit = bucket.grant.thresholds, unit_name(bucket, account)
    left = f"{format_pico(bucket.remaining)} of {format_pico(bucket.granted)} {unit} remain"
    used = bucket.granted - bucket.remaining
    for percent in thresholds.used_percents:
        if bucket.granted and used * WHOLE >= percent * bucket.granted:
            text = f"bucket {bucket.bucket_id} is used up to {percent} %: {left}"
            yield _raised(bucket, BUCKET_USED, str(percent), text, at)
    for level in thresholds.remaining:
        if bucket.remaining <= level:
            text = f"bucket {bucket.bucket_id} is down to {format_pico(level)} {unit}: {left}"
            yield _raised(bucket, BUCKET_LOW, format_pico(level), text, at)
    run_out = runs_out_at(account, bucket, at) if thresholds.run_out else None
    if run_out is not None and bucket.valid_to is not None and run_out < bucket.valid_to:
        text = (
            f"bucket {bucket.bucket_id} runs out about {format_instant(run_out)} at the pace of its "
            f"last {BURN_HOURS} hours, before it ends {format_instant(bucket.valid_to)}: {left}"
        )
        yield _raised(bucket, RUN_OUT_AHEAD, "", text, at)


def _raised(bucket: Bucket, code: str, level: str, text: str, at: int) -> tuple[str, AlertRaised]:
    key = f"bucket/{bucket.bucket_id}/{code}/{level}"
    return key, AlertRaised(code, key, text, at)


def expiry_ahead(account: Account, bucket: Bucket) -> AlertRaised:
    """Return the warning that a bucket ends soon."""
    assert bucket.valid_to is not None  # noqa: S101 - only such a bucket is warned of
    left = f"{format_pico(bucket.remaining)} {unit_name(bucket, account)} remain"
    text = f"bucket {bucket.bucket_id} ends {format_instant(bucket.valid_to)}, and {left}"
    at = expiry_warned_at(bucket)
    assert at is not None  # noqa: S101 - it is due
    return _raised(bucket, EXPIRY_AHEAD, "", text, at)[1]


def expiry_warned_at(bucket: Bucket) -> int | None:
    """Return when the warning that a bucket ends soon is due (us UTC); None: never."""
    lead = bucket.grant.thresholds.expiry_lead
    if lead is None or bucket.valid_to is None or not bucket.remaining:
        return None
    return max(bucket.valid_from, bucket.valid_to - lead)


def expiry_key(bucket: Bucket) -> str:
    """Return the key of the warning that a bucket ends soon."""
    return f"bucket/{bucket.bucket_id}/{EXPIRY_AHEAD}/"


def pace(account: Account, bucket: Bucket, at: int) -> int:
    """Return the pico units that were drawn in the 24 hours of use up to an instant (us UTC)."""
    first = at // HOUR - BURN_HOURS
    burnt = account.prepaid.burnt.get(bucket.bucket_id, ())
    return max(0, sum(units for hour, units in burnt if hour > first))


def runs_out_at(account: Account, bucket: Bucket, at: int) -> int | None:
    """Return when a bucket is empty at its pace (us UTC); None if it stands still, or is empty."""
    drawn = pace(account, bucket, at)
    if not drawn or not bucket.remaining:
        return None
    return at + bucket.remaining * BURN_HOURS * HOUR // drawn


def unit_name(bucket: Bucket, account: Account) -> str:
    """Return what the amounts of a bucket are counted in."""
    return account.currency if bucket.is_money else bucket.grant.unit


def _of_limits(account: Account, charge: Charge) -> Iterator[News]:
    for limit in account.limits.concerning(charge.subject):
        label = period_of(limit, account.zone, charge.occurred_at)
        yield from _of_limit(account, limit, charge.subject, label, charge.occurred_at)


def _of_new_limit(account: Account, limit: Limit, at: int) -> Iterator[News]:
    """Yield what stands above a limit that was just set."""
    label = period_of(limit, account.zone, at)
    for limit_id, subject in sorted(account.limits.uses):
        if limit_id == limit.limit_id:
            yield from _of_limit(account, limit, subject, label, at)


def _of_limit(account: Account, limit: Limit, subject: str, label: str, at: int) -> Iterator[News]:
    amount = limit.amount
    assert amount is not None  # noqa: S101 - a limit without one is not kept
    until = ends_at(label, account.zone)
    if until <= account.limits.over:
        return
    used = account.limits.used(limit, subject, label)
    counted = subject if limit.scope == SUBJECT else ""
    for percent in limit.levels:
        key = f"limit/{limit.limit_id}/{counted}/{label}/{percent}"
        if used * WHOLE < percent * amount or key in account.raised:
            continue
        unit = account.currency if limit.measure == SPEND else limit.measure
        whose = f"subject {counted} of account" if counted else "account"
        text = (
            f"{whose} {account.account_id} has used {format_pico(used)} {unit} of the "
            f"{format_pico(amount)} {unit} that limit {limit.limit_id} allows in {label}"
        )
        code = LIMIT_REACHED if percent == WHOLE else LIMIT_AHEAD
        yield AlertRaised(code, key, text, at, until)
