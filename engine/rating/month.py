"""Billing months: from when to when one lasts in an account's zone.

A month is [starts_at, ends_at). Where the offset changes at midnight, local time can pass the end of
a month twice; the month then lasts until it has passed it for the last time, so that every instant
with its label lies inside.
"""

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from engine.rating.period import FrozenZone

_LABEL = re.compile(r"(20[0-4][0-9])-(0[1-9]|1[0-2])|1999-12|2050-01")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY = 86_400 * 1_000_000


class Month(NamedTuple):
    """A billing month: its label ``YYYY-MM``, its first instant and the first one after (us UTC)."""

    label: str
    starts_at: int
    ends_at: int


@lru_cache(maxsize=4096)
def month_of(label: str, zone: FrozenZone) -> Month | None:
    """Return the month that a label names; None if it names none of 2000 to 2049.

    Local time begins these years up to a day early and late: 1999-12 and 2050-01 are months too.
    """
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    year, month = int(label[:4]), int(label[5:])
    after = date(year + month // 12, month % 12 + 1, 1)
    return Month(
        label, zone.first_instant(_local(date(year, month, 1))), zone.last_passing(_local(after))
    )


def next_label(label: str) -> str:
    """Return the label of the month after."""
    year, month = int(label[:4]), int(label[5:])
    return f"{year + month // 12}-{month % 12 + 1:02d}"


def _local(day: date) -> int:
    """Return the beginning of a day as us since 1970."""
    return (day.toordinal() - _EPOCH_DAY) * _DAY
