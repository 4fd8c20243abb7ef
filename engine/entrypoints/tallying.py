"""What usage comes to: the outcomes of offline rating, counted and added up.

Money is added by currency, month (the service period, in the account's zone) and component. Usage
in suspense is counted by why, which kind and which model: what somebody has to price. It never
counts as free.
"""

from collections import Counter
from typing import NamedTuple

from engine.rating.charge import SUSPENSE, Charge
from engine.rating.errors import Refusal

OUTCOMES = ("charged", "in suspense", "duplicate", "rejected")


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


def outcome_name(outcome: Charge | Refusal | str) -> str:
    """Return which of OUTCOMES an outcome is; one line in suspense is enough for a charge."""
    if isinstance(outcome, Refusal):
        return "rejected"
    if isinstance(outcome, Charge):
        suspended = any(line.status == SUSPENSE for line in outcome.lines)
        return "in suspense" if suspended else "charged"
    return outcome


class Tally:
    """Counts of events by outcome, of lines in suspense and of rejections; amounts in pico."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.suspense: Counter[Unpriced] = Counter()
        self.rejections: Counter[str] = Counter()
        self.amounts: dict[Part, int] = {}

    def take(self, outcome: Charge | Refusal | str) -> None:
        """Count one outcome of usage in."""
        self.events[outcome_name(outcome)] += 1
        if isinstance(outcome, Refusal):
            self.rejections[outcome.code] += 1
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
