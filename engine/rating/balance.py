"""The balance: what an account owes and may still use, as a pure function of its folded state.

Beside money due it tells what a gateway reads before the next call: the open buckets, the limits of
the current day and billing period, and the states that follow from both. "Current" is as of the last
record of the account, so that live and replayed balances are equal; whoever reads one compares
`resets_at` and `valid_to` with a clock of their own.
"""

from collections.abc import Iterator
from typing import NamedTuple

from engine.rating.account import Account, PeriodSpend
from engine.rating.bucket import Bucket
from engine.rating.grant import UNITS
from engine.rating.limit import ACCOUNT, SUBJECT, Limit, ends_at, period_of
from engine.rating.watch import is_exhausted, pace, runs_out_at

OPEN = "open"
CLOSED = "closed"

_BELOW_LIMIT_SHOWN = 100
"""Of each limit, so many of the most used that are not reached: a balance is one record."""


class BucketState(NamedTuple):
    """One bucket: granted = remaining + drawn + expired + rolled + voided, in pico units.

    Valid in [valid_from, valid_to) (us UTC; None: open). `burn` is what the 24 hours of use before the
    balance's `as_of` have drawn; at that pace nothing remains at `runs_out_at` (None: it stands still,
    or is empty).
    """

    bucket_id: str
    grant_id: str
    unit: str
    valid_from: int
    valid_to: int | None
    granted: int
    remaining: int
    drawn: int
    expired: int
    rolled: int
    voided: int
    state: str
    burn: int
    runs_out_at: int | None


class PrepaidTotal(NamedTuple):
    """All buckets of one unit together, closed ones too: `buckets` many; amounts in pico units."""

    unit: str
    buckets: int
    granted: int
    remaining: int
    drawn: int
    expired: int
    rolled: int
    voided: int


class LimitState(NamedTuple):
    """What is used under a limit in its current period, in pico (of money or tokens).

    `subject` is empty for a limit of the whole account. The next period begins at `resets_at` (us
    UTC).
    """

    limit_id: str
    measure: str
    scope: str
    subject: str
    period: str
    used: int
    amount: int
    reached: bool
    resets_at: int


class Balance(NamedTuple):
    """What an account owes and may still use. `due` in pico; `as_of` us UTC.

    `periods` by billing month, sorted; `buckets` are the open ones, in draw order. `exhausted`: it has
    prepaid something, and usage at `as_of` finds nothing left of it. `limited`: a limit of the whole account
    is reached; `limited_subjects` have reached one of theirs. `limits` holds every limit that is
    reached; of the others that count by subject, the `limits_left_out` least used are not shown.
    """

    account_id: str
    sequence: int
    currency: str
    time_zone: str
    tariff_id: str
    due: int
    periods: tuple[tuple[str, PeriodSpend], ...]
    charges: int
    suspended_lines: int
    as_of: int
    buckets: tuple[BucketState, ...] = ()
    prepaid: tuple[PrepaidTotal, ...] = ()
    limits: tuple[LimitState, ...] = ()
    limits_left_out: int = 0
    exhausted: bool = False
    limited: bool = False
    limited_subjects: tuple[str, ...] = ()


def balance_of(account: Account) -> Balance:
    """Return the balance of an account."""
    buckets = account.prepaid.buckets
    limits, left_out = _limits(account)
    reached = [limit for limit in limits if limit.reached]
    return Balance(
        account.account_id,
        account.sequence,
        account.currency,
        account.zone.name if account.is_open else "",
        account.assignments[-1].tariff_id if account.assignments else "",
        account.due,
        tuple(sorted(account.periods.items())),
        account.charges,
        account.suspended_lines,
        account.as_of,
        tuple(bucket_state(account, buckets[name]) for name in account.prepaid.open_buckets),
        tuple(_totals(account)) if buckets else (),
        limits,
        left_out,
        is_exhausted(account, account.as_of),
        any(limit.scope == ACCOUNT for limit in reached),
        tuple(sorted({limit.subject for limit in reached if limit.scope == SUBJECT})),
    )


def bucket_state(account: Account, bucket: Bucket) -> BucketState:
    """Return what a reader sees of a bucket, open or closed."""
    return BucketState(
        bucket.bucket_id,
        bucket.grant.grant_id,
        bucket.grant.unit,
        bucket.valid_from,
        bucket.valid_to,
        bucket.granted,
        bucket.remaining,
        bucket.drawn,
        bucket.expired,
        bucket.rolled,
        bucket.voided,
        CLOSED if bucket.is_closed else OPEN,
        pace(account, bucket, account.as_of),
        runs_out_at(account, bucket, account.as_of),
    )


def _totals(account: Account) -> Iterator[PrepaidTotal]:
    """Yield the sums over all buckets of each unit that there is."""
    for unit in UNITS:
        found = [b for b in account.prepaid.buckets.values() if b.grant.unit == unit]
        if found:
            yield PrepaidTotal(
                unit,
                len(found),
                sum(bucket.granted for bucket in found),
                sum(bucket.remaining for bucket in found),
                sum(bucket.drawn for bucket in found),
                sum(bucket.expired for bucket in found),
                sum(bucket.rolled for bucket in found),
                sum(bucket.voided for bucket in found),
            )


def _limits(account: Account) -> tuple[tuple[LimitState, ...], int]:
    """Return the limits that are shown, the most used of each first, and how many are not."""
    shown: list[LimitState] = []
    left_out = 0
    for _, limit in sorted(account.limits.by_id.items()):
        states = sorted(_states(account, limit), key=lambda state: (-state.used, state.subject))
        reached = sum(state.reached for state in states)
        shown += states[: reached + _BELOW_LIMIT_SHOWN]
        left_out += max(0, len(states) - reached - _BELOW_LIMIT_SHOWN)
    return tuple(shown), left_out


def _states(account: Account, limit: Limit) -> Iterator[LimitState]:
    """Yield the state of a limit, or of each subject that has used some of it in this period."""
    assert limit.amount is not None  # noqa: S101 - a limit without one is not kept
    label = period_of(limit, account.zone, account.as_of)
    resets_at = ends_at(label, account.zone)
    subjects = [limit.subject]
    if limit.scope == SUBJECT and not limit.subject:
        subjects = [subject for name, subject in account.limits.uses if name == limit.limit_id]
    for subject in subjects:
        used = account.limits.used(limit, subject, label)
        if used or subject == limit.subject:
            yield LimitState(
                limit.limit_id,
                limit.measure,
                limit.scope,
                subject,
                label,
                used,
                limit.amount,
                used >= limit.amount,
                resets_at,
            )
