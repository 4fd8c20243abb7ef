"""The tariff document: a version as people write it (docs/reference/tariff.md).

The pydantic models state its shape, and give its JSON Schema to editors; `parse_tariff` turns a
document into a `TariffVersion`, whose canonical form and digest no longer depend on how it was
written.
"""

import re
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from engine.adapters.documents.reading import validate
from engine.adapters.zones import freeze_zone
from engine.rating.matching import ANY, Match, Pattern
from engine.rating.money import MINOR_UNITS, parse_decimal, to_pico
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, UTC_ZONE, FrozenZone, instant
from engine.rating.price import GraduatedPrice, Tier, unit_price
from engine.rating.tariff import WILDCARD, Component, TariffVersion
from engine.rating.usage import KINDS, MAX_TEXT

MAX_PRICE = 10**9
MAX_WHOLE = 10**15


def _price(value: Any) -> Fraction:
    """Parse a price; text of a decimal, 0 or more."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("a decimal string such as '2.50'")  # noqa: TRY004 - pydantic reports it
    try:
        price = parse_decimal(value)
    except ValueError as error:
        raise ValueError("a decimal string such as '2.50'") from error
    if not 0 <= price < MAX_PRICE:
        raise ValueError(f"a price from 0 to below {MAX_PRICE}")
    return price


def _weight(value: Any) -> Fraction:
    """Parse a weight; above zero, 12 decimals at most."""
    weight = _price(value)
    try:
        to_pico(weight)
    except ValueError as error:
        raise ValueError("a weight of 12 decimals at most") from error
    if weight == 0:
        raise ValueError("a weight above 0")
    return weight


def _kind(value: Any) -> str:
    if value not in (*KINDS, WILDCARD):
        raise ValueError(f"a kind of usage: {', '.join(KINDS)}, or {WILDCARD}")
    return str(value)


def _weights(value: Any) -> Any:
    """Turn a list of kinds into kinds of weight 1."""
    if not isinstance(value, list):
        return value
    if any(not isinstance(kind, str) for kind in value) or len(set(value)) != len(value):
        raise ValueError("a list of kinds, each only once, or a mapping of kinds to weights")
    return dict.fromkeys(value, "1")


def _pattern(value: Any) -> Pattern:
    """Parse a dimension's pattern: an exact text, a glob with * and ?, or a list of texts."""
    texts = value if isinstance(value, list) else [value]
    if not texts or any(
        not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or not text.isprintable()
        for text in texts
    ):
        raise ValueError("a text, a glob with * and ?, or a list of texts")
    globs = [text for text in texts if "*" in text or "?" in text]
    if globs and isinstance(value, list):
        raise ValueError("a list of exact texts (a glob stands alone)")
    return Pattern(glob=value) if globs else Pattern(choices=tuple(sorted(set(texts))))


def _currency(value: Any) -> str:
    if not isinstance(value, str) or value not in MINOR_UNITS:
        raise ValueError("an ISO 4217 currency code")
    return str(value)


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("an RFC 3339 time such as 2026-11-01T00:00:00Z")
    moment = datetime.fromisoformat(value)
    if not FIRST_INSTANT <= instant(moment) <= LAST_INSTANT:
        raise ValueError("a time from 2000 to 2050")
    return moment


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


