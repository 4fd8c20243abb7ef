"""Findings: what a check saw, what should be, and what to do about it.

An `error` loses or doubles data, or keeps a process from working: no worker starts with one. A
`warning` costs time or a margin of safety. Each says in one sentence what to change.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from engine.rating.errors import InvalidDocument

Level = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """One thing that was looked at. `advice` is empty where all is well."""

    level: Level
    place: str
    value: str
    expected: str
    advice: str = ""


def found(
    place: str, value: object, expected: str, *, is_met: bool, level: Level, advice: str
) -> Finding:
    """Return a finding that is ok if the expectation is met, else of this level."""
    if is_met:
        return Finding("ok", place, str(value), expected)
    return Finding(level, place, str(value), expected, advice)


def raise_first_error(findings: Iterable[Finding]) -> None:
    """Raise the first error as InvalidDocument, with what to change."""
    errors = [finding for finding in findings if finding.level == "error"]
    if not errors:
        return
    first = errors[0]
    more = f" ({len(errors) - 1} more: tollbook doctor)" if len(errors) > 1 else ""
    raise InvalidDocument(first.place, first.value, f"{first.expected}. {first.advice}{more}")
