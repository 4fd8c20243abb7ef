"""What can go wrong, in two kinds that are never mixed.

Bad input is a *value*: a `Refusal` with a code and a sentence, journaled beside the charges.
A broken promise of our own is an *exception*: it stops the worker before anything is written.

    TollbookError
    ├── InvalidDocument      a document that people write (tariff, accounts) breaks a rule
    └── BrokenInvariant      state or journal contradicts itself; never caught, never continued
        └── BrokenChain      a commit does not follow the one before it
"""

from typing import NamedTuple


class TollbookError(Exception):
    """Root of every error that Tollbook raises on purpose."""


class InvalidDocument(TollbookError):
    """A document breaks a rule: names the place, the value and what was expected."""

    def __init__(self, place: str, value: object, expected: str) -> None:
        super().__init__(f"{place}: got {value!r}, expected {expected}")
        self.place = place
        self.value = value
        self.expected = expected


class BrokenInvariant(TollbookError):
    """State contradicts itself. Continuing could charge wrongly, so nothing may catch this."""


class BrokenChain(BrokenInvariant):
    """A journal commit does not follow its predecessor: wrong number, digest or sequence."""


class Refusal(NamedTuple):
    """Why an input was not accepted.

    `code` is stable and documented in docs/reference/rejections.md; `explanation` is one sentence
    with the place, the value and what was expected.
    """

    code: str
    explanation: str
