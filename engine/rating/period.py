"""Periods: which month, day or event a quantity is counted in.

Periods use the account's time zone. Time-zone data changes over the years and charges must not,
so the zone's UTC offsets are *frozen* into the command that opens the account, as a list of
transitions; this module only does arithmetic on that list. All intervals are [from, to).
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SECOND = 1_000_000
_DAY_SECONDS = 86_400
_DAY = _DAY_SECONDS * _SECOND
_MINUTE = 60 * _SECOND
_BEFORE_ALL = -(2**62)
_AFTER_ALL = 2**62
_DAY_MINUTES = 24 * 60
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""

PERIODS = ("event", "day", "calendar_month", "billing_period", "lifetime")


def instant(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970-01-01 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def format_instant(microseconds: int) -> str:
    """Return an instant as RFC 3339 with six decimals, such as 2026-11-24T09:15:02.120000Z."""
    moment = EPOCH + timedelta(microseconds=microseconds)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


FIRST_INSTANT = instant(datetime(2000, 1, 1, tzinfo=UTC))
LAST_INSTANT = instant(datetime(2050, 1, 1, tzinfo=UTC))
"""Frozen zones cover [FIRST_INSTANT, LAST_INSTANT); usage outside is rejected."""


class FrozenZone(NamedTuple):
    """A time zone's offsets as they were known when they were written down.

    `instants` ascend (us UTC); from instants[i] local time is UTC + offsets[i] seconds. No
    transitions at all mean UTC.
    """

    name: str
    instants: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether the instants ascend and every offset is shorter than a day."""
        ascending = all(early < late for early, late in pairwise(self.instants))
        return ascending and all(abs(offset) < _DAY_SECONDS for offset in self.offsets)

    def local_day(self, at: int) -> int:
        """Return the local date at an instant as days since 1970-01-01."""
        return self.local(at) // _DAY

    def first_instant(self, local: int) -> int:
        """Return the first instant at which local time (us since 1970 there) is this or later."""
        return min(
            max(begin, local - offset)
            for begin, end, offset in self.spans()
            if local - offset < end
        )

    def day_after(self, label: str) -> int:
        """Return the instant from which on the local date is never before the day after a label's."""
        local = (date.fromisoformat(label).toordinal() + 1 - _EPOCH_DAY) * _DAY
        return self.last_passing(local)

    def last_passing(self, local: int) -> int:
        """Return the instant from which on local time is never before this one."""
        return max(
            min(end, local - offset)
            for begin, end, offset in self.spans()
            if local - offset > begin
        )

    def spans(self) -> list[tuple[int, int, int]]:
        """Return the spans of one offset each: begin, end, offset in us."""
        edges = (_BEFORE_ALL, *self.instants, _AFTER_ALL)
        offsets = (0, *self.offsets)
        return [
            (begin, end, offset * _SECOND)
            for (begin, end), offset in zip(pairwise(edges), offsets, strict=True)
        ]

    def minute_of_week(self, at: int) -> int:
        """Return the local wall clock at an instant as minutes since Monday 00:00."""
        local = self.local(at)
        return ((local // _DAY + _EPOCH_WEEKDAY) % 7) * _DAY_MINUTES + local % _DAY // _MINUTE

    def local(self, at: int) -> int:
        """Return local time at an instant, in us since 1970-01-01 there."""
        index = bisect_right(self.instants, at) - 1
        return at + (self.offsets[index] if index >= 0 else 0) * _SECOND


UTC_ZONE = FrozenZone("UTC")


@lru_cache(maxsize=65_536)
def _day_label(day: int) -> str:
    return date.fromordinal(_EPOCH_DAY + day).isoformat()


def billing_month(zone: FrozenZone, at: int) -> str:
    """Return the billing month of an instant, ``YYYY-MM`` in the account's zone.

    Rules revision 1 bills by calendar month.
    """
    return _day_label(zone.local_day(at))[:7]


def period_label(period: str, zone: FrozenZone, at: int) -> str:
    """Return the label of the period that an instant falls in, as it stands in a counter key."""
    if period == "event":
        return "event"
    if period == "lifetime":
        return "lifetime"
    if period == "day":
        return _day_label(zone.local_day(at))
    return billing_month(zone, at)