_DECIMAL_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^(0|[1-9]\d*)(\.\d+)?$"}, {"type": "integer"}]
}
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
Price = Annotated[Fraction, BeforeValidator(_price), WithJsonSchema(_DECIMAL_SCHEMA)]
Weight = Annotated[Fraction, BeforeValidator(_weight), WithJsonSchema(_DECIMAL_SCHEMA)]
Kind = Annotated[
    str, BeforeValidator(_kind), WithJsonSchema({"enum": [*KINDS, WILDCARD], "type": "string"})
]
Whole = Annotated[int, Field(strict=True, ge=1, le=MAX_WHOLE)]
Currency = Annotated[str, BeforeValidator(_currency)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Identifier = Annotated[str, Field(strict=True, pattern=r"^[!-~]{1,128}$")]
Weights = Annotated[
    dict[Kind, Weight],
    BeforeValidator(_weights, json_schema_input_type=list[Kind] | dict[Kind, Weight]),
    Field(min_length=1),
]
TextPattern = Annotated[
    Pattern, BeforeValidator(_pattern), WithJsonSchema({"anyOf": [_TEXT, _TEXTS]})
]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class TierDocument(_Document):
    """Units up to and including `up_to` (the last tier has none) at a price."""

    up_to: Whole | None = None
    unit_price: Price
    flat_fee: Price = Field(default=Fraction(0), description="Due on entering the tier.")


class UnitPriceDocument(_Document):
    """Every unit at the same price."""

    model: Literal["unit"]
    unit_price: Price
    per: Whole = 1

    def build(self) -> GraduatedPrice:
        """Return the price model."""
        return unit_price(self.unit_price, self.per)


class GraduatedPriceDocument(_Document):
    """Each tier's units at that tier's price."""

    model: Literal["graduated"]
    tiers: list[TierDocument] = Field(min_length=1)
    per: Whole = 1

    @model_validator(mode="after")
    def _tiers_ascend(self) -> "GraduatedPriceDocument":
        bounds = [tier.up_to for tier in self.tiers]
        if bounds[-1] is not None:
            raise ValueError("a last tier without up_to")
        closed = [bound for bound in bounds if bound is not None]
        if len(closed) != len(bounds) - 1 or closed != sorted(set(closed)):
            raise ValueError("tiers with growing up_to, and only the last without")
        return self

    def build(self) -> GraduatedPrice:
        """Return the price model."""
        tiers = tuple(Tier(tier.up_to, tier.unit_price, tier.flat_fee) for tier in self.tiers)
        return GraduatedPrice(tiers, self.per)


class MatchDocument(_Document):
    """What an event must be: a text, a list of texts, or a glob with * and ?, per dimension."""

    model: TextPattern | None = None
    provider: TextPattern | None = None
    operation: TextPattern | None = None
    service_tier: TextPattern | None = None
    context_above: Annotated[int, Field(strict=True, ge=0, le=MAX_WHOLE)] | None = None

    def build(self) -> Match:
        """Return the match."""
        return Match(
            self.model or ANY,
            self.provider or ANY,
            self.operation or ANY,
            self.service_tier or ANY,
            self.context_above,
        )


class ComponentDocument(_Document):
    """One price: what it matches, which kinds it prices, and how."""

    id: Identifier
    match: MatchDocument | None = None
    kinds: Weights
    price: UnitPriceDocument | GraduatedPriceDocument = Field(discriminator="model")
    scope: Literal["account", "subject", "model"] = "account"
    period: Literal["event", "day", "calendar_month", "billing_period", "lifetime"] = "event"

    def build(self) -> Component:
        """Return the component; kinds in canonical order."""
        kinds = [kind for kind in (*KINDS, WILDCARD) if kind in self.kinds]
        ordered = tuple((kind, self.kinds[kind]) for kind in kinds)
        match = self.match.build() if self.match else Match()
        return Component(self.id, ordered, self.price.build(), match, self.scope, self.period)


class TariffDocument(_Document):
    """An immutable version of a tariff."""

    tariff_id: Identifier
    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
    effective_from: Moment
    effective_to: Moment | None = None
    currency: Currency
    time_zone: str = "UTC"
    time_zone_transitions: (
        list[tuple[Moment, Annotated[int, Field(strict=True, gt=-86400, lt=86400)]]] | None
    ) = Field(default=None, description="Frozen at publication; leave it out.")
    rounding: Literal["half_up", "half_even", "up", "down"] = "half_up"
    fallback: dict[Kind, Kind] = {}
    components: list[ComponentDocument] = Field(min_length=1)

    @model_validator(mode="after")
    def _interval_is_not_empty(self) -> "TariffDocument":
        if self.effective_to is not None and self.effective_to <= self.effective_from:
            raise ValueError("effective_to after effective_from")
        moments = [at for at, _ in self.time_zone_transitions or []]
        if moments != sorted(set(moments)):
            raise ValueError("time_zone_transitions that ascend")
        if WILDCARD in (*self.fallback, *self.fallback.values()):
            raise ValueError("a fallback from one kind to another")
        return self

    def build(self) -> TariffVersion:
        """Return the version. InvalidDocument if its components contradict each other."""
        return TariffVersion(
            self.tariff_id,
            self.version,
            instant(self.effective_from),
            self.currency,
            tuple(component.build() for component in self.components),
            None if self.effective_to is None else instant(self.effective_to),
            self._zone(),
            self.rounding,
            tuple(sorted(self.fallback.items(), key=lambda pair: KINDS.index(pair[0]))),
        )

    def _zone(self) -> FrozenZone:
        if self.time_zone == UTC_ZONE.name:
            return UTC_ZONE
        if self.time_zone_transitions is None:
            return freeze_zone(self.time_zone)
        instants = tuple(instant(at) for at, _ in self.time_zone_transitions)
        return FrozenZone(
            self.time_zone, instants, tuple(offset for _, offset in self.time_zone_transitions)
        )


def parse_tariff(data: Any, name: str) -> TariffVersion:
    """Return the version that a document describes; InvalidFile with every problem otherwise."""
    return validate(TariffDocument, data, name, TariffDocument.build)
