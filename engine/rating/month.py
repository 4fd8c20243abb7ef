"""Billing months: from when to when one lasts in an account's zone.

A month is [starts_at, ends_at). Where the offset changes at midnight, local time can pass the end of
a month twice; the month then lasts until it has passed it for the last time, so that every instant
with its label lies inside.
"""

import re
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from engine.rating.period import FrozenZone

_LABEL = re.compile(r"(20[0-4][0-9])-(0[1-9]|1[0-2])")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_BEFORE_ALL = -(2**62)
_AFTER_ALL = 2**62


class Month(NamedTuple):
    """A billing month: its label ``YYYY-MM``, its first instant and the first one after (us UTC)."""

    label: str
    starts_at: int
    ends_at: int


def month_of(label: str, zone: FrozenZone) -> Month | None:
    """Return the month that a label names; None if it names none from 2000-01 to 2049-12."""
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    year, month = int(found[1]), int(found[2])
    after = date(year + month // 12, month % 12 + 1, 1)
    return Month(label, _first_of(date(year, month, 1), zone), _first_after(after, zone))


def next_label(label: str) -> str:
    """Return the label of the month after."""
    year, month = int(label[:4]), int(label[5:])
    return f"{year + month // 12}-{month % 12 + 1:02d}"


def _first_of(day: date, zone: FrozenZone) -> int:
    """Return the first instant at which the local date is this day or later."""
    local = (day.toordinal() - _EPOCH_DAY) * _DAY
    return min(
        max(begin, local - offset) for begin, end, offset in _spans(zone) if local - offset < end
    )


def _first_after(day: date, zone: FrozenZone) -> int:
    """Return the instant from which on the local date is never before this day."""
    local = (day.toordinal() - _EPOCH_DAY) * _DAY
    return max(
        min(end, local - offset) for begin, end, offset in _spans(zone) if local - offset > begin
    )


def _spans(zone: FrozenZone) -> list[tuple[int, int, int]]:
    """Return the spans of one offset each: begin, end, offset in us."""
    edges = (_BEFORE_ALL, *zone.instants, _AFTER_ALL)
    offsets = (0, *zone.offsets)
    return [
        (begin, end, offset * _SECOND)
        for (begin, end), offset in zip(pairwise(edges), offsets, strict=True)
    ]
