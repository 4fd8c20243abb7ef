"""Completeness: whether every event that a publisher numbered has arrived.

A publisher numbers its events 1, 2, 3 ... in the order in which it took them, and an event keeps its
number. So a number that is missing from the usage topic, below one that is there, is an event that
was taken and did not arrive. A number that is there more than once was delivered again after a
fault: the engine charges it once. What is missing behind the last number cannot be seen from here;
the publisher's own `waiting` says that.
"""

from collections.abc import Iterator
from typing import NamedTuple

_CHUNK = 4_096
_MOST = 255


class Gap(NamedTuple):
    """Numbers that are missing, from `first` to `last`, both of them too."""

    first: int
    last: int


class Completeness(NamedTuple):
    """What arrived of one publisher. `duplicates`: arrivals beyond the first of each number."""

    publisher: str
    events: int
    last_sequence: int
    duplicates: int
    missing: int
    gaps: tuple[Gap, ...]


class Arrivals:
    """The numbers of one publisher that were seen, in any order: a byte for each, in chunks."""

    def __init__(self) -> None:
        self._chunks: dict[int, bytearray] = {}
        self._seen = 0

    def add(self, sequence: int) -> None:
        """Note a number that was seen."""
        number, place = divmod(sequence, _CHUNK)
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = bytearray(_CHUNK)
        if chunk[place] < _MOST:
            chunk[place] += 1
        self._seen += 1

    def judge(self, publisher: str) -> Completeness:
        """Return what is there and what is missing."""
        gaps, after, events = [], 1, 0
        for sequence in self._present():
            if sequence > after:
                gaps.append(Gap(after, sequence - 1))
            after = sequence + 1
            events += 1
        missing = sum(last - first + 1 for first, last in gaps)
        return Completeness(publisher, events, after - 1, self._seen - events, missing, tuple(gaps))

    def _present(self) -> Iterator[int]:
        for number in sorted(self._chunks):
            for place, times in enumerate(self._chunks[number]):
                if times:
                    yield number * _CHUNK + place
