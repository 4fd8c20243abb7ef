"""The tariff document: a version as people write it (docs/reference/tariff.md).

The pydantic models state its shape, and give its JSON Schema to editors; `parse_tariff` turns a
document into a `TariffVersion`, whose canonical form and digest no longer depend on how it was
written.
"""

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.adapters.documents.fields import (
    Currency,
    DocumentModel,
    Identifier,
    Kind,
    Markup,
    Moment,
    Money,
    PercentOff,
    Weight,
    Weights,
    Whole,
)
from engine.adapters.documents.matching import MatchDocument
from engine.adapters.documents.prices import PriceDocument
from engine.adapters.documents.reading import validate
from engine.adapters.zones import freeze_zone
from engine.rating.component import WILDCARD, Component, Promotion
from engine.rating.component import Weights as ComponentWeights
from engine.rating.matching import Match
from engine.rating.pattern import Pattern
from engine.rating.period import UTC_ZONE, FrozenZone, instant
from engine.rating.tariff import TariffVersion
from engine.rating.usage import KINDS, MAX_TEXT

Scope = Literal["account", "subject", "model"]
Period = Literal["event", "day", "calendar_month", "billing_period", "lifetime"]


def _models(value: Any) -> Any:
    if isinstance(value, dict) and any(
        not isinstance(model, str) or not 0 < len(model) <= MAX_TEXT for model in value
    ):
        raise ValueError("a mapping of a model, or a glob of models, to weights by kind")
    return value


ModelWeights = Annotated[dict[str, dict[Kind, Weight]], BeforeValidator(_models)]


class ComponentDocument(DocumentModel):
    """One price: what it matches, which kinds it prices, and how."""

    id: Identifier = Field(description="Name within the tariff; its counters carry it.")
    match: MatchDocument | None = Field(default=None, description="Left out: any usage.")
    kinds: Weights = Field(description="The kinds it prices, or their metered units per unit.")
    weights: ModelWeights = Field(default={}, description="Other metered units for some models.")
    price: PriceDocument = Field(description="What the metered units cost.")
    scope: Scope = Field(default="account", description="What is counted together.")
    period: Period = Field(default="event", description="How long it is counted.")
    allowance: Annotated[int, Field(strict=True, ge=0, le=10**15)] = Field(
        default=0, description="Metered units that are free, per period."
    )
    markup_percent: Markup = Field(default=Fraction(0), description="On top of the price.")
    maximum: Money | None = Field(default=None, description="Most that a period costs.")
    minimum: Money | None = Field(default=None, description="Least that a period costs.")

    def build(self) -> Component:
        """Return the component; kinds in canonical order."""
        return Component(
            self.id,
            _ordered(self.kinds),
            self.price.build(),
            self.match.build() if self.match else Match(),
            self.scope,
            self.period,
            tuple(
                (_model_pattern(model), _ordered(weights))
                for model, weights in sorted(self.weights.items())
                if weights
            ),
            self.allowance,
            self.markup_percent,
            self.maximum,
            self.minimum or None,  # a minimum of nothing is none
        )


class PromotionDocument(DocumentModel):
    """Another price for a while, for some usage, or for the first units."""

    id: Identifier = Field(description="Name within the tariff; charge lines carry it.")
    match: MatchDocument | None = Field(default=None, description="Left out: any usage.")
    kinds: Annotated[list[Kind], Field(min_length=1)] = Field(
        default=[WILDCARD], description="Kinds of usage whose price it changes."
    )
    components: list[Identifier] = Field(default=[], description="Left out: all components.")
    percent_off: PercentOff | None = Field(default=None, description="Off the component's price.")
    price: PriceDocument | None = Field(default=None, description="In place of that price.")
    valid_from: Moment | None = Field(default=None, description="First time of use.")
    valid_to: Moment | None = Field(default=None, description="First time of use after it.")
    first_units: Whole | None = Field(default=None, description="Only for so many metered units.")
    first_events: Whole | None = Field(default=None, description="Only for so many events.")
    scope: Scope = Field(default="account", description="Whose first units or events.")
    period: Period = Field(default="lifetime", description="The first of which time.")

    @model_validator(mode="after")
    def _is_one_promotion(self) -> "PromotionDocument":
        if (self.percent_off is None) == (self.price is None):
            raise ValueError("either percent_off or price")
        if self.first_units is not None and self.first_events is not None:
            raise ValueError("either first_units or first_events")
        if (
            self.first_units is None
            and self.first_events is None
            and self.model_fields_set & {"scope", "period"}
        ):
            raise ValueError("scope and period only with first_units or first_events")
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError("valid_to after valid_from")
        return self

    def build(self) -> Promotion:
        """Return the promotion; kinds in canonical order."""
        return Promotion(
            self.id,
            self.match.build() if self.match else Match(),
            tuple(kind for kind in (*KINDS, WILDCARD) if kind in self.kinds),
            tuple(sorted(set(self.components))),
            self.percent_off or Fraction(0),
            None if self.price is None else self.price.build(),
            None if self.valid_from is None else instant(self.valid_from),
            None if self.valid_to is None else instant(self.valid_to),
            self.first_units,
            self.first_events,
            self.scope,
            self.period,
        )


class TariffDocument(DocumentModel):
    """An immutable version of a tariff."""

    tariff_id: Identifier = Field(description="Name of the tariff.")
    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] = Field(
        description="Grows from version to version."
    )
    effective_from: Moment = Field(description="First time of use that it rates.")
    effective_to: Moment | None = Field(default=None, description="First time of use after it.")
    currency: Currency = Field(description="ISO 4217; the same in every version.")
    time_zone: str = Field(default="UTC", description="IANA zone of time windows.")
    time_zone_transitions: (
        list[tuple[Moment, Annotated[int, Field(strict=True, gt=-86400, lt=86400)]]] | None
    ) = Field(default=None, description="Frozen at publication; leave it out.")
    rounding: Literal["half_up", "half_even", "up", "down"] = Field(
        default="half_up", description="Of bill lines, to the currency's minor unit."
    )
    fallback: dict[Kind, Kind] = Field(
        default={}, description="Whose price a kind takes that has none of its own."
    )
    supplier_for: list[Identifier] = Field(
        default=[], description="Providers whose prices to you these are: a supplier tariff."
    )
    components: list[ComponentDocument] = Field(min_length=1, description="The prices.")
    promotions: list[PromotionDocument] = Field(default=[], description="Other prices for some.")

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
            tuple(promotion.build() for promotion in self.promotions),
            tuple(sorted(set(self.supplier_for))),
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


def _ordered(weights: dict[str, Fraction]) -> ComponentWeights:
    return tuple((kind, weights[kind]) for kind in (*KINDS, WILDCARD) if kind in weights)


def _model_pattern(model: str) -> Pattern:
    return Pattern(glob=model) if "*" in model or "?" in model else Pattern(choices=(model,))


def parse_tariff(data: Any, name: str) -> TariffVersion:
    """Return the version that a document describes; InvalidFile with every problem otherwise."""
    return validate(TariffDocument, data, name, TariffDocument.build)
