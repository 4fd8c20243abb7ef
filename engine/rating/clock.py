"""The clock: what is due when time passes.

Nothing in the engine looks at a clock; `AdvanceTo` says how late it is. All that has become due by
then happens in the order of its due time; at one time buckets expire (and roll over), then open
again, then periods close, then come warnings and what lapses; then by id (semantics section 4).
Everything here is worked out from the account's state, so advancing twice changes nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple

from engine.rating.account import Account
from engine.rating.booking import expiry, opening, rollover
from engine.rating.bucket import opened
from engine.rating.charge import Charge
from engine.rating.command import AdvanceTo
from engine.rating.digest import state_digest
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.event import Change, PeriodClosed, VoidLapsed
from engine.rating.month import month_of
from engine.rating.rules import ACCOUNT_LIFE, MAX_AHEAD, rules_needed
from engine.rating.usage import Origin
from engine.rating.watch import cleared, expiry_ahead, expiry_key, expiry_warned_at

NOTHING_DUE = 2**62
"""The agenda of an account that waits for nothing."""

_RANKS = range(6)
_EXPIRE, _REFILL, _CLOSE, _WARN, _CLEAR, _LAPSE = _RANKS


def refuse_advance(asked: AdvanceTo, received_at: int, rules: int) -> Refusal | None:
    """Return why time may not pass as asked, or None."""
    if rules < ACCOUNT_LIFE:
        return rules_needed("advance_to", rules)
    if asked.until - received_at > MAX_AHEAD:
        return Refusal(
            "advance_in_future",
            f"until: got {asked.until} us, expected at most 5 minutes after its receipt at "
            f"{received_at} us",
        )
    return None


class Due(NamedTuple):
    """Something that becomes due at an instant (us UTC): sorts in the order of the journal."""

    at: int
    rank: int
    key: str


def is_due(account: Account, until: int) -> bool:
    """Whether anything is due by an instant: of most accounts this is known without a look."""
    if account.agenda is None:
        due = next_due(account)
        account.agenda = NOTHING_DUE if due is None else due.at
    return account.agenda <= until


def next_due(account: Account) -> Due | None:
    """Return what is due next; None if nothing ever is."""
    return min((*_changes(account), *_ends(account)), default=None)


def dues(account: Account, until: int) -> Iterator[Due]:
    """Yield what is due by an instant (us UTC), in order; each is to happen before the next.

    What ends by itself (an alert's period, a void's wait) may be a lot and leads to nothing else, so
    it is looked through once; what changes buckets and months is worked out again after each.
    """
    while is_due(account, until):
        for ending in sorted(due for due in _ends(account) if due.at <= until):
            yield from _changes_before(account, ending)
            yield ending
        yield from _changes_before(account, Due(until, len(_RANKS), ""))


def _changes_before(account: Account, end: Due) -> Iterator[Due]:
    while (due := min(_changes(account), default=None)) is not None and due < end:
        yield due


def _changes(account: Account) -> Iterator[Due]:
    """Yield what may lead to more: buckets that close, open or are warned of, a month that closes."""
    prepaid = account.prepaid
    for name in prepaid.open_buckets:
        bucket = prepaid.buckets[name]
        closes_at, warned_at = bucket.closes_at(account.close_grace), expiry_warned_at(bucket)
        if closes_at is not None:
            yield Due(closes_at, _EXPIRE, name)
        if warned_at is not None and expiry_key(bucket) not in account.raised:
            yield Due(warned_at, _WARN, name)
    for grant_id, (start, _) in prepaid.spans.items():
        yield Due(start, _REFILL, grant_id)
    month = month_of(account.next_month, account.zone) if account.next_month else None
    if month is not None:
        yield Due(month.ends_at + account.close_grace, _CLOSE, month.label)


def _ends(account: Account) -> Iterator[Due]:
    """Yield what ends by itself."""
    for key, until in account.raised.items():
        if until is not None:
            yield Due(until, _CLEAR, key)
    for original, void in account.pending.items():
        yield Due(void.lapses_at, _LAPSE, original)


def happening(account: Account, due: Due, origin: Origin, rules: int) -> Iterator[Charge | Change]:
    """Yield the charges and changes of what is due, each to be taken in before the next."""
    prepaid = account.prepaid
    if due.rank == _EXPIRE:
        yield expiry(account, prepaid.buckets[due.key], origin, due.at, rules)
        rolled = rollover(account, prepaid.buckets[due.key], origin, due.at, rules)
        if rolled is not None:
            yield rolled
    elif due.rank == _REFILL:
        granting = prepaid.grants[due.key]
        bucket = opened(granting.grant, granting.next_index, account.zone)
        if bucket is None:
            raise BrokenInvariant(f"account {account.account_id}: {due} opens no bucket")
        yield opening(account, bucket, origin, rules)
    elif due.rank == _CLOSE:
        month = month_of(due.key, account.zone)
        if month is None:
            raise BrokenInvariant(f"account {account.account_id}: {due} is no month")
        yield PeriodClosed(*month, state_digest(account))
    elif due.rank == _WARN:
        yield expiry_ahead(account, prepaid.buckets[due.key])
    elif due.rank == _CLEAR:
        yield cleared(due.key)
    else:
        void = account.pending[due.key]
        yield VoidLapsed(void.source, void.event_id, void.corrects)


def refills_before(account: Account, at: int, origin: Origin, rules: int) -> Iterator[Charge]:
    """Yield the charges that open every recurring bucket up to usage at an instant (us UTC).

    Each is to be taken in before the next is asked for.
    """
    prepaid = account.prepaid
    while prepaid.next_refill is not None and prepaid.next_refill <= at:
        due = min(Due(start, _REFILL, name) for name, (start, _) in prepaid.spans.items())
        for charge in happening(account, due, origin, rules):
            assert isinstance(charge, Charge)  # noqa: S101 - a refill is nothing else
            yield charge
