"""The month of the story worked out again: deliberately simple, and with nothing of the engine's.

One walk over the steps, with exact fractions and dictionaries, in the words of the rules: buckets
first, the rest at its price, money buckets pay, the rest is due. It knows this story's tariff and
no other: two prices by event, and output in two tiers by month with a minimum. Slow, unwise about
memory, and meant to be read beside docs/explanation.
"""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import TypeVar

from engine.entrypoints.story_data import (
    BEGINS,
    ENDS,
    TARIFF,
    Amend,
    Goodwill,
    Package,
    Step,
    Tick,
    TokenLimit,
    TopUp,
    Use,
    Void,
    moment,
)
from tests.story.recomputed_alerts import Watch
from tests.story.recomputed_bucket import Bucket

PICO = 10**12
MILLION = 1_000_000
GRACE = 2 * 24 * 3_600 * 1_000_000
MONTHS = (BEGINS, ENDS, moment(12, 1), moment(12, 31))

_PRICES = {c["id"]: c["price"] for c in TARIFF["components"]}
INPUT = Fraction(_PRICES["input"]["unit_price"])
CACHE_READ = Fraction(_PRICES["cache-read"]["unit_price"])
FIRST, THEN = (Fraction(tier["unit_price"]) for tier in _PRICES["output"]["tiers"])
FIRST_TOKENS = _PRICES["output"]["tiers"][0]["up_to"]
MINIMUM = Fraction(TARIFF["components"][2]["minimum"])


@dataclass
class Line:
    """A kind of an event: what buckets cover, what is priced, and what it comes to."""

    kind: str
    tokens: int
    covers: list[tuple[str, int, Fraction]]
    priced: int
    amount: Fraction


@dataclass
class Charged:
    """A charge: who used what when, and the buckets whose draws it changed."""

    event_id: str
    login: str
    at: int
    lines: list[Line]
    touched: set[str]


