"""What is worth telling of the story while it runs: one line for a record, in the account's own time."""

from datetime import timedelta, timezone

from engine.entrypoints.describing import change_name, describe_charge, describe_event
from engine.rating.charge import (
    ADJUSTMENT,
    CORRECTION,
    EXPIRY,
    ROLLOVER,
    SETTLEMENT,
    USAGE,
    Charge,
)
from engine.rating.event import (
    AccountEvent,
    AlertRaised,
    BucketRecharged,
    Granted,
    LimitSet,
    PeriodClosed,
    UsageRefused,
    VoidPending,
)
from engine.rating.money import format_pico
from engine.rating.period import EPOCH

_SHANGHAI = timezone(timedelta(hours=8))
_TOLD = (Granted, LimitSet, BucketRecharged, VoidPending, UsageRefused, PeriodClosed)
_CHARGES = (CORRECTION, SETTLEMENT, ADJUSTMENT, EXPIRY, ROLLOVER)


def news_of(record: Charge | AccountEvent, now: int) -> str:
    """Return a line about a record that was journaled at the story's `now` (us UTC); empty: none."""
    if isinstance(record, Charge):
        is_late = record.kind == USAGE and now - record.occurred_at > _LATE
        if record.kind not in _CHARGES and not is_late:
            return ""
        what = "late usage" if is_late else record.kind
        return _line(now, what, f"{describe_charge(record)}{_money(record)}")
    if isinstance(record.change, AlertRaised):
        alert = record.change
        return _line(alert.occurred_at, "alert", f"{alert.code}: {alert.explanation}")
    if isinstance(record.change, _TOLD):
        return _line(now, change_name(record.change).replace("_", " "), describe_event(record))
    return ""


_LATE = 40 * 3_600 * 1_000_000
"""Usage that is reported so long after it happened is told of."""


def story_time(at: int) -> str:
    """Return a time in Shanghai, such as 10-05 18:57."""
    return (EPOCH + timedelta(microseconds=at)).astimezone(_SHANGHAI).strftime("%m-%d %H:%M")


def _line(at: int, what: str, text: str) -> str:
    return f"{story_time(at)}  {what:<16}  {text.rstrip(': ')}"


def _money(charge: Charge) -> str:
    if charge.kind in (EXPIRY, ROLLOVER):
        return ""
    return f"; {format_pico(charge.amount)}, due {format_pico(charge.due)} {charge.currency}"
