"""The warnings of the story worked out again, from the recomputation's own buckets.

Each is raised once until it is cleared: a bucket's by a top-up that moves it out of reach, a
limit's when its day is over.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple, Protocol

from engine.entrypoints.story_data import TokenLimit

HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR
SHANGHAI = 8 * HOUR


class Raised(NamedTuple):
    """What was warned of: a bucket or limit, at which level, as of when (us UTC)."""

    code: str
    name: str
    level: str
    at: int


class Watched(Protocol):
    """What is looked at of a bucket."""

    name: str
    begins: int
    ends: int
    granted: Fraction
    remaining: Fraction
    is_open: bool


class Watch:
    """What has been warned of, and what was drawn when."""

    def __init__(self, buckets: Mapping[str, Watched]) -> None:
        self._buckets = buckets
        self._burnt: dict[str, dict[int, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
        self._used: dict[int, int] = defaultdict(int)
        self.limit: TokenLimit | None = None
        self.raised: set[tuple[str, str, str]] = set()
        self.warnings: list[Raised] = []

    def burn(self, name: str, at: int, units: Fraction) -> None:
        """Note what was drawn from a bucket in the hour of use."""
        self._burnt[name][at // HOUR] += units

    def after_draws(self, names: list[str], at: int) -> None:
        """Warn of what a charge has crossed in the buckets that it drew from."""
        for name in names:
            for code, level in self._crossed(name, at):
                self._warn(code, name, level, at)
        if names:
            self._exhaustion(at, may_warn=True)

    def after_filling(self, name: str, at: int) -> None:
        """Let what a top-up has moved out of reach be warned of again."""
        crossed = set(self._crossed(name, at))
        for code, level in crossed:
            self._warn(code, name, level, at)
        self.raised = {key for key in self.raised if key[1] != name or (key[0], key[2]) in crossed}
        self._exhaustion(at, may_warn=False)

    def after_closing(self, name: str, at: int) -> None:
        """Forget what was warned of a bucket."""
        self.raised = {key for key in self.raised if key[1] != name}
        self._exhaustion(at, may_warn=True)

    def after_tokens(self, login: str, at: int, tokens: int) -> None:
        """Count tokens of a login's day."""
        if self.limit is None or login != self.limit.subject:
            return
        day = (at + SHANGHAI) // DAY
        self._used[day] += tokens
        for percent, code in ((80, "limit_ahead"), (100, "limit_reached")):
            if self._used[day] * 100 >= percent * self.limit.tokens:
                self._warn(code, self.limit.limit_id, f"{day}/{percent}", at)

    def expiry_ahead(self, name: str, at: int) -> None:
        """Warn that a bucket ends soon."""
        self._warn("expiry_ahead", name, "", at)

    def agenda(self) -> Iterator[tuple[int, int, str]]:
        """Yield what becomes due by time: warnings of ends, and limits whose day is over."""
        for bucket in self._buckets.values():
            known = ("expiry_ahead", bucket.name, "") in self.raised
            if bucket.is_open and bucket.remaining and not known:
                yield max(bucket.begins, bucket.ends - 3 * DAY), 3, bucket.name
        for code, _, level in self.raised:
            if code.startswith("limit"):
                day = int(level.partition("/")[0])
                yield (day + 1) * DAY - SHANGHAI, 4, level

    def clear(self, level: str) -> None:
        """Forget what was warned of a day."""
        self.raised = {key for key in self.raised if key[2] != level}

    def _crossed(self, name: str, at: int) -> Iterator[tuple[str, str]]:
        bucket = self._buckets[name]
        if not bucket.is_open:
            return
        for percent in (80, 100):
            used = bucket.granted - bucket.remaining
            if bucket.granted and used * 100 >= percent * bucket.granted:
                yield "bucket_used", str(percent)
        pace = self._pace(name, at)
        if pace > 0 and bucket.remaining and at + bucket.remaining * DAY / pace < bucket.ends:
            yield "run_out_ahead", ""

    def _pace(self, name: str, at: int) -> Fraction:
        """What was drawn in the 24 hours of use up to now, and not long before the latest use."""
        hours = self._burnt[name]
        first = max([at // HOUR, *hours]) - 24
        return sum((units for hour, units in hours.items() if hour > first), Fraction(0))

    def _exhaustion(self, at: int, *, may_warn: bool) -> None:
        left = any(bucket.remaining for bucket in self._buckets.values() if bucket.is_open)
        if left:
            self.raised.discard(("exhausted", "", ""))
        elif may_warn:
            self._warn("exhausted", "", "", at)

    def _warn(self, code: str, name: str, level: str, at: int) -> None:
        if (code, name, level) not in self.raised:
            self.raised.add((code, name, level))
            self.warnings.append(Raised(code, name, level, at))
