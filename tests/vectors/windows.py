"""Off-peak windows of LiteLLM's price list, as windows of time of a component.

There the weekday is that of the moment, so hours that pass midnight belong to both days; in the
language they belong to the day they start on. So they are cut at midnight.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.vectors.records import Record

_HOURS = re.compile(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_SAMPLE = datetime(2026, 11, 1, tzinfo=UTC)


def write_windows(off_peak: Record) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the windows as documents write them, and the zone of the tariff.

    Weekdays may be read on another calendar; hours stand in UTC and move to that zone, which has
    one offset all year. Malformed hours and days count for nothing.
    """
    zone = off_peak.get("weekday_timezone")
    shift = 0
    if zone:
        offset = ZoneInfo(zone).utcoffset(_SAMPLE)
        shift = 0 if offset is None else int(offset.total_seconds()) // 60
    rules: list[Mapping[str, Any]] = [{"hours_utc": off_peak.get("hours_utc")}]
    rules += off_peak.get("windows") or []
    found = []
    for rule in rules:
        hours = [part for text in _texts(rule.get("hours_utc")) for part in _hours(text, shift)]
        days = _days(rule.get("weekdays"))
        if hours and days:
            found.append({"hours": hours, "weekdays": days})
    return found, {"time_zone": zone} if zone else {}


def hold_always(windows: list[dict[str, Any]]) -> bool:
    """Say whether a window covers the whole week: then there is no other time to tell it from."""
    return any(
        "00:00-24:00" in window["hours"] and len(window["weekdays"]) == len(_DAYS)
        for window in windows
    )


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
    numbered = [_DAYS[int(n) - 1] if n in "1234567" and n else n[:3] for n in names]
    return [day for day in _DAYS if day in numbered]
