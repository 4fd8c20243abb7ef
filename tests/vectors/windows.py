"""Off-peak windows of LiteLLM's price list, as windows of time of a component.

There the weekday is that of the moment, so hours that pass midnight belong to both days; in the
language they belong to the day they start on. So they are cut at midnight.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_HOURS = re.compile(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_SAMPLE = datetime(2026, 11, 1, tzinfo=UTC)


def write_windows(off_peak: object) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the windows as documents write them, and the zone of the tariff.

    Weekdays may be read on another calendar; hours stand in UTC and move to that zone, which has
    one offset all year. What is malformed counts for nothing.
    """
    if not isinstance(off_peak, Mapping):
        return [], {}
    zone, shift = _zone(off_peak.get("weekday_timezone"))
    given = off_peak.get("windows")
    rules: list[object] = [{"hours_utc": off_peak.get("hours_utc")}]
    rules += given if isinstance(given, list) else []
    found = []
    for rule in rules:
        if not isinstance(rule, Mapping):
            continue
        hours = [part for text in _texts(rule.get("hours_utc")) for part in _hours(text, shift)]
        days = _days(rule.get("weekdays"))
        if hours and days:
            found.append({"hours": hours, "weekdays": days})
    return found, {"time_zone": zone} if zone else {}


def hold_always(windows: list[dict[str, Any]]) -> bool:
    """Say whether the windows cover the whole week: then no other time is left."""
    covered = {
        (day, minute)
        for window in windows
        for day in window["weekdays"]
        for hours in window["hours"]
        for minute in range(*map(_minute, hours.split("-")))
    }
    return len(covered) == len(_DAYS) * _DAY


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _zone(name: object) -> tuple[str, int]:
    """Return a zone and its minutes ahead of UTC; one that does not exist is UTC."""
    try:
        offset = ZoneInfo(str(name)).utcoffset(_SAMPLE) if name else None
    except (ValueError, ZoneInfoNotFoundError):
        offset = None
    return ("", 0) if offset is None else (str(name), int(offset.total_seconds()) // 60)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []


def _hours(text: str, shift: int) -> list[str]:
    """Return hours within one day of the tariff's zone."""
    found = _HOURS.fullmatch(text)
    if found is None:
        return []
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if max(start, end) >= _DAY:
        return []
    if start == end:
        return ["00:00-24:00"]
    start, end = (start + shift) % _DAY, (end + shift) % _DAY
    if start < end:
        return [f"{_clock(start)}-{_clock(end)}"]
    return [f"{_clock(start)}-24:00", *([f"00:00-{_clock(end)}"] if end else [])]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days(value: object) -> list[str]:
    if value is None:
        return list(_DAYS)
    if isinstance(value, str) or not isinstance(value, Sequence):
        return []
    names = [str(day).strip().lower() for day in value]
    numbered = [_DAYS[int(n) - 1] if re.fullmatch("[1-7]", n) else n[:3] for n in names]
    return [day for day in _DAYS if day in numbered]
