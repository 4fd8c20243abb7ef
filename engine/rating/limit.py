"""Limits: how much an account, or each of its subjects, may use in a day or a billing period.

The engine never refuses usage that has happened; a limit that is reached is a state that a gateway
reads before the next call. What counts against a limit is what charges come to (`spend`) or the
tokens that they are for (`tokens`), by the time of use. A limit counts from when it is set; a spend
limit of the whole account and billing period counts from the period's beginning.
"""

from typing import NamedTuple

from engine.rating.charge import Charge
from engine.rating.errors import Refusal
from engine.rating.money import LIMIT_PICO, PICO
from engine.rating.month import month_of
from engine.rating.period import FrozenZone, period_label
from engine.rating.usage import MAX_TEXT, TOKEN_KINDS, UNPRINTABLE

SPEND = "spend"
TOKENS = "tokens"
MEASURES = (SPEND, TOKENS)

ACCOUNT = "account"
SUBJECT = "subject"
SCOPES = (ACCOUNT, SUBJECT)

DAY = "day"
BILLING_PERIOD = "billing_period"
PERIODS = (DAY, BILLING_PERIOD)

_REACHED_PERCENT = 100


class Limit(NamedTuple):
    """A limit of `amount` pico (of money or tokens); None takes the limit of this id away.

    Scope `subject` limits each subject by itself, or the one that `subject` names. Beside reaching
    it, `percents` of it raise alerts.
    """

    limit_id: str
    measure: str
    scope: str
    subject: str
    period: str
    amount: int | None
    percents: tuple[int, ...] = (80,)

    @property
    def levels(self) -> tuple[int, ...]:
        """Every percentage that raises an alert; the last one is the limit itself."""
        return (*sorted({p for p in self.percents if p < _REACHED_PERCENT}), _REACHED_PERCENT)

    def concerns(self, subject: str) -> bool:
        """Whether usage of a subject counts."""
        return self.scope == ACCOUNT or (bool(subject) and self.subject in ("", subject))


Counted = tuple[str, str]
"""What is counted by itself: a limit's id and, if it is by subject, the subject."""

_KEPT_PERIODS = 3
"""Late usage counts in its own period as long as no more than two later ones have begun."""


def counted(limit: Limit, subject: str) -> Counted:
    """Return where usage of a subject counts."""
    return limit.limit_id, subject if limit.scope == SUBJECT else ""


def period_of(limit: Limit, zone: FrozenZone, at: int) -> str:
    """Return the label of the period in which usage at an instant counts."""
    return period_label("day" if limit.period == DAY else "billing_period", zone, at)


def ends_at(label: str, zone: FrozenZone) -> int:
    """Return the first instant after a day or billing month (us UTC)."""
    month = month_of(label, zone)
    return zone.day_after(label) if month is None else month.ends_at


def check_limit(limit: Limit) -> Refusal | None:
    """Return why a limit can not be set, or None."""
    texts = (limit.limit_id, limit.subject)
    unfit = any(len(text) > MAX_TEXT or UNPRINTABLE.search(text) for text in texts)
    if not limit.limit_id or "/" in limit.limit_id or unfit:
        return _invalid(
            "limit_id, subject",
            "/".join(texts),
            f"1 to {MAX_TEXT} printable characters, an id without /",
        )
    for name, allowed in (("measure", MEASURES), ("scope", SCOPES), ("period", PERIODS)):
        value = getattr(limit, name)
        if value not in allowed:
            return _invalid(name, value, " or ".join(allowed))
    if limit.subject and limit.scope != SUBJECT:
        return _invalid("subject", limit.subject, "none, for scope account")
    if limit.amount is not None and not 0 < limit.amount < LIMIT_PICO:
        return _invalid("amount", f"{limit.amount} pico", "above 0 and below 10^38 pico")
    if not all(0 < percent <= _REACHED_PERCENT for percent in limit.percents):
        return _invalid("percents", f"{limit.percents}", "each from 1 to 100")
    return None


class Limits:
    """The limits of one account, and what has been used under each: a part of the account's fold."""

    __slots__ = ("by_id", "by_subject", "over", "uses")

    def __init__(self) -> None:
        self.by_id: dict[str, Limit] = {}
        self.by_subject: dict[str, tuple[str, ...]] = {}
        """Ids of the limits that name a subject, sorted; under no name those that do not."""
        self.over = 0
        """Periods that ended by then (us UTC) raise no alert any more."""
        self.uses: dict[Counted, tuple[tuple[str, int], ...]] = {}
        """What was used by period, in pico; the latest periods, ascending."""

    def concerning(self, subject: str) -> list[Limit]:
        """Return the limits that usage of a subject counts against, by id."""
        ids = self.by_subject.get("", ())
        if subject in self.by_subject and subject:
            ids = tuple(sorted((*ids, *self.by_subject[subject])))
        limits = [self.by_id[limit_id] for limit_id in ids]
        return [limit for limit in limits if limit.concerns(subject)]

    def count(self, charge: Charge, zone: FrozenZone) -> None:
        """Count a charge with an amount against the limits that it concerns."""
        tokens = sum([line.quantity for line in charge.lines if line.kind in TOKEN_KINDS])
        for limit in self.concerning(charge.subject):
            used = charge.amount if limit.measure == SPEND else tokens * PICO
            if used:
                label = period_of(limit, zone, charge.occurred_at)
                self._add(counted(limit, charge.subject), label, used)

    def _add(self, key: Counted, label: str, used: int) -> None:
        """Add to what was used; what is taken back may have been used before the limit was set."""
        by_period = dict(self.uses.get(key, ()))
        by_period[label] = max(0, by_period.get(label, 0) + used)
        self.uses[key] = tuple(sorted(by_period.items()))[-_KEPT_PERIODS:]

    def used(self, limit: Limit, subject: str, label: str) -> int:
        """Return what was used under a limit in a period, in pico."""
        return dict(self.uses.get(counted(limit, subject), ())).get(label, 0)

    def set(self, limit: Limit, spent: dict[str, int]) -> None:
        """Set a limit, or drop it; one that only changes its amount goes on counting.

        `spent`: what the account has spent by billing period, in pico.
        """
        before = self.by_id.pop(limit.limit_id, None)
        likewise = before and before._replace(amount=limit.amount, percents=limit.percents)
        if before and (likewise != limit or limit.amount is None):
            for key in [key for key in self.uses if key[0] == limit.limit_id]:
                del self.uses[key]
        if limit.amount is not None:
            self.by_id[limit.limit_id] = limit
        if likewise != limit or limit.amount is None:
            self.derive(*{limit.subject, before.subject if before else limit.subject})
        kind = (limit.measure, limit.scope, limit.period)
        if limit.amount and likewise != limit and kind == (SPEND, ACCOUNT, BILLING_PERIOD):
            for label, amount in spent.items():
                self._add((limit.limit_id, ""), label, amount)

    def derive(self, *subjects: str) -> None:
        """Work out which limits name these subjects."""
        for subject in subjects:
            named = [name for name, limit in self.by_id.items() if limit.subject == subject]
            self.by_subject.pop(subject, None)
            if named:
                self.by_subject[subject] = tuple(sorted(named))


def _invalid(name: str, value: str, expected: str) -> Refusal:
    return Refusal("invalid_limit", f"{name}: got {value[:MAX_TEXT]!r}, expected {expected}")
