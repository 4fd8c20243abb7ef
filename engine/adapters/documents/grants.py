"""Grants and limits as people write them: in an accounts document, a bulk file or a file of their own.

The shape of a grant is that of `engine.rating.grant_document`, so what is shown can be given again.
Amounts are decimals of the grant's unit, tokens or money; spans of time are seconds, or days where a
field says so. Left out: a grant is given when it begins, every token counts one unit, and money that
comes back to a bucket that is closed lowers what is due if it was paid for, and is lost if not.
"""

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from engine.adapters.documents.fields import DocumentModel, Moment, Weight
from engine.adapters.documents.matching import MatchDocument
from engine.adapters.documents.reading import validate
from engine.rating.component import Weights
from engine.rating.grant import (
    BREAKAGE,
    CREDIT,
    MONEY,
    ONCE,
    PLAIN_WEIGHTS,
    WHOLE,
    Grant,
    Rollover,
    Thresholds,
)
from engine.rating.limit import ACCOUNT, SPEND, SUBJECT, TOKENS, Limit
from engine.rating.matching import ANYTHING
from engine.rating.money import format_pico, parse_decimal, to_pico
from engine.rating.orders import MAX_AMOUNT_PICO
from engine.rating.pattern import Pattern
from engine.rating.period import instant
from engine.rating.usage import KINDS, MAX_TEXT, MONEY_KINDS, UNPRINTABLE

SECOND = 1_000_000
DAY = 86_400 * SECOND
MAX_DAYS = 366

WEIGHED_KINDS = tuple(kind for kind in KINDS if kind not in MONEY_KINDS)
"""Kinds that a bucket can cover."""


def parse_amount(value: Any, *, signed: bool = False) -> int:
    """Return an amount in pico, of tokens or of money; ValueError says what was expected.

    Above 0 and at most what one order may move; `signed`: below 0 too.
    """
    expected = (
        f"a decimal {'other than 0' if signed else 'above 0'}, of 12 decimals at most and up to "
        f"{format_pico(MAX_AMOUNT_PICO)}"
    )
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(expected)  # noqa: TRY004 - pydantic tells a ValueError to the person
    try:
        pico = to_pico(parse_decimal(str(value)))
    except ValueError as error:
        raise ValueError(expected) from error
    if not 0 < (abs(pico) if signed else pico) <= MAX_AMOUNT_PICO:
        raise ValueError(expected)
    return pico


def _signed(value: Any) -> int:
    return parse_amount(value, signed=True)


def _amount_or_zero(value: Any) -> int:
    return 0 if value in (0, "0") and not isinstance(value, bool) else parse_amount(value)


def _span(value: Any, unit: int) -> int:
    """Return a span of time in us; ValueError says what was expected."""
    most = MAX_DAYS * DAY // unit
    expected = f"a decimal from 0 to {most}, whole to the microsecond"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(expected)  # noqa: TRY004 - pydantic tells a ValueError to the person
    try:
        span: Fraction = parse_decimal(str(value)) * unit
    except ValueError as error:
        raise ValueError(expected) from error
    if not 0 <= span <= MAX_DAYS * DAY or span.denominator != 1:
        raise ValueError(expected)
    return span.numerator


def _seconds(value: Any) -> int:
    return _span(value, SECOND)


def _days(value: Any) -> int:
    return _span(value, DAY)


