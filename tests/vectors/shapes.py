"""Shapes of records: a field that no translator reads is refused, because it may say something else.

Of what a record *expects*, names that are not known are left out, as in the pricing records; but at
least one has to be compared.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, instant
from tests.vectors.records import Record, number

ABOUT = frozenset(
    "id kind group name origin source licence_of_source semantics note precision expected".split()
)
"""Fields that every record has, and that change nothing."""

SECOND = 1_000_000
DAY = 86_400 * SECOND


class UnknownShape(AssertionError):
    """A record says something that its translator does not read."""


def only(row: Record, *names: str) -> None:
    """Raise UnknownShape if a row has other fields than these and those of every record."""
    unknown = row.keys() - ABOUT - set(names)
    if unknown:
        raise UnknownShape(f"{row.get('id')}: {sorted(unknown)}, expected {sorted(names)}")


def first(row: Record, *names: str) -> Any:
    """Return the value of the first of these names that is there; None: of none."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def moment(value: object) -> int:
    """Return a time in us UTC: RFC 3339, a date, or a date such as 20360101."""
    text = str(value)
    if text.isdigit():
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    found = datetime.fromisoformat(text)
    return instant(found if found.tzinfo else found.replace(tzinfo=UTC))


def known_time(at: int) -> int:
    """Return a time, moved to 2000 if it is earlier: nothing here happens before."""
    return max(at, FIRST_INSTANT)


def known_end(at: int | None) -> int | None:
    """Return an end; None, never, if it is after 2050."""
    return None if at is None or at >= LAST_INSTANT else at


Shown = Mapping[str, Callable[[], object]]
"""What a translator can say of an outcome, by the name that records expect it under."""


def compare(record: Record, shown: Shown) -> None:
    """Compare what a record expects with what came out, to the digit."""
    compared, expects = 0, record["expected"]
    for name, value in (expects if isinstance(expects, Mapping) else {"order": expects}).items():
        if name not in shown:
            continue
        compared += 1
        found = shown[name]()
        if isinstance(found, Mapping) and isinstance(value, Mapping):
            found = {key: found[key] for key in value}
        expected = sorted(value, key=lambda row: row[:2]) if name == "fundings" else value
        assert _same(found, expected, record), f"{name}: got {found}, expected {value}"
    if not compared:
        raise UnknownShape(f"{record.get('id')}: nothing of {record['expected']} is known")


FLOATS = Fraction(1, 10**5)
"""How far a value may be off that its record calls the artefact of a float."""


def _same(found: object, value: object, record: Record) -> bool:
    if isinstance(value, Mapping):
        assert isinstance(found, Mapping), found
        return found.keys() == value.keys() and all(
            _same(found[key], part, record) for key, part in value.items()
        )
    if isinstance(value, list):
        assert isinstance(found, list), found
        return len(found) == len(value) and all(
            _same(one, other, record) for one, other in zip(found, value, strict=True)
        )
    if isinstance(found, Fraction):
        off = abs(found - number(value))
        return off <= abs(number(value)) * FLOATS if "float" in record.get("note", "") else not off
    return found == (bool(value) if isinstance(found, bool) else value)
