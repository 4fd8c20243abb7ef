"""Entries: one model of a price list, as prices and what each of them is for.

What a price is for is a `PriceKey`: a kind of usage and whatever else it depends on. A kind counts
once for each call, so prices that a list tells apart by more than kinds, tiers and context carry an
attribute of usage: a video's resolution, how long a cache is kept.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from engine.rating.usage import TOKEN_KINDS

ANY_TIER = ""
BATCH = "batch"
FAST = "fast"
TIERS = (BATCH, "priority", "flex", "balanced", "ultrafast")
"""Service tiers for which the list has field names of their own."""

ANY_CONTEXT = -1
NO_ATTRIBUTE = ("", "")
DECISIONS = "decisions"

PER = {**dict.fromkeys(TOKEN_KINDS, 1_000_000), "millisecond": 1_000}
"""For how many units of a kind people quote its price; of any other kind, for one."""


class PriceKey(NamedTuple):
    """What a listed price is for; what is left out stands for any.

    `above`: only for a context of more tokens than this. `attribute`: name and value.
    """

    kind: str
    tier: str = ANY_TIER
    above: int = ANY_CONTEXT
    attribute: tuple[str, str] = NO_ATTRIBUTE
    operation: str = ""


Listed = dict[PriceKey, Fraction]
"""The prices that an entry states, each for `PER` units of its kind."""


class Range(NamedTuple):
    """Prices of calls with more input tokens than `above` (up to the next range), by kind."""

    above: int
    prices: Mapping[str, Fraction]


class Window(NamedTuple):
    """Times of day (``16:30-00:30``, UTC) on some weekdays (none: every day)."""

    hours: tuple[str, ...]
    weekdays: tuple[str, ...] = ()


ALL_WEEK = Window(("00:00-00:00",))


class OffPeak(NamedTuple):
    """Prices by kind that replace all others while one of the windows is open."""

    windows: tuple[Window, ...]
    prices: Mapping[str, Fraction]


class Variant(NamedTuple):
    """The token prices again, times a factor, for a region (a glob, too) and a service tier."""

    region: str = ""
    tier: str = ANY_TIER
    factor: Fraction = Fraction(1)


class Finding(NamedTuple):
    """A field of the list that needs a word: not in the tariff, or in doubt. `value` is its JSON."""

    entry: str
    field: str
    value: str
    reason: str


class Entry(NamedTuple):
    """One model of the list: its name there, its provider there, and its prices.

    `once_a_call`: searches cost the same however many a call makes. `free_images`: so many of each
    call cost nothing.
    """

    key: str
    provider: str
    listed: Listed
    ranges: tuple[Range, ...] = ()
    off_peak: OffPeak | None = None
    variants: tuple[Variant, ...] = ()
    once_a_call: bool = False
    free_images: int = 0

    @property
    def has_prices(self) -> bool:
        """Say whether the list names any price of this model that a tariff can hold."""
        return bool(self.listed or self.ranges or self.off_peak)
