"""A raw record, read with care: every value is named by its place when it is not what it must be.

Records come from other people's programs. A count is a whole number of zero or more (a gateway may
spell it ``12``, ``12.0`` or ``"12"``), absent and null are the same, and anything else is `Unusable`:
a guess would be a charge.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from engine.adapters.documents.usage import parse_time, shown
from engine.rating.errors import Refusal

_MAX_BITS = 127
"""Of a number in a record; what is larger is refused before any arithmetic is done with it."""

_TOO_MANY = 2**63
_MAX_DIGITS = 19
"""Of a whole number of 63 bits."""

_MAX_PLACE = 200
"""Characters of a place that are told."""

ABSENT_TEXTS = ("", "-")
"""What access logs write for a value that is not there."""


class Unusable(ValueError):
    """A record that can not be understood: the place, the value, and what was expected."""

    def __init__(self, place: str, value: object, expected: str) -> None:
        place = _writable(place)
        super().__init__(f"{place}: got {shown(value)}, expected {expected}")
        self.place = place
        self.value = value
        self.expected = expected


def _writable(place: str) -> str:
    """Return a place as it can be told: a record's own names may be of any length, and no UTF-8."""
    return place[:_MAX_PLACE].encode(errors="backslashreplace").decode()


class Context(NamedTuple):
    """What a record can not, or must not, say. Empty: absent. What is given here wins.

    `model` and `spare_event_id` alone yield to the record: they are for bodies that do not name
    their model (Bedrock), and for those without an id.
    `occurred_at` is RFC 3339. `pass_through_cost` asks for OpenRouter's charge as a quantity too.
    """

    account_id: str = ""
    source: str = ""
    event_id: str = ""
    spare_event_id: str = ""
    subject: str = ""
    occurred_at: str = ""
    provider: str = ""
    operation: str = ""
    model: str = ""
    pass_through_cost: bool = False


class Normalised(NamedTuple):
    """The usage events of a record, in native usage JSON; or why there are none.

    One event for each model call that is billed. `not_charged` is one of: error_response,
    cache_hit_of_gateway, no_model_call.
    """

    events: tuple[dict[str, Any], ...]
    not_charged: str = ""


class Part:
    """A JSON object of a record, that knows its place in it.

    Where several names are given, the first that is there and not null counts.
    """

    __slots__ = ("data", "place")

    def __init__(self, data: Mapping[str, Any], place: str = "") -> None:
        self.data = data
        self.place = place

    def path(self, name: str) -> str:
        """Return the place of a field."""
        return f"{self.place}.{name}" if self.place else name

    def has(self, *names: str) -> bool:
        """Say whether any of the fields is there and not null."""
        return any(self.data.get(name) is not None for name in names)

    def find(self, *names: str) -> tuple[str, Any]:
        """Return the name and value of the first field that is there; (first name, None) if none."""
        data = self.data
        for name in names:
            value = data.get(name)
            if value is not None and (type(value) is not str or value not in ABSENT_TEXTS):
                return name, value
        return names[0], None

    def part(self, *names: str) -> "Part":
        """Return an object of this one; an empty one if it is absent."""
        name, value = self.find(*names)
        if value is None:
            return Part({}, self.path(name))
        if type(value) is not dict and not isinstance(value, Mapping):
            raise Unusable(self.path(name), value, "an object")
        return Part(value, self.path(name))

    def parts(self, *names: str) -> list["Part"]:
        """Return the objects of a list; an empty list if it is absent."""
        name, value = self.find(*names)
        place = self.path(name)
        if value is None:
            return []
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise Unusable(place, value, "a list of objects")
        for index, item in enumerate(value):
            if not isinstance(item, Mapping):
                raise Unusable(f"{place}[{index}]", item, "an object")
        return [Part(item, f"{place}[{index}]") for index, item in enumerate(value)]

    def counted(self, *names: str) -> int | None:
        """Return a count; None if it is absent."""
        name, value = self.find(*names)
        if value is None or (type(value) is int and 0 <= value < _TOO_MANY):
            return value  # nearly always
        return whole(self.path(name), value)

    def count(self, *names: str) -> int:
        """Return a count; 0 if it is absent."""
        return self.counted(*names) or 0

    def most(self, *names: str) -> int:
        """Return the first count above zero: of one fact under several names, some left at 0."""
        data = self.data
        for name in names:
            if data.get(name) and (found := self.count(name)):
                return found
        return 0

    def text(self, *names: str) -> str:
        """Return a text (an id may be a number); empty if it is absent."""
        name, value = self.find(*names)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(whole(self.path(name), value))
        raise Unusable(self.path(name), value, "a text")

    def scaled(self, factor: int, *names: str) -> int | None:
        """Return a number times a factor, rounded half to even; None if it is absent.

        Such as seconds since 1970 in microseconds, or seconds of audio in milliseconds.
        """
        name, value = self.find(*names)
        if value is None:
            return None
        return round(number(self.path(name), value) * factor)

    def time(self, *names: str) -> int | None:
        """Return an RFC 3339 time as microseconds since 1970 UTC; None if it is absent."""
        name, value = self.find(*names)
        if value is None:
            return None
        moment = parse_time(self.path(name), value)
        if isinstance(moment, Refusal):
            raise Unusable(self.path(name), value, "an RFC 3339 time with a zone")
        return moment


def whole(place: str, value: Any) -> int:
    """Return a count: a whole number of zero or more, also as ``12.0`` or ``"12"``."""
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit()
    is_round = isinstance(value, float) and abs(value) < 2**53 and value.is_integer()
    found = int(value) if (is_digits and len(value) <= _MAX_DIGITS) or is_round else value
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < _TOO_MANY:
        raise Unusable(place, value, "a whole number of 0 or more")
    return found


def number(place: str, value: Any) -> Decimal:
    """Return a finite number exactly as it is written: of a float, its shortest decimal form."""
    if isinstance(value, float) and abs(value) < 2.0**_MAX_BITS:
        return Decimal(repr(value))
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _MAX_BITS:
        return Decimal(value)
    if isinstance(value, str) and len(value) < _MAX_BITS:
        try:
            found = Decimal(value)
        except ArithmeticError:
            found = Decimal("NaN")
        if found.is_finite() and abs(found.adjusted()) < _MAX_BITS // 4:
            return found
    raise Unusable(place, value, "a number")


def rfc3339(place: str, moment: int) -> str:
    """Return microseconds since 1970 UTC as an RFC 3339 text. Unusable outside the years 1 to 9999."""
    try:
        seconds, microseconds = divmod(moment, 1_000_000)
        found = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)
    except (ValueError, OverflowError, OSError) as error:
        raise Unusable(place, moment, "a time from 2000 to 2050") from error
    return found.isoformat().replace("+00:00", "Z")
