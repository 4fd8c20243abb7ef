"""What usage comes to: the outcomes of offline rating, counted and added up.

Money is added by currency, month (the service period, in the account's zone) and component. Usage
in suspense is counted by why, which kind and which model: what somebody has to price. It never
counts as free.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from engine.entrypoints.offline import Outcomes
from engine.rating.charge import CORRECTION, SUSPENSE, USAGE, Charge
from engine.rating.errors import Refusal
from engine.rating.event import AccountEvent, UsageRefused

OUTCOMES = ("charged", "in suspense", "duplicate", "rejected")
RARE_OUTCOMES = ("voided", "pending")
"""Of voids: told only where there are any. A void that is refused counts as rejected."""


class Part(NamedTuple):
    """What an amount is for."""

    currency: str
    month: str
    component: str


class Unpriced(NamedTuple):
    """What a line in suspense lacks a price for; `reason` as in the reference of codes."""

    reason: str
    kind: str
    model: str


def outcome_name(outcomes: Outcomes) -> str:
    """Return which of OUTCOMES came of an event; one line in suspense is enough for a charge."""
    last, names = outcomes[-1], set(map(_name, outcomes))
    if isinstance(last, str):
        return last
    for name in ("rejected", "in suspense", "charged", "voided"):
        if name in names:
            return name
    return "pending"


def _name(outcome: Charge | AccountEvent | Refusal | str) -> str:
    if refusal_of(outcome) is not None:
        return "rejected"
    if not isinstance(outcome, Charge) or outcome.kind not in (USAGE, CORRECTION):
        return ""
    if outcome.kind == CORRECTION:
        return "voided"
    return "in suspense" if any(line.status == SUSPENSE for line in outcome.lines) else "charged"


def refusal_of(outcome: Charge | AccountEvent | Refusal | str) -> Refusal | None:
    """Return why an event was rejected, or its void refused; None otherwise."""
    if isinstance(outcome, AccountEvent) and isinstance(outcome.change, UsageRefused):
        return outcome.change.refusal
    return outcome if isinstance(outcome, Refusal) else None


def counted_outcomes(events: Mapping[str, int]) -> str:
    """Return how many events came to what, as text."""
    names = [*OUTCOMES, *(name for name in RARE_OUTCOMES if events[name])]
    return ", ".join(f"{events[name]} {name}" for name in names)


class Tally:
    """Counts of events by outcome, of lines in suspense and of rejections; amounts in pico."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.suspense: Counter[Unpriced] = Counter()
        self.rejections: Counter[str] = Counter()
        self.amounts: dict[Part, int] = {}

    def take(self, outcomes: Outcomes) -> None:
        """Count in what one usage event leads to."""
        self.events[outcome_name(outcomes)] += 1
        for outcome in outcomes:
            refusal = refusal_of(outcome)
            if refusal is not None:
                self.rejections[refusal.code] += 1
            elif isinstance(outcome, Charge):
                self.add(outcome)

    def add(self, charge: Charge) -> None:
        """Add a charge's money and suspense, without counting it as usage."""
        for line in charge.lines:
            if line.amount is None:
                self.suspense[Unpriced(line.reason, line.kind, charge.model)] += 1
            else:
                part = Part(charge.currency, charge.service_period, line.component)
                self.amounts[part] = self.amounts.get(part, 0) + line.amount

    def totals(self) -> dict[str, int]:
        """Return the sum per currency, in pico."""
        totals: dict[str, int] = {}
        for part, amount in self.amounts.items():
            totals[part.currency] = totals.get(part.currency, 0) + amount
        return totals

    @property
    def unpriced(self) -> int:
        """How many events were not priced in full: in suspense, or rejected."""
        return self.events["in suspense"] + self.events["rejected"]
