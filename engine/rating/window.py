"""Windows of the week: when a component prices usage, by the tariff's wall clock.

A window has hours ([from, to), the end may lie behind midnight) and the weekdays on which it
starts. Whatever way windows are written, they come down to the minutes of a week, so two spellings
of the same time are the same windows. Daylight saving is the zone's business: its transitions are
frozen into the tariff version, and an instant is looked up by the wall clock it had.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES


class Hours(NamedTuple):
    """Minutes of a day, [start, end); an end that is not behind the start is on the next day."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Minutes from start to end; equal ones are a whole day."""
        return (self.end - self.start) % DAY_MINUTES or DAY_MINUTES


class WeekWindows(NamedTuple):
    """Minutes of the week, from Monday 00:00: ascending, apart, [starts[i], ends[i])."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def contains(self, minute: int) -> bool:
        """Whether a minute of the week lies in a window."""
        index = bisect_right(self.starts, minute) - 1
        return index >= 0 and minute < self.ends[index]

    def meeting(self, other: "WeekWindows") -> int | None:
        """Return the first minute that lies in both, or None."""
        shared = [
            minute
            for minute in (*self.starts, *other.starts)
            if self.contains(minute) and other.contains(minute)
        ]
        return min(shared, default=None)

    def by_day(self) -> list[tuple[int, tuple[Hours, ...]]]:
        """Return the hours of each weekday that has any, cut at midnight."""
        days: dict[int, list[Hours]] = {}
        for start, end in zip(self.starts, self.ends, strict=True):
            for day in range(start // DAY_MINUTES, (end - 1) // DAY_MINUTES + 1):
                first = max(start, day * DAY_MINUTES)
                stop = min(end, (day + 1) * DAY_MINUTES)
                hours = Hours(first % DAY_MINUTES, stop % DAY_MINUTES)
                days.setdefault(day, []).append(hours)
        return [(day, tuple(hours)) for day, hours in sorted(days.items())]


def week_windows(windows: Iterable[tuple[int, Hours]]) -> WeekWindows:
    """Return the windows of (weekday from Monday 0, hours) pairs, joined where they touch."""
    pieces: list[tuple[int, int]] = []
    for day, hours in windows:
        start = day * DAY_MINUTES + hours.start
        end = start + hours.length
        pieces.append((start, min(end, WEEK_MINUTES)))
        if end > WEEK_MINUTES:  # Sunday night goes on on Monday
            pieces.append((0, end - WEEK_MINUTES))
    joined: list[list[int]] = []
    for start, end in sorted(pieces):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return WeekWindows(tuple(start for start, _ in joined), tuple(end for _, end in joined))


def written(windows: WeekWindows) -> list[dict[str, list[str]]]:
    """Return windows as people write them: hours, and the weekdays that have these hours."""
    by_hours: dict[tuple[Hours, ...], list[str]] = {}
    for day, hours in windows.by_day():
        by_hours.setdefault(hours, []).append(WEEKDAYS[day])
    return [_written(hours, days) for hours, days in by_hours.items()]


def _written(hours: tuple[Hours, ...], days: list[str]) -> dict[str, list[str]]:
    form = {"hours": [f"{clock(start)}-{clock(end)}" for start, end in hours]}
    return form if len(days) == len(WEEKDAYS) else {**form, "weekdays": days}


def clock(minute: int) -> str:
    """Return a minute of the day as HH:MM."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def named_minute(minute: int) -> str:
    """Return a minute of the week as text, such as ``mon 16:30``."""
    return f"{WEEKDAYS[minute // DAY_MINUTES]} {clock(minute % DAY_MINUTES)}"
