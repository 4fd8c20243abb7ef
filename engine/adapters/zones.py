"""Freezing time zones: today's time-zone data, written into what will be rated with it for ever."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.rating.errors import InvalidDocument
from engine.rating.period import (
    EPOCH,
    FIRST_INSTANT,
    LAST_INSTANT,
    UTC_ZONE,
    FrozenZone,
)

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND


def freeze_zone(name: str) -> FrozenZone:
    """Return an IANA zone's UTC offsets from 2000 to 2050. InvalidDocument for an unknown name."""
    if name == UTC_ZONE.name:
        return UTC_ZONE
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidDocument("time_zone", name, "an IANA zone such as Asia/Shanghai") from error
    instants, offsets = [FIRST_INSTANT], [_offset(zone, FIRST_INSTANT)]
    for day in range(FIRST_INSTANT, LAST_INSTANT, _DAY):
        if _offset(zone, day + _DAY) != offsets[-1]:
            at = _first_change(zone, day, day + _DAY, offsets[-1])
            instants.append(at)
            offsets.append(_offset(zone, at))
    return FrozenZone(name, tuple(instants), tuple(offsets))


def _offset(zone: ZoneInfo, at: int) -> int:
    moment = (EPOCH + timedelta(microseconds=at)).astimezone(zone)
    offset = datetime.utcoffset(moment)
    return int((offset or timedelta()).total_seconds())


def _first_change(zone: ZoneInfo, low: int, high: int, old: int) -> int:
    """Return the first second in (low, high] whose offset is not `old`."""
    while high - low > _SECOND:
        middle = (low + high) // (2 * _SECOND) * _SECOND
        if _offset(zone, middle) == old:
            low = middle
        else:
            high = middle
    return high
