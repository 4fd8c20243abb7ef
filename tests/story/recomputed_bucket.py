"""A bucket of the story, with no more than its sums."""

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from engine.entrypoints.story_data import Package


@dataclass
class Bucket:
    """Units of a package in one month, and what became of them."""

    name: str
    package: Package
    begins: int
    ends: int
    granted: Fraction
    remaining: Fraction
    drawn: Fraction = Fraction(0)
    expired: Fraction = Fraction(0)
    rolled: Fraction = Fraction(0)
    is_open: bool = True
    by_login: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))

    @property
    def is_money(self) -> bool:
        return self.package.unit == "money"

    def left_for(self, login: str) -> Fraction:
        cap = self.package.per_subject_cap
        if not cap:
            return self.remaining
        return max(Fraction(0), min(self.remaining, Fraction(cap) - self.by_login[login]))

    def draw(self, units: Fraction, login: str) -> None:
        self.remaining -= units
        self.drawn += units
        self.by_login[login] += units
