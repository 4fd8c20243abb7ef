"""Grants: prepaid units, and the buckets that they open.

A grant gives an amount of tokens or of money, to be used in [valid_from, valid_to). Tokens are
counted by *burn weights*: units per token of a kind, fixed in the grant; a kind without a weight is
not covered. A grant without recurrence opens one bucket, of its own id. A recurring one opens a bucket
per occurrence, ``id#0``, ``id#1`` and so on: occurrences count from the anchor in the account's time
zone, clamped to the end of a month. What a bucket may roll over goes into one more, ``...r`` (semantics
section 3).
"""

from datetime import date
from fractions import Fraction
from typing import NamedTuple

from engine.rating.component import Weights
from engine.rating.errors import Refusal
from engine.rating.matching import ANYTHING, Match
from engine.rating.money import LIMIT_PICO, PICO
from engine.rating.pattern import Pattern
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, FrozenZone, format_instant
from engine.rating.usage import KINDS, MAX_TEXT, MONEY_KINDS, PARTS, TOKEN_KINDS, UNPRINTABLE

TOKENS = "tokens"
MONEY = "money"
UNITS = (TOKENS, MONEY)

ONCE = ""
RECURRENCES = (ONCE, "day", "week", "calendar_month", "year")

CREDIT = "credit"
BREAKAGE = "breakage"
RETURNS = (CREDIT, BREAKAGE)
"""What becomes of money that comes back to a closed bucket: it lowers what is due, or is lost."""

PLAIN_WEIGHTS: Weights = tuple((kind, Fraction(1)) for kind in TOKEN_KINDS if kind not in PARTS)
"""Every token counts one unit; a part (`PARTS`) as what it belongs to."""

WHOLE = 100
"""Percent."""

MAX_THRESHOLDS = 20
MAX_MODEL_WEIGHTS = 1_000
MAX_WEIGHT = 10**12
MAX_ID = 64
"""Characters of a grant's id: it stands in every charge that draws from its buckets."""

MAX_PAST_BUCKETS = 400
"""How many occurrences of a grant may lie in the past when it is received."""

_DAY = 86_400 * 1_000_000
_WEEK_DAYS = 7
_YEAR_MONTHS = 12
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


class Rollover(NamedTuple):
    """What of a bucket lives on when it closes, in pico units: min(most, max(least, remaining))."""

    most: int
    least: int = 0

    def amount(self, remaining: int) -> int:
        """Return what the successor gets."""
        return min(self.most, max(self.least, remaining))


class Thresholds(NamedTuple):
    """When the account is to be warned of a bucket.

    `used_percents` of what was granted; `remaining` in pico units; `expiry_lead` us before it ends;
    `run_out`: when it would be empty before it ends, at the pace of the last 24 hours.
    """

    used_percents: tuple[int, ...] = (80, 100)
    remaining: tuple[int, ...] = ()
    expiry_lead: int | None = 3 * _DAY
    run_out: bool = True


