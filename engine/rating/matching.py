"""Matching: which price component an event's kind is rated with.

A component states patterns for some dimensions of the event. Several may match; the most
*specific* wins. Specificity is the tuple of ranks in the order of `DIMENSIONS`, then attributes,
context threshold and time window, compared lexicographically: exact > list > longer glob > shorter
glob > any. A component that names the kind beats a wildcard before specificity is looked at. Two
components that could match one event with the same rank are refused at publication (semantics
section 2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import NamedTuple, Protocol, TypeVar

from engine.rating.pattern import ANY, Pattern
from engine.rating.window import WeekWindows, named_minute

DIMENSIONS = (
    "account",
    "subject",
    "model",
    "provider",
    "operation",
    "service_tier",
    "region",
    "initiator",
)
"""Text dimensions in the order of specificity."""

_ANY_TIME = 0


class Facts(NamedTuple):
    """What matching looks at: an event's dimensions, attributes, context length, minute of week."""

    account: str
    subject: str
    model: str
    provider: str
    operation: str
    service_tier: str
    region: str
    initiator: str
    attributes: tuple[tuple[str, str], ...] = ()
    context: int = 0
    minute: int = _ANY_TIME

    @property
    def texts(self) -> tuple[str, ...]:
        """The dimensions in the order of `DIMENSIONS`."""
        return self[: len(DIMENSIONS)]  # type: ignore[return-value]  # the first fields are texts

    def described(self) -> str:
        """Return the facts as text, those that are set."""
        parts = [
            f"{name} {text}" for name, text in zip(DIMENSIONS, self.texts, strict=True) if text
        ]
        parts += [f"attribute {name} {text}" for name, text in self.attributes]
        if self.context:
            parts.append(f"context of {self.context} tokens")
        if self.minute:
            parts.append(f"on {named_minute(self.minute)}")
        return ", ".join(parts) or "any event"


@dataclass(frozen=True, slots=True)
class Match:
    """Patterns of a component.

    `attributes` are (name, pattern), sorted. `context_above`: the context must be strictly longer
    (tokens). `windows`: the minutes of the week in which it matches, None: always.
    """

    account: Pattern = ANY
    subject: Pattern = ANY
    model: Pattern = ANY
    provider: Pattern = ANY
    operation: Pattern = ANY
    service_tier: Pattern = ANY
    region: Pattern = ANY
    initiator: Pattern = ANY
    attributes: tuple[tuple[str, Pattern], ...] = ()
    context_above: int | None = None
    windows: WeekWindows | None = None
    specificity: tuple[tuple[object, ...], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        threshold = (0, 0) if self.context_above is None else (1, self.context_above)
        attributes = (
            len(self.attributes),
            *sorted((pattern.rank for _, pattern in self.attributes), reverse=True),
        )
        ranks = (
            *(pattern.rank for pattern in self.patterns),
            attributes,
            threshold,
            (0 if self.windows is None else 1,),
        )
        object.__setattr__(self, "specificity", ranks)

    def named(self) -> Iterator[tuple[str, ...]]:
        """Yield each account, subject and model that it names together; empty: it names none."""
        named = (self.account, self.subject, self.model)
        yield from product(*[pattern.choices or ("",) for pattern in named])

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The patterns in the order of `DIMENSIONS`."""
        return (
            self.account,
            self.subject,
            self.model,
            self.provider,
            self.operation,
            self.service_tier,
            self.region,
            self.initiator,
        )

    def matches(self, facts: Facts) -> bool:
        """Say whether an event with these facts fits."""
        if self.context_above is not None and facts.context <= self.context_above:
            return False
        if self.windows is not None and not self.windows.contains(facts.minute):
            return False
        if self.attributes:
            given = dict(facts.attributes)
            if not all(pattern.matches(given.get(name, "")) for name, pattern in self.attributes):
                return False
        return all(
            pattern.matches(text)
            for pattern, text in zip(self.patterns, facts.texts, strict=True)
            if pattern is not ANY
        )

    def meeting(self, other: "Match") -> Facts | None:
        """Return the facts of an event that fits both, or None."""
        texts = [
            mine.meeting(theirs) for mine, theirs in zip(self.patterns, other.patterns, strict=True)
        ]
        mine, theirs = dict(self.attributes), dict(other.attributes)
        attributes = {
            name: mine.get(name, ANY).meeting(theirs.get(name, ANY))
            for name in sorted({*mine, *theirs})
        }
        minute = _meeting_minute(self.windows, other.windows)
        if minute is None or None in texts or None in attributes.values():
            return None
        thresholds = [
            above for above in (self.context_above, other.context_above) if above is not None
        ]
        named = dict(zip(DIMENSIONS, [text or "" for text in texts], strict=True))
        return Facts(
            **named,
            attributes=tuple((name, text or "") for name, text in attributes.items()),
            context=max(thresholds) + 1 if thresholds else 0,
            minute=minute,
        )


def _meeting_minute(mine: WeekWindows | None, theirs: WeekWindows | None) -> int | None:
    if mine is not None and theirs is not None:
        return mine.meeting(theirs)
    windows = mine if mine is not None else theirs
    return windows.starts[0] if windows is not None else _ANY_TIME


ANYTHING = Match()
"""Matches every event."""


class Matched(Protocol):
    """What this module needs to know of a component or a promotion."""

    @property
    def name(self) -> str:
        """How people know it within its tariff."""

    @property
    def match(self) -> Match:
        """Its patterns."""


class Ambiguity(NamedTuple):
    """Two components that tie for some event, and such an event."""

    first: str
    second: str
    event: Facts


_Candidate = TypeVar("_Candidate", bound=Matched)


def most_specific(candidates: Sequence[_Candidate], facts: Facts) -> _Candidate | None:
    """Return the matching candidate with the highest specificity, or None."""
    matching = [candidate for candidate in candidates if candidate.match.matches(facts)]
    return max(matching, key=lambda candidate: candidate.match.specificity, default=None)


def ambiguities(components: Sequence[Matched]) -> Iterator[Ambiguity]:
    """Yield each pair of components (pricing one kind) that ties for some event.

    Ranks must be equal, so both name accounts, subjects and models or neither does: grouping by
    rank and by what is named keeps real price lists (thousands of models) linear.
    """
    groups: dict[object, list[Matched]] = {}
    for component in components:
        match = component.match
        for named in match.named():
            groups.setdefault((match.specificity, named), []).append(component)
    for group in groups.values():
        for first, second in combinations(group, 2):
            event = first.match.meeting(second.match)
            if event is not None:
                yield Ambiguity(first.name, second.name, event)