def _named(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT and not UNPRINTABLE.search(value):
        return value
    raise ValueError(f"1 to {MAX_TEXT} printable characters")


def _grant_id(value: Any) -> str:
    """Parse the id of a grant: buckets add ``#`` and a number to it, alerts end it with ``/``."""
    try:
        grant_id = _named(value)
    except ValueError as error:
        raise ValueError(f"{error} without # and /") from error
    if "#" in grant_id or "/" in grant_id:
        raise ValueError(f"1 to {MAX_TEXT} printable characters without # and /")
    return grant_id


def _weighed_kind(value: Any) -> str:
    if value not in WEIGHED_KINDS:
        raise ValueError(f"a kind that buckets cover: {', '.join(WEIGHED_KINDS)}")
    return str(value)


_DECIMAL = {
    "anyOf": [{"type": "string", "pattern": r"^(0|[1-9]\d*)(\.\d+)?$"}, {"type": "integer"}]
}
_SIGNED_DECIMAL = {
    "anyOf": [{"type": "string", "pattern": r"^-?(0|[1-9]\d*)(\.\d+)?$"}, {"type": "integer"}]
}
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
Amount = Annotated[int, BeforeValidator(parse_amount), WithJsonSchema(_DECIMAL)]
SignedAmount = Annotated[int, BeforeValidator(_signed), WithJsonSchema(_SIGNED_DECIMAL)]
AmountOrZero = Annotated[int, BeforeValidator(_amount_or_zero), WithJsonSchema(_DECIMAL)]
Seconds = Annotated[int, BeforeValidator(_seconds), WithJsonSchema(_DECIMAL)]
Days = Annotated[int, BeforeValidator(_days), WithJsonSchema(_DECIMAL)]
Named = Annotated[str, BeforeValidator(_named), WithJsonSchema(_TEXT)]
GrantId = Annotated[str, BeforeValidator(_grant_id), WithJsonSchema(_TEXT)]
Percentage = Annotated[int, Field(strict=True, ge=1, le=WHOLE)]
BurnKind = Annotated[
    str, BeforeValidator(_weighed_kind), WithJsonSchema({"enum": [*WEIGHED_KINDS]})
]
BurnWeights = dict[BurnKind, Weight]


class AlertsDocument(DocumentModel):
    """When the account is to be warned of a bucket."""

    used_percents: list[Percentage] = Field(
        default=[*Thresholds().used_percents], description="So much of it is used."
    )
    remaining: list[AmountOrZero] = Field(default=[], description="No more than this remains.")
    expiry_lead_seconds: Seconds | None = Field(
        default=Thresholds().expiry_lead, description="So long before it ends; null: never."
    )
    run_out: bool = Field(
        default=True, strict=True, description="At the pace of 24 hours it is empty before it ends."
    )

    def build(self) -> Thresholds:
        """Return the thresholds."""
        return Thresholds(
            tuple(self.used_percents),
            tuple(self.remaining),
            self.expiry_lead_seconds,
            self.run_out,
        )


class GrantDocument(DocumentModel):
    """Prepaid units, and the buckets that they open."""

    grant_id: GrantId = Field(description="Name within the account; the bucket's too.")
    unit: Literal["tokens", "money"] = Field(description="What it gives.")
    amount: Amount = Field(description="How much; of a recurring grant, each time.")
    valid_from: Moment = Field(description="First time of use that it covers.")
    valid_to: Moment | None = Field(default=None, description="First time of use after it.")
    granted_at: Moment | None = Field(
        default=None, description="Orders it among equals; left out: valid_from."
    )
    priority: Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)] = Field(
        default=0, description="Lower is drawn first."
    )
    weights: BurnWeights | None = Field(
        default=None, description="Units per token by kind; left out: 1 for every kind of token."
    )
    model_weights: dict[str, BurnWeights] = Field(
        default={}, description="Other weights by model, exact or a glob."
    )
    match: MatchDocument | None = Field(default=None, description="Left out: any usage.")
    per_subject_cap: Amount | None = Field(
        default=None, description="Most that one subject may draw from a bucket."
    )
    recurs: Literal["day", "week", "calendar_month", "year"] | None = Field(
        default=None, description="Opens a bucket again and again."
    )
    anchor: Moment | None = Field(
        default=None, description="From where recurrences count; left out: valid_from."
    )
    rollover_up_to: AmountOrZero | None = Field(
        default=None, description="Most that lives on when a bucket closes."
    )
    rollover_at_least: AmountOrZero | None = Field(
        default=None, description="Least that the next bucket gets."
    )
    grace_seconds: Seconds | None = Field(
        default=None, description="How late a bucket closes; left out: the account's grace."
    )
    grace_days: Days | None = Field(default=None, description="The same, in days.")
    paid: bool = Field(default=False, strict=True, description="The customer paid for it.")
    returns: Literal["credit", "breakage"] | None = Field(
        default=None, description="What becomes of money that comes back to a closed bucket."
    )
    alerts: AlertsDocument | None = Field(default=None, description="When to warn of it.")

    @model_validator(mode="after")
    def _is_one_grant(self) -> "GrantDocument":
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to after valid_from")
        if self.unit == MONEY and (self.weights or self.model_weights):
            raise ValueError("weights only with unit tokens: money pays for amounts")
        if self.anchor is not None and self.recurs is None:
            raise ValueError("anchor only with recurs")
        if self.grace_seconds is not None and self.grace_days is not None:
            raise ValueError("either grace_seconds or grace_days")
        most, least = self.rollover_up_to, self.rollover_at_least
        if least is not None and (most is None or most < least):
            raise ValueError("rollover_at_least with a rollover_up_to that is no less")
        if most is not None and self.valid_to is None and self.recurs is None:
            raise ValueError("rollover_up_to with valid_to or recurs: what never ends, never rolls")
        return self

    def build(self) -> Grant:
        """Return the grant."""
        start = instant(self.valid_from)
        return Grant(
            self.grant_id,
            self.unit,
            self.amount,
            start,
            None if self.valid_to is None else instant(self.valid_to),
            start if self.granted_at is None else instant(self.granted_at),
            self.priority,
            PLAIN_WEIGHTS if self.weights is None else _ordered(self.weights),
            tuple(
                (_model_pattern(model), _ordered(weights))
                for model, weights in self.model_weights.items()
            ),
            ANYTHING if self.match is None else self.match.build(),
            self.per_subject_cap,
            self.recurs or ONCE,
            None if self.anchor is None else instant(self.anchor),
            self._rollover(),
            self.grace_days if self.grace_seconds is None else self.grace_seconds,
            self.paid,
            self.returns or (CREDIT if self.paid else BREAKAGE),
            Thresholds() if self.alerts is None else self.alerts.build(),
        )

    def _rollover(self) -> Rollover | None:
        if self.rollover_up_to is None:
            return None
        return Rollover(self.rollover_up_to, self.rollover_at_least or 0)