class Grant(NamedTuple):
    """Prepaid units. Amounts in pico units (of money: pico); times in us UTC; None: open.

    `weights` and `model_weights`: units per token. Buckets are drawn by `priority` (lower first), then
    earlier end, earlier `granted_at`, bucket id. `per_subject_cap`: what one subject may draw from a
    bucket. `grace`: how long after its end a bucket closes (None: the account's). `returns`: see RETURNS.
    """

    grant_id: str
    unit: str
    amount: int
    valid_from: int
    valid_to: int | None
    granted_at: int
    priority: int = 0
    weights: Weights = PLAIN_WEIGHTS
    model_weights: tuple[tuple[Pattern, Weights], ...] = ()
    match: Match = ANYTHING
    per_subject_cap: int | None = None
    recurrence: str = ONCE
    anchor: int | None = None
    rollover: Rollover | None = None
    grace: int | None = None
    is_paid: bool = False
    returns: str = BREAKAGE
    thresholds: Thresholds = Thresholds()

    @property
    def recurs(self) -> bool:
        """Whether it opens a bucket again and again."""
        return self.recurrence != ONCE

    def weight_pico(self, kind: str, model: str) -> int:
        """Return the pico units that one token of a kind takes; 0: it is not covered.

        A part (`PARTS`) without a weight of its own takes what the kind takes that it belongs to.
        """
        weight = self._own_weight_pico(kind, model)
        return self.weight_pico(PARTS[kind], model) if not weight and kind in PARTS else weight

    def _own_weight_pico(self, kind: str, model: str) -> int:
        fitting = [entry for entry in self.model_weights if entry[0].matches(model)]
        if fitting:
            of_model = dict(max(fitting, key=lambda entry: entry[0].rank)[1])
            if kind in of_model:
                return int(of_model[kind] * PICO)
        return int(dict(self.weights).get(kind, 0) * PICO)

    def bucket_id(self, index: int) -> str:
        """Return the id of the bucket of an occurrence."""
        return f"{self.grant_id}#{index}" if self.recurs else self.grant_id

    def span(self, index: int, zone: FrozenZone) -> tuple[int, int | None] | None:
        """Return the [from, to) of the bucket of an occurrence; None if there is none."""
        if not self.recurs:
            return (self.valid_from, self.valid_to) if index == 0 else None
        first = _occurrence_at(self, zone)
        start = max(self.valid_from, _boundary(self, first + index, zone))
        end = _boundary(self, first + index + 1, zone)
        if start >= LAST_INSTANT or (self.valid_to is not None and start >= self.valid_to):
            return None
        return start, end if self.valid_to is None else min(end, self.valid_to)


def successor_id(bucket_id: str) -> str:
    """Return the id of the bucket that takes what another one rolls over."""
    return f"{bucket_id}r"


def _occurrence_at(grant: Grant, zone: FrozenZone) -> int:
    """Return the number of the occurrence, counted from the anchor, in which the grant begins."""
    if grant.anchor is None or grant.anchor == grant.valid_from:
        return 0
    day = _DAY * {"day": 1, "week": _WEEK_DAYS, "calendar_month": 31, "year": 366}[grant.recurrence]
    number = (grant.valid_from - grant.anchor) // day
    while _boundary(grant, number + 1, zone) <= grant.valid_from:
        number += 1
    while _boundary(grant, number, zone) > grant.valid_from:
        number -= 1
    return number


def _boundary(grant: Grant, number: int, zone: FrozenZone) -> int:
    """Return where an occurrence begins: the anchor's local time, so many periods later."""
    anchor = grant.valid_from if grant.anchor is None else grant.anchor
    local_day, time_of_day = divmod(zone.local(anchor), _DAY)
    if grant.recurrence == "day":
        local_day += number
    elif grant.recurrence == "week":
        local_day += number * _WEEK_DAYS
    else:
        months = number * (_YEAR_MONTHS if grant.recurrence == "year" else 1)
        local_day = _months_later(local_day, months)
    return zone.first_instant(local_day * _DAY + time_of_day)


