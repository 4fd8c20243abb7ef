"""OpenMeter's burn-down of grants, run with a grant, a command or usage for everything it says.

What it says of a period is read just before its end, so what ends there still counts; but where a
grant recurs or is reset at the very end, it is read then. Usage that no grant covers is *overage*.
There it comes out of the next grant; here it is priced at once, so the records where that makes a
difference are named, and not compared.
"""

from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

from engine.rating.charge import USAGE, Charge
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, format_instant
from tests.vectors.prepaid_account import ANY, ONE_EACH, PrepaidAccount, draws, uncovered
from tests.vectors.recorded_grants import Recorded, in_order, read_grants, terms_of
from tests.vectors.records import COUNT, Record, number, text
from tests.vectors.shapes import Shown, first, known_time, moment, only


class Period(NamedTuple):
    """What a record runs through: [start, until), its resets in order, and usage by time."""

    start: int
    until: int
    resets: list[int]
    keeps_overage: bool
    usage: list[tuple[int, Fraction]]
    balances: dict[str, Fraction]
    overage: Fraction
    grant_usage: Fraction


def read_period(record: Record) -> Period:
    """Return the period of a record; usage outside of it is not in what it starts with."""
    only(
        record,
        *("grants", "usage", "start", "until", "starting_balances", "starting_overage"),
        *("starting_grant_usage", "starting_total_grant_usage"),
        *("resets", "reset_preserves_overage"),
    )
    start, until = moment(record["start"]), moment(record["until"])
    for row in record["usage"]:
        only(row, "at", "amount")
    usage = [(moment(row["at"]), number(row["amount"])) for row in record["usage"]]
    return Period(
        start,
        until,
        sorted(map(moment, record.get("resets") or ())),
        bool(record.get("reset_preserves_overage")),
        sorted(entry for entry in usage if start <= entry[0] < until and entry[1]),
        {name: number(value) for name, value in (record.get("starting_balances") or {}).items()},
        number(record.get("starting_overage")),
        number(first(record, "starting_grant_usage", "starting_total_grant_usage")),
    )