class LimitDocument(DocumentModel):
    """How much an account, or each of its subjects, may use in a day or a billing period."""

    limit_id: Named = Field(description="Name within the account.")
    spend: Amount | None = Field(default=None, description="In the account's currency.")
    tokens: Amount | None = Field(default=None, description="Tokens of any kind.")
    per: Literal["day", "billing_period"] = Field(
        default="billing_period", description="In the account's time zone."
    )
    each_subject: bool = Field(
        default=False, strict=True, description="For each subject by itself."
    )
    subject: Named | None = Field(default=None, description="For this subject only.")
    warn_at: list[Percentage] = Field(default=[80], description="Percentages that warn.")
    remove: bool = Field(default=False, strict=True, description="Take the limit away.")

    @model_validator(mode="after")
    def _is_one_limit(self) -> "LimitDocument":
        amounts = [amount for amount in (self.spend, self.tokens) if amount is not None]
        if len(amounts) != (0 if self.remove else 1):
            raise ValueError("either spend, tokens or remove")
        if self.subject is not None and self.each_subject:
            raise ValueError("either subject or each_subject")
        return self

    def build(self) -> Limit:
        """Return the limit; one that is to be removed has no amount."""
        by_subject = self.each_subject or self.subject is not None
        return Limit(
            self.limit_id,
            SPEND if self.tokens is None else TOKENS,
            SUBJECT if by_subject else ACCOUNT,
            self.subject or "",
            self.per,
            self.tokens if self.spend is None else self.spend,
            tuple(self.warn_at),
        )


def _ordered(weights: dict[str, Fraction]) -> Weights:
    return tuple((kind, weights[kind]) for kind in WEIGHED_KINDS if kind in weights)


def _model_pattern(model: str) -> Pattern:
    return Pattern(glob=model) if "*" in model or "?" in model else Pattern(choices=(model,))


def parse_grant(data: Any, name: str) -> Grant:
    """Return the grant that a document describes; InvalidFile with every problem otherwise."""
    return validate(GrantDocument, data, name, GrantDocument.build)


def parse_limit(data: Any, name: str) -> Limit:
    """Return the limit that a document describes; InvalidFile with every problem otherwise."""
    return validate(LimitDocument, data, name, LimitDocument.build)
