"""Deciding again: what an input leads to, asked for record by record, beside what stands.

The ledger decides lazily: it looks at the state when it is asked for the next record, and expects that
the one before was taken in. So whoever reads a journal asks what must come next, compares it with
what stands, folds that in, and asks again.
"""

from collections.abc import Iterator

from engine.rating.charge import Charge, Line
from engine.rating.command import AdvanceTo
from engine.rating.errors import Refusal
from engine.rating.event import AccountEvent, Rejection
from engine.rating.ledger import Decided, Ledger
from engine.rating.usage import Position
from replay.evidence import Admitted, Asked, Ordered

Outcome = Decided | Refusal | str
"""A record, or why a usage event is not accepted: a Refusal or DUPLICATE."""


class Outcomes:
    """What one input leads to. Each record is to be folded in before the next is asked for."""

    def __init__(self, steps: Iterator[Iterator[Outcome]]) -> None:
        self._steps = steps
        self._step: Iterator[Outcome] = iter(())

    def next(self) -> Outcome | None:
        """Return what must come next; None if the input leads to nothing more."""
        found = self.next_of_step()
        while found is None:
            step = next(self._steps, None)
            if step is None:
                return None
            self._step = step
            found = self.next_of_step()
        return found

    def next_of_step(self) -> Outcome | None:
        """Return what must come next in the same commit; None if a commit may end here."""
        return next(self._step, None)


NOTHING = Outcomes(iter(()))


def decided_again(ledger: Ledger, asked: Asked | Refusal) -> Outcomes:
    """Return what an input leads to in the state of a ledger."""
    if isinstance(asked, Refusal):
        return only(iter((asked,)))
    if isinstance(asked, Admitted):
        return only(ledger.decide(*asked))
    if not isinstance(asked, Ordered):
        return Outcomes(ledger.decide_publish(*asked))
    order, origin, rules = asked
    if isinstance(order, AdvanceTo):
        return Outcomes(ledger.decide_advance(order.until, origin, rules))
    return only(ledger.decide_command(order, origin, rules))


def only(step: Iterator[Outcome]) -> Outcomes:
    """Return outcomes that belong into one commit."""
    return Outcomes(iter((step,)))


def named(position: Position) -> str:
    """Return a position as text."""
    return f"{position.topic}[{position.partition}] offset {position.offset} index {position.index}"


def name_of(record: Decided | Rejection) -> str:
    """Return what a journal record is called in messages."""
    if isinstance(record, Charge):
        kind = "charge" if record.event_id else record.kind
        return f"{kind} {record.charge_id} of account {record.account_id}"
    if isinstance(record, AccountEvent):
        return f"account {record.account_id}, sequence {record.sequence}"
    return f"rejection {record.refusal.code} at {named(record.position)}"


def told(outcome: Outcome) -> str:
    """Return what an outcome is, and of what, in a few words; of a refusal its code."""
    if isinstance(outcome, Charge):
        where = f"(account {outcome.account_id}, sequence {outcome.sequence})"
        return f"the {outcome.kind} of {_subject(outcome)} {where}"
    if isinstance(outcome, AccountEvent):
        return f"{outcome.change} (account {outcome.account_id}, sequence {outcome.sequence})"
    return outcome if isinstance(outcome, str) else outcome.code


def _subject(charge: Charge) -> str:
    """Return what a charge is about: the usage event, the counter or the bucket."""
    counters = [line.counter for line in charge.lines]
    buckets = [drawdown.bucket for drawdown in charge.drawdowns]
    return next((name for name in (charge.event_id, *counters, *buckets) if name), "the account")


def first_difference(stands: Decided, again: Decided) -> str:
    """Return the first field in which two charges, or two events, differ, and both values."""
    how = "rated again" if isinstance(stands, Charge) else "decided again"
    for name, value, other in zip(stands._fields, stands, again, strict=True):
        if value == other:
            continue
        if name == "lines" and isinstance(stands, Charge) and isinstance(again, Charge):
            return _first_line(stands.lines, again.lines)
        return f"{name} stands as {value!r}, {how} {other!r}"
    return "the bytes differ, the fields do not"


def _first_line(stands: tuple[Line, ...], again: tuple[Line, ...]) -> str:
    if len(stands) != len(again):
        return f"lines: {len(stands)} stand, rated again {len(again)}"
    for number, (line, other) in enumerate(zip(stands, again, strict=True)):
        for name, value, new in zip(line._fields, line, other, strict=True):
            if value != new:
                return f"lines[{number}].{name} stands as {value!r}, rated again {new!r}"
    return "lines are equal"
