"""Blocks: prices by ranges of input tokens, and by the time of day.

``tiered_pricing`` has ranges (low, high] of a call's input tokens; above the last range the last
one applies. ``off_peak_pricing`` has hours in UTC and, since weekdays are read on a calendar of
their own, windows that have to be moved: our window belongs to the weekday on which it starts, in
the tariff's zone, which is UTC here.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from engine.adapters.price_list.entry import OffPeak, Range, Window
from engine.adapters.price_list.numbers import read_whole
from engine.adapters.price_list.tokens import read_kinds
from engine.adapters.zones import freeze_zone
from engine.rating.errors import InvalidDocument
from engine.rating.period import instant

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_LOW_AND_HIGH = 2
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_BLOCK_FIELDS = {"hours_utc", "windows", "weekday_timezone"}
_SINCE = instant(datetime(2020, 1, 1, tzinfo=UTC))

_Hours = tuple[int, int]
"""Minutes of a day, from and to, within the day."""


def read_ranges(value: Any) -> tuple[Range, ...]:
    """Return ranges in ascending order. ValueError if they are none, or leave gaps."""
    if not isinstance(value, list) or not value:
        raise ValueError("expected a list of ranges")
    ranges, bounds = [], []
    for item in value:
        bounds_of = item.get("range") if isinstance(item, dict) else None
        if not isinstance(bounds_of, list) or len(bounds_of) != _LOW_AND_HIGH:
            raise ValueError("expected a range of two whole numbers in each of them")
        low, high = (read_whole(bound) for bound in bounds_of)
        prices = read_kinds({name: item[name] for name in item if name != "range"})
        if low >= high or "input" not in prices:
            raise ValueError("expected ranges that ascend, each with a price of input")
        ranges.append(Range(low, prices))
        bounds.append((low, high))
    bounds.sort()
    if any(high != low for (_, high), (low, _) in pairwise(bounds)):
        raise ValueError("expected ranges without gaps between them")
    return tuple(sorted(ranges))


def read_off_peak(value: Any) -> OffPeak:
    """Return prices for a time of day. ValueError if the block can not be read in full."""
    if not isinstance(value, dict):
        raise ValueError("expected an object with hours and prices")  # noqa: TRY004 - a finding
    prices = read_kinds({name: value[name] for name in value if name not in _BLOCK_FIELDS})
    minutes: dict[int, set[_Hours]] = {}  # by weekday, Monday 0, in UTC
    for hours in _listed_hours(value.get("hours_utc", [])):
        _add(minutes, hours, range(7), 0)
    offset = _offset_minutes(value.get("weekday_timezone", "UTC"))
    for rule in _listed(value.get("windows", [])):
        if not isinstance(rule, dict) or not rule.keys() <= {"hours_utc", "weekdays"}:
            raise ValueError("expected windows with hours_utc and weekdays")
        weekdays = _read_weekdays(rule.get("weekdays"))
        for hours in _listed_hours(rule.get("hours_utc", "00:00-00:00")):
            _add(minutes, hours, weekdays, offset)
    if not minutes or not prices:
        raise ValueError("expected hours and prices")
    return OffPeak(_windows(minutes), prices)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("expected a list")  # noqa: TRY004 - a finding, like any other
    return value


def _listed_hours(value: Any) -> Iterable[_Hours]:
    """Yield parts of a day in UTC; hours that pass midnight are two parts."""
    for text in [value] if isinstance(value, str) else _listed(value):
        found = _HOURS.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError("expected hours such as 16:30-00:30")
        start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        if start < end:
            yield start, end
        else:
            yield from ((a, b) for a, b in ((0, end), (start, _DAY)) if a < b)


def _read_weekdays(value: Any) -> list[int]:
    if value is None:
        return list(range(7))
    if not isinstance(value, list) or not value or any(day not in range(1, 8) for day in value):
        raise ValueError("expected weekdays from 1 (Monday) to 7")
    return [day - 1 for day in value]


def _offset_minutes(name: Any) -> int:
    """Return how far a zone without changes of the clock is ahead of UTC."""
    try:
        zone = freeze_zone(str(name))
    except InvalidDocument as error:
        raise ValueError(f"expected weekday_timezone to be {error.expected}") from error
    offset = zone.offsets[-1] if zone.offsets else 0
    if any(at > _SINCE for at in zone.instants) or offset % 60:
        raise ValueError("weekdays of a zone whose clock changes")
    return offset // 60


def _add(
    minutes: dict[int, set[_Hours]], hours: _Hours, weekdays: Iterable[int], offset: int
) -> None:
    """Add UTC hours that count on weekdays of a calendar `offset` minutes ahead of UTC.

    At UTC minute m it is, there, the weekday of m + offset: up to a day earlier or later.
    """
    start, end = hours
    for days in (-1, 0, 1):
        low, high = max(start, days * _DAY - offset), min(end, (days + 1) * _DAY - offset)
        if low < high:
            for weekday in weekdays:
                minutes.setdefault((weekday - days) % 7, set()).add((low, high))


def _windows(minutes: Mapping[int, set[_Hours]]) -> tuple[Window, ...]:
    """Return the same hours as few windows: weekdays with equal hours share one."""
    weekdays: dict[tuple[str, ...], list[str]] = {}
    for weekday, name in enumerate(WEEKDAYS):
        if weekday in minutes:
            weekdays.setdefault(_joined(minutes[weekday]), []).append(name)
    return tuple(
        Window(hours, () if len(names) == len(WEEKDAYS) else tuple(names))
        for hours, names in weekdays.items()
    )


def _joined(parts: Iterable[_Hours]) -> tuple[str, ...]:
    """Return hours of one day as text, those that touch joined."""
    joined: list[list[int]] = []
    for start, end in sorted(parts):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return tuple(f"{_clock(start)}-{_clock(end)}" for start, end in joined)


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"
