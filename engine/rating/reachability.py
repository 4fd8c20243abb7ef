"""Reachability: a component that no event can ever be priced by is a mistake on a price page.

A component is out of reach where more specific ones together take every event that it matches: two
windows that cover the week, exact models that use a list up, names for every kind beside a wildcard.
For each component this module looks for one event that it prices: of each dimension it tries the
values that the fewest rivals match. A promotion is out of reach if it is never valid or touches no
price. Checked where a version is published; a reader takes what stands.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from engine.rating.component import WILDCARD, WILDCARD_KINDS, Component, Promotion
from engine.rating.errors import InvalidDocument
from engine.rating.matching import DIMENSIONS, Facts, Match
from engine.rating.pattern import Pattern
from engine.rating.plan import Candidates
from engine.rating.tariff import TariffVersion
from engine.rating.usage import CONTEXT_KINDS, INITIATORS, PARTS
from engine.rating.window import WEEK_MINUTES

_ANYTHING_ELSE = "\N{SECTION SIGN}"
"""A text that no choice and no letter of a glob equals."""

_OPTIONAL = ("subject", "service_tier", "region")
_MOST_TRIED = 20_000


class Unreachable(NamedTuple):
    """A component or promotion that can never act, why, and an event that shows it."""

    name: str
    beaten_by: tuple[str, ...]
    event: str

    def problem(self, place: str) -> InvalidDocument:
        """Return it as a problem of a document."""
        if not self.beaten_by:
            return InvalidDocument(f"{place}, {self.name}", self.event, "something that can happen")
        return InvalidDocument(
            f"{place}, {self.name}",
            f"always beaten by {' and '.join(self.beaten_by)}, as for {self.event}",
            "a component that prices some usage",
        )


def unreachable(version: TariffVersion) -> Iterator[Unreachable]:
    """Yield each component that prices no event, and each promotion that changes no price."""
    candidates = Candidates(version.components)
    for component in version.components:
        found = _beaten(component, candidates)
        if found is not None:
            yield found
    for promotion in version.promotions:
        why = _idle(promotion, version)
        if why:
            yield Unreachable(f"promotion {promotion.promotion_id}", (), why)


def _beaten(component: Component, candidates: Candidates) -> Unreachable | None:
    winners: dict[str, str] = {}
    for kind in _kinds_of(component):
        for tried, facts in enumerate(_events(component.match, kind, candidates)):
            chosen = candidates.pricing(kind, facts)
            if chosen is None or chosen[0] is component or tried > _MOST_TRIED:
                return None
            winners.setdefault(chosen[0].component_id, f"{kind} with {_shown(facts)}")
    names = tuple(sorted(winners))
    event = winners[names[0]] if names else "a match that no event fits"
    return Unreachable(f"component {component.component_id}", names, event)


def _kinds_of(component: Component) -> list[str]:
    named = [kind for kind, _ in component.weights if kind != WILDCARD]
    wild = WILDCARD_KINDS if any(kind == WILDCARD for kind, _ in component.weights) else ()
    return [*named, *(kind for kind in wild if kind not in named)]


def _events(match: Match, kind: str, candidates: Candidates) -> Iterator[Facts]:
    """Yield events that a match fits, the least contested first."""
    values = [
        _values(name, pattern) for name, pattern in zip(DIMENSIONS, match.patterns, strict=True)
    ]
    attributes = [
        [(name, text) for text in _values(name, pattern)] for name, pattern in match.attributes
    ]
    context = 1 if kind in CONTEXT_KINDS else 0
    if match.context_above is not None:
        context = match.context_above + 1
    for minute in _minutes(match, candidates.turns):
        for texts in product(*values):
            for given in product(*attributes):
                named = dict(zip(DIMENSIONS, texts, strict=True))
                yield Facts(**named, attributes=given, context=context, minute=minute)


def _values(name: str, pattern: Pattern) -> Sequence[str]:
    if pattern.choices:
        return pattern.choices
    if name == "initiator":
        return [initiator for initiator in INITIATORS if pattern.matches(initiator)]
    if not pattern.glob:
        return (_ANYTHING_ELSE, "") if name in _OPTIONAL else (_ANYTHING_ELSE,)
    plain = pattern.glob.replace("?", _ANYTHING_ELSE)
    return [plain.replace("*", _ANYTHING_ELSE * length) for length in (1, 0, 2)]


def _minutes(match: Match, turns: Sequence[int]) -> Sequence[int]:
    """Return a minute from each stretch of the week in which no window begins or ends."""
    minutes = sorted({0, *(turn % WEEK_MINUTES for turn in turns)})
    return [m for m in minutes if match.windows is None or match.windows.contains(m)]


def _idle(promotion: Promotion, version: TariffVersion) -> str:
    """Return why a promotion never acts; empty if it may."""
    begins, ends = promotion.valid_from, promotion.valid_to
    if ends is not None and ends <= version.effective_from:
        return "valid_to before effective_from"
    if None not in (begins, version.effective_to) and (begins or 0) >= (version.effective_to or 0):
        return "valid_from after effective_to"
    for component in version.components:
        if promotion.match.meeting(component.match) is None:
            continue
        kinds = _with_sources(_kinds_of(component), {**PARTS, **dict(version.fallback)})
        if any(promotion.touches(component, kind) for kind in kinds):
            return ""
    return "no component that it matches"


def _with_sources(kinds: Sequence[str], fallback: dict[str, str]) -> set[str]:
    """Return kinds and all those that fall back to one of them, in any number of steps."""
    found = set(kinds)
    for source in fallback:
        kind, passed = source, {source}
        while kind not in found and kind in fallback:
            kind = fallback[kind]
            passed.add(kind)
        if kind in found:
            found |= passed
    return found


def _shown(facts: Facts) -> str:
    any_other: dict[str, Any] = {
        name: "" for name in DIMENSIONS if getattr(facts, name) in (_ANYTHING_ELSE, INITIATORS[0])
    }
    return facts._replace(**any_other).described().replace(_ANYTHING_ELSE, "...")
