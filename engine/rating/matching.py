"""Matching: which price component an event's kind is rated with.

A component states patterns for some dimensions of the event. Several may match; the most
*specific* wins. Specificity is the tuple of ranks in the order of `DIMENSIONS`, then the context
threshold, compared lexicographically: exact > list > longer glob > shorter glob > any. A component
that names the kind beats a wildcard before specificity is looked at. Two components that could
match one event with the same rank are refused at publication (semantics section 2).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple, Protocol, TypeVar

DIMENSIONS = ("model", "provider", "operation", "service_tier")
"""Text dimensions in the order of specificity."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a dimension may be: exact (one choice), list (several), a glob, or anything.

    A glob knows ``*`` (any run of characters) and ``?`` (one character).
    """

    choices: tuple[str, ...] = ()
    glob: str = ""

    @property
    def rank(self) -> tuple[int, int]:
        """How specific: (3, 0) exact, (2, 0) list, (1, length) glob, (0, 0) anything."""
        if self.choices:
            return (3, 0) if len(self.choices) == 1 else (2, 0)
        return (1, len(self.glob)) if self.glob else (0, 0)

    def matches(self, text: str) -> bool:
        """Say whether a dimension's value fits."""
        if self.choices:
            return text in self.choices
        return not self.glob or _glob_matches(self.glob, text)

    def overlaps(self, other: "Pattern") -> bool:
        """Say whether some text fits both patterns."""
        if self.choices:
            return any(other.matches(choice) for choice in self.choices)
        if other.choices:
            return other.overlaps(self)
        return not self.glob or not other.glob or _globs_meet(self.glob, other.glob)


ANY = Pattern()


@dataclass(frozen=True, slots=True)
class Match:
    """Patterns of a component. `context_above`: the context must be strictly longer (tokens)."""

    model: Pattern = ANY
    provider: Pattern = ANY
    operation: Pattern = ANY
    service_tier: Pattern = ANY
    context_above: int | None = None
    specificity: tuple[tuple[int, int], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        threshold = (0, 0) if self.context_above is None else (1, self.context_above)
        ranks = (*(pattern.rank for pattern in self.patterns), threshold)
        object.__setattr__(self, "specificity", ranks)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The patterns in the order of `DIMENSIONS`."""
        return self.model, self.provider, self.operation, self.service_tier

    def matches(self, dimensions: tuple[str, ...], context_length: int) -> bool:
        """Say whether an event with these dimensions (in the order of `DIMENSIONS`) fits."""
        if self.context_above is not None and context_length <= self.context_above:
            return False
        return all(
            pattern.matches(text) for pattern, text in zip(self.patterns, dimensions, strict=True)
        )

    def overlaps(self, other: "Match") -> bool:
        """Say whether some event fits both."""
        pairs = zip(self.patterns, other.patterns, strict=True)
        return all(mine.overlaps(theirs) for mine, theirs in pairs)


ANYTHING = Match()
"""Matches every event."""


class Matched(Protocol):
    """What this module needs to know of a component."""

    @property
    def component_id(self) -> str:
        """Name of the component within its tariff."""

    @property
    def match(self) -> Match:
        """Its patterns."""


class Ambiguity(NamedTuple):
    """Two components that tie for some event."""

    first: str
    second: str


_Candidate = TypeVar("_Candidate", bound=Matched)


def most_specific(
    candidates: list[_Candidate], dimensions: tuple[str, ...], context_length: int
) -> _Candidate | None:
    """Return the matching candidate with the highest specificity, or None."""
    matching = [c for c in candidates if c.match.matches(dimensions, context_length)]
    return max(matching, key=lambda candidate: candidate.match.specificity, default=None)


def ambiguities(components: list[Matched]) -> Iterator[Ambiguity]:
    """Yield each pair of components (pricing one kind) that ties for some event.

    Ranks must be equal, so both name models or neither does: grouping by rank and named model
    keeps real price lists (thousands of models) linear.
    """
    groups: dict[object, list[Matched]] = {}
    for component in components:
        match = component.match
        for model in match.model.choices or ("",):
            groups.setdefault((match.specificity, model), []).append(component)
    for group in groups.values():
        for first, second in combinations(group, 2):
            if first.match.overlaps(second.match):
                yield Ambiguity(first.component_id, second.component_id)


def _glob_matches(glob: str, text: str) -> bool:
    """Say whether a text fits a glob, in time of at most the product of their lengths."""
    at, in_text, star, resume = 0, 0, -1, 0
    while in_text < len(text):
        if at < len(glob) and glob[at] == "*":
            star, resume = at, in_text
            at += 1
        elif at < len(glob) and glob[at] in ("?", text[in_text]):
            at, in_text = at + 1, in_text + 1
        elif star >= 0:  # let the last star take one character more
            resume += 1
            at, in_text = star + 1, resume
        else:
            return False
    return all(character == "*" for character in glob[at:])


def _globs_meet(first: str, second: str) -> bool:
    """Say whether some text fits both globs: a walk over the pairs of their positions."""
    seen: set[tuple[int, int]] = set()
    pending = [(0, 0)]
    while pending:
        state = pending.pop()
        if state in seen:
            continue
        seen.add(state)
        i, j = state
        if i == len(first) and j == len(second):
            return True
        here, there = first[i : i + 1], second[j : j + 1]
        if here == "*":
            pending += [(i + 1, j)] + ([(i, j + 1)] if there else [])
        if there == "*":
            pending += [(i, j + 1)] + ([(i + 1, j)] if here else [])
        if here and there and "*" not in (here, there) and (here == there or "?" in (here, there)):
            pending.append((i + 1, j + 1))
    return False
