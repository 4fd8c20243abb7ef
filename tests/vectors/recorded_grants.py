"""OpenMeter's grants, read from records and written as grant documents.

Both burn by priority, then what ends earlier, then what is older, then id. But there the end is that
of the *grant*, and here that of the *bucket*: where this makes another order, the priority says it.
A recurring grant is filled up to its full amount there, and opens another full bucket here. A *reset*
keeps min(most, max(least, balance)) there; here it is where a bucket ends, and what it rolls over is
the bucket behind it.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import count, takewhile
from typing import Any, NamedTuple

from engine.rating.period import EPOCH, FIRST_INSTANT, LAST_INSTANT, format_instant, instant
from tests.vectors.records import COUNT, Record, number, text
from tests.vectors.shapes import SECOND, first, known_end, known_time, moment, only

RECURS = {
    "P1D": "day",
    "P7D": "week",
    "P1W": "week",
    "P1M": "calendar_month",
    "P12M": "year",
    "P1Y": "year",
}
"""Recurrences that a grant has; any other is a grant for each occurrence."""

_NAMES = {"DAY": "P1D", "DAILY": "P1D", "WEEK": "P1W", "WEEKLY": "P1W"}
_NAMES |= {"MONTH": "P1M", "MONTHLY": "P1M", "YEAR": "P1Y", "YEARLY": "P1Y"}
_PARTS = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)
_YEAR_MONTHS = 12
_NEVER = 2**62


class Recorded(NamedTuple):
    """A grant of a record. Times in us UTC; `ends`, `voided` None: never.

    `recurrence` is an ISO 8601 duration; `most` and `least` are what a reset leaves.
    """

    name: str
    amount: Fraction
    priority: int
    begins: int
    ends: int | None
    voided: int | None
    created: int
    recurrence: str
    anchor: int
    most: Fraction
    least: Fraction

    @property
    def over(self) -> int:
        """When it is no longer active; far away: never."""
        ends = [at for at in (self.ends, self.voided) if at is not None]
        return max(self.begins, min(ends)) if ends else _NEVER

    @property
    def burn_order(self) -> tuple[int, int, int, str]:
        """How OpenMeter orders it."""
        ends = _NEVER if self.ends is None else self.ends
        return self.priority, ends, self.created, self.name

    def is_active(self, at: int) -> bool:
        """Whether usage at an instant burns it."""
        return self.begins <= at < self.over

    @property
    def is_kept(self) -> bool:
        """Whether a reset leaves what there is, whatever it is."""
        return self.most >= self.amount and not self.least

    def boundaries(self) -> Iterator[int]:
        """Yield the instants after its beginning at which it recurs, in order, without end."""
        if not self.recurrence:
            return
        numbers = count()
        if self.anchor > self.begins:  # count back to before its beginning
            back = count(0, -1)
            start = next(n for n in back if _step(self.anchor, self.recurrence, n) <= self.begins)
            numbers = count(start)
        for number_ in numbers:
            at = _step(self.anchor, self.recurrence, number_)
            if at > self.begins:
                yield at

    def recurrences(self, until: int) -> list[int]:
        """Return the instants before another one at which it is filled up."""
        end = min(self.over, until)
        return list(takewhile(lambda at: at < end, self.boundaries()))

    def recurs_at(self, instant_: int) -> bool:
        """Whether it is filled up at an instant."""
        at = next((at for at in self.boundaries() if at >= instant_), None)
        return at == instant_ and self.is_active(instant_)


def read_grants(record: Record) -> list[Recorded]:
    """Return the grants of a record, each under a name of its own."""
    found: list[Recorded] = []
    for row in record["grants"]:
        only(
            row,
            *("amount", "priority", "effective_at", "expires_at", "voided_at", "deleted_at"),
            *("recurrence", "recurrence_anchor", "max_rollover", "min_rollover"),
            *("created_at", "created_order"),
        )
        taken = [grant.name for grant in found]
        name = str(row["id"])
        found.append(_read(row, name if name not in taken else f"{name}-{len(found)}"))
    return found


def _read(row: Record, name: str) -> Recorded:
    begins = FIRST_INSTANT
    if row.get("effective_at") is not None:
        begins = known_time(moment(row["effective_at"]))
    voids = [moment(row[n]) for n in ("voided_at", "deleted_at") if row.get(n) is not None]
    recurrence = str(row.get("recurrence") or "").upper()
    anchor = row.get("recurrence_anchor")
    created = FIRST_INSTANT + int(number(row.get("created_order"))) * SECOND
    ends = None if row.get("expires_at") is None else moment(row["expires_at"])
    return Recorded(
        name,
        number(first(row, "amount") or 1),
        int(number(row.get("priority"))),
        begins,
        known_end(None if ends is None else ends // SECOND * SECOND),  # ends count in whole seconds
        min(voids, default=None),
        known_time(moment(row["created_at"])) if row.get("created_at") else created,
        _NAMES.get(recurrence, recurrence),
        begins if anchor is None else moment(anchor),
        number(row.get("max_rollover")),
        number(row.get("min_rollover")),
    )


def _step(anchor: int, duration: str, times: int) -> int:
    """Return a time so many durations after another; months are clamped to their end."""
    parts = _PARTS.fullmatch(duration)
    if parts is None:
        raise ValueError(f"recurrence: got {duration!r}, expected an ISO 8601 duration")
    years, months, weeks, days, hours, minutes, seconds = (
        int(part or 0) for part in parts.groups()
    )
    at = EPOCH + timedelta(microseconds=anchor)
    year, month = divmod(
        at.year * _YEAR_MONTHS + at.month - 1 + times * (years * _YEAR_MONTHS + months),
        _YEAR_MONTHS,
    )
    next_month = at.replace(year=year + month // 11, month=(month + 1) % 12 + 1, day=1)
    last = (next_month - timedelta(days=1)).day
    at = at.replace(year=year, month=month + 1, day=min(at.day, last))
    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return instant(at + times * span)


def in_order(grants: Sequence[Recorded]) -> dict[str, int]:
    """Return the priority that each grant is given: its own, or its place in OpenMeter's order.

    The place says what the end of the grant does where a bucket ends before it.
    """
    priorities = [grant.priority for grant in grants]
    ends_early = any(grant.recurrence or grant.most for grant in grants)
    if ends_early and len(set(priorities)) < len(grants):
        ordered = sorted(grants, key=lambda grant: grant.burn_order)
        return {grant.name: place for place, grant in enumerate(ordered)}
    return {grant.name: grant.priority for grant in grants}


def terms_of(grant: Recorded, scale: int, until: int) -> list[dict[str, Any]]:
    """Return the documents of a grant, as `PrepaidAccount.give` takes them; one as a rule.

    `scale`: in how many parts a unit is reported. Of a recurrence that no grant has, there is a
    document for each occurrence up to `until`.
    """
    weights = {"weights": {COUNT: text(Fraction(1, scale))}}
    created = {"granted_at": format_instant(grant.created)}
    ends = {} if grant.ends is None else {"valid_to": format_instant(grant.ends)}
    common = {"grant_id": grant.name, "begins": grant.begins, **weights, **created, **ends}
    if not grant.recurrence:
        return [common]
    if grant.recurrence in RECURS:
        anchor = {"anchor": format_instant(grant.anchor)}
        return [{**common, "recurs": RECURS[grant.recurrence], **anchor}]
    found, start = [], grant.begins
    for number_, at in enumerate(grant.boundaries()):
        end = at if grant.ends is None else min(at, grant.ends)
        name = f"{grant.name}.{number_}"
        span = {"grant_id": name, "begins": start, "valid_to": format_instant(end)}
        found.append({**common, **span})
        start = at
        if start > until or end == grant.ends or start >= LAST_INSTANT:
            break
    return found