class BurnDown:
    """A record, run to its end."""

    def __init__(self, record: Record) -> None:
        self.period = read_period(record)
        self.grants = read_grants(record)
        amounts = [amount for _, amount in self.period.usage]
        amounts += [part for g in self.grants for part in (g.amount, g.most, g.least)]
        amounts += [*self.period.balances.values(), self.period.overage]
        self.scale = lcm(*(amount.denominator for amount in amounts))
        price = {**ONE_EACH["price"], "per": self.scale}
        self.acme = PrepaidAccount({**ONE_EACH, "price": price})
        self.uncovered: list[tuple[int, Fraction]] = []
        self.issued: dict[str, list[str]] = {grant.name: [] for grant in self.grants}
        self._ends: list[tuple[int, str]] = []
        priorities = in_order(self.grants)
        for grant in self.grants:
            self._issue(grant, priorities[grant.name])
        self._begin()
        self._run()
        self.balances = self._close()

    def _issue(self, grant: Recorded, priority: int) -> None:
        """Give a grant: its bucket ends where a reset falls into it, and rolls over."""
        is_one = grant.amount and grant.begins < min(LAST_INSTANT, grant.ends or LAST_INSTANT)
        for terms in terms_of(grant, self.scale, self.period.until) if is_one else ():
            reset = next(iter(resets_of(grant, self.period)), None)
            if reset is not None:
                terms.update(self._until_reset(grant, reset))
            name = terms.pop("grant_id")
            self.acme.give(name, grant.amount, priority=priority, **terms)
            self.issued[grant.name].append(name)
            if grant.voided is not None:
                self._ends.append((max(grant.voided, FIRST_INSTANT), name))

    def _until_reset(self, grant: Recorded, reset: int) -> dict[str, Any]:
        """Return the terms of a bucket that ends at a reset, as long as what it rolls into."""
        terms: dict[str, Any] = {"valid_to": format_instant(reset)}
        if grant.most:
            if grant.over < self.period.until:
                self._ends.append((grant.over, grant.name))
            terms["begins"] = begins_for(grant, reset, self.period)
            terms["rollover_up_to"] = text(grant.most)
            terms["rollover_at_least"] = text(min(grant.least, grant.most))
        return terms

    def _begin(self) -> None:
        """Bring every grant that is active at the start to the balance it starts with."""
        self._pass(self.period.start)
        for grant in self.grants:
            at = self.period.start
            begins_full = grant.begins >= at or grant.recurs_at(at)
            balance = self.period.balances.get(grant.name)
            if balance is None or begins_full or not grant.is_active(at):
                continue
            held = map(self.acme.holding, self.issued[grant.name])
            bucket = next((bucket for bucket in held if bucket), None)
            if bucket is None:
                continue
            used = self.acme.remaining(bucket.grant.grant_id) - balance
            if used > 0:
                self.acme.use({COUNT: used * self.scale}, model=bucket.grant.grant_id)
            elif used < 0:
                self.acme.recharge(bucket.bucket_id, -used)

    def _pass(self, until: int) -> None:
        """Let time pass; grants are taken back when the record says so."""
        due = [entry for entry in sorted(self._ends) if entry[0] <= until]
        self._ends = [entry for entry in self._ends if entry not in due]
        for at, name in due:
            self.acme.advance(at)
            if any(not bucket.is_closed for bucket in self.acme.buckets(name)):
                self.acme.void(name)
        self.acme.advance(until)

    def _run(self) -> None:
        for at, amount in self.period.usage:
            self._pass(at)
            charge = self.acme.use({COUNT: amount * self.scale})
            self.uncovered.append((at, Fraction(uncovered(charge), self.scale)))

    def _close(self) -> dict[str, Fraction]:
        """Return what is left of each grant at the end."""
        self._pass(self.period.until - (not self.has_last_instant))
        return {grant.name: self._balance(grant) for grant in self.grants}

    @property
    def has_last_instant(self) -> bool:
        """Whether the end itself counts: a reset or a recurrence falls on it."""
        until = self.period.until
        return until in self.period.resets or any(grant.recurs_at(until) for grant in self.grants)

    def _balance(self, grant: Recorded) -> Fraction:
        if grant.begins > self.acme.now:
            return Fraction(0)
        return sum(map(self.acme.remaining, self.issued[grant.name]), Fraction(0))

    def opens(self, after: int, before: int | None) -> bool:
        """Whether a bucket opens after an instant, and before another one if there is one."""
        for grant in self.grants:
            for name in self.issued[grant.name]:
                for bucket in self.acme.buckets(name):
                    is_first = bucket.valid_from <= grant.begins
                    at = grant.begins if is_first else bucket.valid_from
                    until = self.period.until - (not self.has_last_instant)
                    within = after < at <= until and (before is None or at < before)
                    if within and at < grant.over and bucket.granted:
                        return True
        return False

    @property
    def _since_reset(self) -> int:
        """When the last reset was, or the start."""
        return max([self.period.start, *self.period.resets])

    @property
    def overage(self) -> Fraction:
        """What no grant has covered, since a reset has dropped it."""
        total = sum((units for _, units in self.uncovered), Fraction(0))
        assert self.acme.due == total, "what is not covered is due, at 1 each"
        if not self.period.keeps_overage and self.period.resets:
            return sum((u for at, u in self.uncovered if at >= self._since_reset), Fraction(0))
        return total + self.period.overage

    @property
    def used(self) -> Fraction:
        """What grants have covered since the last reset."""
        covered = sum(
            line.covered
            for charge in self._reported()
            if charge.occurred_at >= self._since_reset
            for line in charge.lines
        )
        return Fraction(covered, self.scale) + self.period.grant_usage

    def _reported(self) -> list[Charge]:
        return [c for c in self.acme.charges if c.kind == USAGE and c.model == ANY]

    @property
    def segments(self) -> list[int]:
        """When each span that OpenMeter reports begins: where grants begin, end, recur, are reset."""
        until = self.period.until
        found = {self.period.start, *self.period.resets}
        for grant in self.grants:
            found |= {at for at in (grant.begins, grant.ends, grant.voided) if at is not None}
            found |= set(grant.recurrences(until))
        spans = sorted(at for at in found if self.period.start <= at < until)
        return spans + [until] * self.has_last_instant

    def by_segment(self, usage: list[tuple[int, Fraction]]) -> list[Fraction]:
        """Return amounts by the span that they fall in."""
        begins = self.segments
        ends = [*begins[1:], self.period.until]
        return [
            sum((amount for at, amount in usage if begin <= at < end), Fraction(0))
            for begin, end in zip(begins, ends, strict=True)
        ]

    def shown(self) -> Shown:
        """Return what records may expect."""
        period = self.period
        reported = [
            (c.occurred_at, Fraction(sum(line.quantity for line in c.lines), self.scale))
            for c in self._reported()
        ]
        before_reset = [e for e in self.uncovered if period.resets and e[0] < period.resets[0]]
        return {
            "balances": lambda: self.balances,
            "overage": lambda: self.overage,
            "segments": lambda: Fraction(len(self.segments)),
            "segment_usage": lambda: self.by_segment(reported),
            "segment_overage": lambda: self.by_segment(self.uncovered),
            "overage_before_reset": lambda: sum((u for _, u in before_reset), Fraction(0)),
            "total_balance": lambda: sum(self.balances.values(), Fraction(0)),
            "total_grant_usage": lambda: self.used,
            "total_usage": lambda: sum((u for _, u in reported), Fraction(0)),
            "order": lambda: draw_order(self.acme, self.grants),
        }


def draw_order(acme: PrepaidAccount, grants: list[Recorded]) -> list[str]:
    """Return the names of grants in the order in which their buckets are drawn."""
    names = {grant.name for grant in grants}
    return [name for name in acme.account.prepaid.open_buckets if name in names]


def resets_of(grant: Recorded, period: Period) -> list[int]:
    """Return the resets that change what is left of a grant."""
    if grant.is_kept:
        return []
    falling = [at for at in period.resets if grant.begins < at < grant.over]
    return [at for at in falling if not grant.recurs_at(at)]


def begins_for(grant: Recorded, reset: int, period: Period) -> int:
    """Return when a bucket has to begin to roll into one that lasts to the end of what is asked."""
    end = min(grant.over, period.until + 1)
    return known_time(min(grant.begins, reset - (end - reset)))


def burn_order(record: Record) -> Shown:
    """Return the order in which grants are drawn: of their buckets, and of usage that needs all."""
    only(record, "grants")
    grants = read_grants(record)
    acme, priorities = PrepaidAccount(ONE_EACH), in_order(grants)
    for grant in grants:
        (terms,) = terms_of(grant, 1, LAST_INSTANT)
        name = terms.pop("grant_id")
        acme.give(name, grant.amount, priority=priorities[grant.name], **terms)
    order = draw_order(acme, grants)
    at = max(grant.begins for grant in grants)
    if all(grant.is_active(at) for grant in grants):
        acme.advance(at)
        needed = sum((grant.amount for grant in grants), Fraction(0))
        drawn = [name for name, _ in draws(acme.use({COUNT: needed}))]
        assert drawn == order, "buckets are drawn in their order"
    return {name: lambda: order for name in ("order", "burn_order", "grant_order", "ids")}
