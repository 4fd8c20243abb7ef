"""Patterns: what one dimension of an event may be."""

from collections import deque
from dataclasses import dataclass

_ANY_CHARACTER = "x"


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

    def meeting(self, other: "Pattern") -> str | None:
        """Return a text that fits both patterns, or None; empty where anything fits both."""
        if self.choices:
            return next((choice for choice in self.choices if other.matches(choice)), None)
        if other.choices:
            return other.meeting(self)
        if not self.glob and not other.glob:
            return ""
        return _globs_meet(self.glob or "*", other.glob or "*")


ANY = Pattern()


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


def _globs_meet(first: str, second: str) -> str | None:
    """Return a text that fits both globs: a walk over the pairs of their positions."""
    seen: set[tuple[int, int]] = set()
    pending = deque([(0, 0, "")])
    while pending:
        i, j, text = pending.popleft()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if i == len(first) and j == len(second):
            return text
        here, there = first[i : i + 1], second[j : j + 1]
        if here == "*":
            pending.append((i + 1, j, text))
            if there and there != "*":
                pending.append((i, j + 1, text + _character(there)))
        if there == "*":
            pending.append((i, j + 1, text))
            if here and here != "*":
                pending.append((i + 1, j, text + _character(here)))
        if here and there and "*" not in (here, there) and (here == there or "?" in (here, there)):
            pending.append((i + 1, j + 1, text + _character(there if here == "?" else here)))
    return None


def _character(of_glob: str) -> str:
    return _ANY_CHARACTER if of_glob == "?" else of_glob