def _months_later(local_day: int, months: int) -> int:
    """Return a day so many months later, clamped to the end of its month (days since 1970)."""
    day = date.fromordinal(_EPOCH_DAY + local_day)
    year, month = divmod(day.year * _YEAR_MONTHS + day.month - 1 + months, _YEAR_MONTHS)
    year = min(max(year, _FIRST_YEAR), _LAST_YEAR)
    next_month = date(year + (month + 1) // _YEAR_MONTHS, (month + 1) % _YEAR_MONTHS + 1, 1)
    last = next_month.toordinal() - 1
    return min(date(year, month + 1, 1).toordinal() + day.day - 1, last) - _EPOCH_DAY


def check_grant(grant: Grant) -> Refusal | None:
    """Return why a grant can not be given to anybody, or None."""
    return _check_id(grant.grant_id) or _check_amounts(grant) or _check_times(grant)


def _check_id(grant_id: str) -> Refusal | None:
    is_text = 0 < len(grant_id) <= MAX_ID and not UNPRINTABLE.search(grant_id)
    if is_text and "#" not in grant_id and "/" not in grant_id:
        return None
    return Refusal(
        "invalid_grant",
        f"grant_id: got {grant_id[:MAX_TEXT]!r}, expected 1 to {MAX_ID} printable characters "
        "without # and /",
    )


def _check_amounts(grant: Grant) -> Refusal | None:
    if grant.unit not in UNITS:
        return _invalid("unit", grant.unit, " or ".join(UNITS))
    if not 0 < grant.amount < LIMIT_PICO:
        return _invalid("amount", f"{grant.amount} pico", "above 0 and below 10^38 pico")
    cap, rollover = grant.per_subject_cap, grant.rollover
    if cap is not None and not 0 < cap < LIMIT_PICO:
        return _invalid("per_subject_cap", f"{cap} pico", "above 0 and below 10^38 pico")
    if rollover is not None and not 0 <= rollover.least <= rollover.most < LIMIT_PICO:
        return _invalid("rollover", f"{rollover}", "0 <= least <= most, below 10^38 pico")
    if rollover is not None and grant.valid_to is None and not grant.recurs:
        return _invalid("rollover", "a grant without an end", "a grant with valid_to or recurrence")
    if len(grant.model_weights) > MAX_MODEL_WEIGHTS:
        count = f"{len(grant.model_weights)}"
        return _invalid("model_weights", count, f"at most {MAX_MODEL_WEIGHTS} models")
    weighed = [*grant.weights, *(pair for _, pairs in grant.model_weights for pair in pairs)]
    for kind, weight in weighed:
        is_kind = kind in KINDS and kind not in MONEY_KINDS
        fits = 0 < weight < MAX_WEIGHT and (weight * PICO).denominator == 1
        if not is_kind or not fits:
            return _invalid(
                "weights",
                f"{kind}: {weight}",
                "a kind that is no money, above 0, below a million million, 12 decimals",
            )
    if grant.returns not in RETURNS:
        return _invalid("returns", grant.returns, " or ".join(RETURNS))
    return _check_thresholds(grant.thresholds)


def _check_thresholds(thresholds: Thresholds) -> Refusal | None:
    percents, levels = thresholds.used_percents, thresholds.remaining
    if len(percents) + len(levels) > MAX_THRESHOLDS:
        count = f"{len(percents) + len(levels)}"
        return _invalid("used_percents, remaining", count, f"at most {MAX_THRESHOLDS} thresholds")
    if not all(0 < percent <= WHOLE for percent in percents):
        return _invalid("used_percents", f"{percents}", "each from 1 to 100")
    if not all(0 <= level < LIMIT_PICO for level in levels):
        return _invalid("remaining", "a threshold", "each from 0 to below 10^38 pico")
    return None


def _check_times(grant: Grant) -> Refusal | None:
    for name in ("valid_from", "valid_to", "granted_at", "anchor"):
        moment = getattr(grant, name)
        if moment is not None and not FIRST_INSTANT <= moment <= LAST_INSTANT:
            return _invalid(name, f"{moment} us", "a time from 2000 to 2050")
    if grant.valid_to is not None and grant.valid_to <= grant.valid_from:
        return _invalid("valid_to", f"{grant.valid_to} us", "a time after valid_from")
    if grant.anchor is not None and not grant.recurs:
        return _invalid("anchor", format_instant(grant.anchor), "none, without a recurrence")
    if grant.recurrence not in RECURRENCES:
        return _invalid("recurrence", grant.recurrence, " or ".join(filter(None, RECURRENCES)))
    if grant.recurs and grant.valid_from >= LAST_INSTANT:
        return _invalid(
            "valid_from", f"{grant.valid_from} us", "a time before 2050, where it recurs"
        )
    for name, span in (("grace", grant.grace), ("expiry_lead", grant.thresholds.expiry_lead)):
        if span is not None and not 0 <= span <= 366 * _DAY:
            return _invalid(name, f"{span} us", "0 to 366 days")
    return None


def _invalid(name: str, value: str, expected: str) -> Refusal:
    return Refusal("invalid_grant", f"{name}: got {value[:MAX_TEXT]}, expected {expected}")
