"""Matching as people write it: patterns by dimension, a context threshold, windows of time."""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from engine.adapters.documents.fields import (
    MAX_WHOLE,
    DocumentModel,
    InitiatorPattern,
    TextPattern,
)
from engine.rating.matching import Match
from engine.rating.pattern import ANY
from engine.rating.window import DAY_MINUTES, WEEKDAYS, Hours, WeekWindows, week_windows

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)
_ALL_DAY = Hours(0, 0)


def _hours(value: Any) -> Hours:
    found = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("hours such as '16:30-00:30'")
    start = int(found[1]) * 60 + int(found[2])
    end = DAY_MINUTES if found[3] is None else int(found[3]) * 60 + int(found[4])
    return Hours(start, end % DAY_MINUTES)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


DayHours = Annotated[
    Hours,
    BeforeValidator(_hours),
    WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d-\d\d:\d\d$"}),
]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class WindowDocument(DocumentModel):
    """Hours [from, to) of the weekdays on which they start, by the tariff's wall clock."""

    hours: list[DayHours] = Field(
        default=[_ALL_DAY], min_length=1, description="Left out: all day; equal ends: all day."
    )
    weekdays: list[Weekday] = Field(
        default=list(get_args(Weekday)), min_length=1, description="Left out: every day."
    )

    def build(self) -> list[tuple[int, Hours]]:
        """Return (weekday, hours) pairs."""
        return [(WEEKDAYS.index(day), hours) for day in self.weekdays for hours in self.hours]


Windows = Annotated[
    list[WindowDocument],
    BeforeValidator(_as_list, json_schema_input_type=WindowDocument | list[WindowDocument]),
]


class MatchDocument(DocumentModel):
    """What an event must be: a text, a list of texts, or a glob with * and ?, per dimension."""

    account: TextPattern | None = Field(default=None, description="Override for accounts.")
    subject: TextPattern | None = Field(
        default=None, description="Login, key or agent that used it."
    )
    model: TextPattern | None = Field(default=None, description="Model that was used.")
    provider: TextPattern | None = Field(
        default=None, description="Who runs the model, such as openai."
    )
    operation: TextPattern | None = Field(default=None, description="Such as chat or embedding.")
    service_tier: TextPattern | None = Field(
        default=None, description="The tier served, such as batch."
    )
    region: TextPattern | None = Field(default=None, description="Where it ran.")
    initiator: InitiatorPattern | None = Field(default=None, description="What set it off.")
    attributes: dict[str, TextPattern] | None = Field(
        default=None, min_length=1, description="Patterns by attribute name."
    )
    context_above: Annotated[int, Field(strict=True, ge=0, le=MAX_WHOLE)] | None = Field(
        default=None, description="The context is strictly longer than so many tokens."
    )
    time: Windows | None = Field(
        default=None, min_length=1, description="Windows of the week in which it matches."
    )

    def build(self) -> Match:
        """Return the match."""
        return Match(
            self.account or ANY,
            self.subject or ANY,
            self.model or ANY,
            self.provider or ANY,
            self.operation or ANY,
            self.service_tier or ANY,
            self.region or ANY,
            self.initiator or ANY,
            tuple(sorted((self.attributes or {}).items(), key=lambda entry: entry[0])),
            self.context_above,
            self._windows(),
        )

    def _windows(self) -> WeekWindows | None:
        if self.time is None:
            return None
        windows = week_windows(pair for window in self.time for pair in window.build())
        return None if windows == ALL_WEEK else windows


ALL_WEEK = week_windows((day, _ALL_DAY) for day in range(len(WEEKDAYS)))