class Month:
    """The account, as the steps so far leave it."""

    def __init__(self) -> None:
        self.due = Fraction(0)
        self.packages: dict[str, Package] = {}
        self.buckets: dict[str, Bucket] = {}
        self.output_tokens = 0
        self.settled = Fraction(0)
        self.payers: dict[str, list[tuple[str, Fraction]]] = defaultdict(list)
        """Of each event's kind, and of the month's output: which buckets paid for it, in order."""
        self.standing: dict[str, Charged | None] = {}
        """What stands of each event; None: it was voided, or it is a void."""
        self.waiting: dict[str, str] = {}
        self.is_closed = False
        self.watch = Watch(self.buckets)
        # The statement:
        self.events = self.voids = 0
        self.covered: dict[tuple[str, str], tuple[int, Fraction]] = {}
        self.priced: dict[str, tuple[int, Fraction]] = {}
        self.returned: dict[tuple[str, str], tuple[int, Fraction]] = {}
        self.voided: dict[str, tuple[int, Fraction]] = {}
        self.adjustments: list[tuple[str, Fraction]] = []
        self.paid: dict[str, Fraction] = defaultdict(Fraction)
        self.credited: dict[str, Fraction] = defaultdict(Fraction)
        self.credit_used = Fraction(0)

    @property
    def amount(self) -> Fraction:
        """The sum of all amounts."""
        lines = (*self.priced.values(), *self.voided.values(), *self.adjustments)
        return sum((amount for _, amount in lines), self.settled)

    def take(self, step: Step) -> None:
        """Take the next step."""
        if isinstance(step, Use):
            self._use(step.event_id, step.at, step.subject, step.quantities)
        elif isinstance(step, Void):
            self._void(step.event_id, step.corrects)
        elif isinstance(step, Amend):
            self._void(step.event_id, step.corrects)
            self._use(step.event_id, step.at, step.subject, step.quantities)
        elif isinstance(step, Package):
            self.packages[step.grant_id] = step
            self._open(step, 0)
        elif isinstance(step, TopUp):
            bucket = self.buckets[step.bucket]
            bucket.granted += Fraction(step.amount)
            bucket.remaining += Fraction(step.amount)
            self.watch.after_filling(bucket.name, step.received_at)
        elif isinstance(step, TokenLimit):
            self.watch.limit = step
        elif isinstance(step, Goodwill):
            self.adjustments.append((step.reason, Fraction(step.amount)))
            self._settle("", Fraction(step.amount), step.received_at, "")
        else:
            self._pass(step)

    def _use(
        self, event_id: str, at: int, login: str, quantities: tuple[tuple[str, int], ...]
    ) -> None:
        charged = Charged(event_id, login, at, [], set())
        for kind, tokens in quantities:
            covers = self._cover(kind, tokens, at, login)
            priced = tokens - sum(count for _, count, _ in covers)
            amount, payers = Fraction(0), []
            if priced:
                amount = self._price(kind, priced)
                payers = self._settle(self._counter(kind, event_id), amount, at, login)
                _count(self.priced, kind, priced, amount)
            for name, count, units in covers:
                _count(self.covered, (name, kind), count, units)
                self.watch.burn(name, at, units)
            for name, units in payers:
                self.watch.burn(name, at, units)
            charged.lines.append(Line(kind, tokens, covers, priced, amount))
            charged.touched |= {name for name, *_ in covers} | {name for name, _ in payers}
        self.events += 1
        self.standing[event_id] = charged
        self._after(charged, sum(tokens for _, tokens in quantities))
        if event_id in self.waiting:
            self._take_back(self.waiting.pop(event_id), event_id)

    def _in_order(self, at: int) -> list[Bucket]:
        found = [b for b in self.buckets.values() if b.is_open and b.begins <= at < b.ends]
        return sorted(
            found, key=lambda b: (b.package.priority, b.ends, b.package.received_at, b.name)
        )

    def _cover(
        self, kind: str, tokens: int, at: int, login: str
    ) -> list[tuple[str, int, Fraction]]:
        covers = []
        for bucket in self._in_order(at):
            weight = Fraction(dict(bucket.package.weights).get(kind, "0"))
            if bucket.is_money or not weight:
                continue
            count = min(tokens, floor(bucket.left_for(login) / weight))
            if count:
                bucket.draw(count * weight, login)
                covers.append((bucket.name, count, count * weight))
                tokens -= count
        return covers

    def _price(self, kind: str, tokens: int) -> Fraction:
        if kind != "output":
            return _floored(tokens * (INPUT if kind == "input" else CACHE_READ) / MILLION)
        before = _output_amount(self.output_tokens)
        self.output_tokens += tokens
        return _output_amount(self.output_tokens) - before

    def _counter(self, kind: str, event_id: str) -> str:
        return "output" if kind == "output" else f"{kind} of {event_id}"

    def _settle(
        self, counter: str, amount: Fraction, at: int, login: str
    ) -> list[tuple[str, Fraction]]:
        """Pay a positive amount: credit first, then money buckets, the rest is due."""
        credit = max(Fraction(0), min(amount, -self.due))
        self.credit_used += credit
        rest, payers = amount - credit, []
        for bucket in self._in_order(at):
            units = min(rest, bucket.left_for(login)) if bucket.is_money else Fraction(0)
            if units > 0:
                bucket.draw(units, login)
                payers.append((bucket.name, units))
                self.paid[bucket.name] += units
                rest -= units
        self.payers[counter] += payers
        self.due += amount - sum(units for _, units in payers)
        return payers

    def _return(
        self, counter: str, amount: Fraction, raised: Fraction, at: int, login: str
    ) -> set[str]:
        """Give an amount back: what the counter made due first, then its payers, the latest first."""
        payers = self.payers[counter]
        rest = amount - max(Fraction(0), min(amount, raised))
        touched, returned = set(), Fraction(0)
        for place in reversed(range(len(payers))):
            name, units = payers[place]
            bucket, back = self.buckets[name], min(rest, units)
            if not back:
                break
            payers[place] = (name, units - back)
            rest -= back
            if bucket.is_open:
                bucket.draw(-back, login)
                self.paid[name] -= back
                self.watch.burn(name, at, -back)
                touched.add(name)
                returned += back
            else:  # it was paid for, so what comes back is credit
                self.credited[name] += back
        self.due -= amount - returned
        return touched

    def _raised(self, counter: str, total: Fraction) -> Fraction:
        """What a counter has made due: its total, less what buckets paid of it."""
        return total - sum(units for _, units in self.payers[counter])

    def _bring_to_minimum(self) -> None:
        """Settle the minimum of the closed month again."""
        usage = _output_amount(self.output_tokens)
        owed = max(Fraction(0), MINIMUM - usage)
        change, before = owed - self.settled, self.settled
        self.settled = owed
        if change > 0:
            self._settle("output", change, ENDS - 1, "")
        elif change < 0:
            raised = self._raised("output", usage + before)
            self._return("output", -change, raised, ENDS - 1, "")

    def _void(self, event_id: str, corrects: str) -> None:
        if corrects not in self.standing:
            self.waiting[corrects] = event_id
        elif self.standing[corrects] is not None:
            self._take_back(event_id, corrects)
        self.standing.setdefault(event_id, None)

    def _take_back(self, event_id: str, corrects: str) -> None:
        original = self.standing[corrects]
        assert original is not None
        self.standing[corrects] = None
        taken = Charged(event_id, original.login, original.at, [], set())
        for line in reversed(original.lines):
            for name, count, units in line.covers:
                self._put_back(self.buckets[name], units, original)
                _count(self.returned, (name, line.kind), -count, -units)
                taken.touched.add(name)
            if line.priced:
                amount = self._unprice(line, original, taken.touched)
                _count(self.voided, line.kind, -line.priced, -amount)
            taken.lines.append(line)
        self.voids += 1
        self._after(taken, -sum(line.tokens for line in original.lines))

    def _unprice(self, line: Line, original: Charged, touched: set[str]) -> Fraction:
        counter = self._counter(line.kind, original.event_id)
        amount, total = line.amount, line.amount
        if line.kind == "output":
            before = _output_amount(self.output_tokens)
            self.output_tokens -= line.priced
            amount = before - _output_amount(self.output_tokens)
            total = before + self.settled
        raised = self._raised(counter, total)
        touched |= self._return(counter, amount, raised, original.at, original.login)
        return amount

    def _put_back(self, bucket: Bucket, units: Fraction, original: Charged) -> None:
        bucket.drawn -= units
        if bucket.is_open:
            bucket.remaining += units
            self.watch.burn(bucket.name, original.at, -units)
            return
        successor = self.buckets.get(f"{bucket.name}r")
        room = Fraction(bucket.package.rollover_up_to or "0") - bucket.rolled
        moved = min(units, room) if successor and successor.is_open else Fraction(0)
        bucket.rolled += moved
        bucket.expired += units - moved
        if successor and moved:
            successor.granted += moved
            successor.remaining += moved

    def _after(self, charged: Charged, tokens: int) -> None:
        """Look what a charge has crossed; in a closed month its minimum is settled again first."""
        if self.is_closed and any(line.kind == "output" and line.priced for line in charged.lines):
            self._bring_to_minimum()
        names = [b.name for b in self._by_order() if b.name in charged.touched]
        self.watch.after_draws(names, charged.at)
        self.watch.after_tokens(charged.login, charged.at, tokens)

    def _by_order(self) -> list[Bucket]:
        return sorted(
            self.buckets.values(),
            key=lambda b: (b.package.priority, b.ends, b.package.received_at, b.name),
        )

    def _open(self, package: Package, number: int) -> None:
        begins, ends = package.begins, package.ends
        name, amount = package.grant_id, Fraction(package.amount)
        if package.recurs:
            begins, ends = MONTHS[number], MONTHS[number + 1]
            name = f"{name}#{number}"
        assert ends is not None
        self.buckets[name] = Bucket(name, package, begins, ends, amount, amount)
        self.watch.after_filling(name, begins)

    def _pass(self, tick: Tick) -> None:
        """Let everything happen that is due, in the order of its time."""
        while True:
            due = [entry for entry in self._agenda() if entry[0] <= tick.received_at]
            if not due:
                return
            at, rank, name = min(due)
            if rank == 0:
                self._close(self.buckets[name], at)
            elif rank == 1:
                self._open(self.packages[name], 1)
            elif rank == 2:
                self.is_closed = True
                self._bring_to_minimum()
            elif rank == 3:
                self.watch.expiry_ahead(name, at)
            else:
                self.watch.clear(name)

    def _agenda(self) -> list[tuple[int, int, str]]:
        due = [(b.ends + GRACE, 0, b.name) for b in self.buckets.values() if b.is_open]
        due += [(ENDS, 1, p.grant_id) for p in self.packages.values() if p.recurs]
        if "team#1" in self.buckets:
            due = [entry for entry in due if entry[1] != 1]
        if not self.is_closed:
            due.append((ENDS + GRACE, 2, "2026-10"))
        return [*due, *self.watch.agenda()]

    def _close(self, bucket: Bucket, at: int) -> None:
        most = Fraction(bucket.package.rollover_up_to or "0")
        bucket.rolled = min(bucket.remaining, most)
        bucket.expired = bucket.remaining - bucket.rolled
        bucket.remaining = Fraction(0)
        bucket.is_open = False
        self.watch.after_closing(bucket.name, at)
        if bucket.package.rollover_up_to:
            name, ends = f"{bucket.name}r", bucket.ends + (bucket.ends - bucket.begins)
            rolled = bucket.rolled
            self.buckets[name] = Bucket(name, bucket.package, bucket.ends, ends, rolled, rolled)
            self.watch.after_filling(name, at)


def _output_amount(tokens: int) -> Fraction:
    first = min(tokens, FIRST_TOKENS)
    return _floored((first * FIRST + (tokens - first) * THEN) / MILLION)


def _floored(amount: Fraction) -> Fraction:
    return Fraction(floor(amount * PICO), PICO)


_Key = TypeVar("_Key")


def _count(sums: dict[_Key, tuple[int, Fraction]], key: _Key, count: int, amount: Fraction) -> None:
    before = sums.get(key, (0, Fraction(0)))
    sums[key] = (before[0] + count, before[1] + amount)
