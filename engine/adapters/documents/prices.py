"""Prices as people write them: one document shape per price model."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.adapters.documents.fields import DocumentModel, Percent, Price, Whole
from engine.rating.price import Increment, Tier
from engine.rating.price import Price as PriceModel

Basis = Literal["quantity", "supplier_cost"]
Rounding = Literal["up", "down"]


class _Incremented(DocumentModel):
    increment: Whole | None = Field(
        default=None, description="Units count in whole increments of so many."
    )
    increment_rounding: Rounding | None = Field(
        default=None, description="Whether a started increment counts (up, the default) or not."
    )

    @model_validator(mode="after")
    def _rounding_needs_an_increment(self) -> "_Incremented":
        if self.increment is None and self.increment_rounding is not None:
            raise ValueError("increment_rounding only with increment")
        return self

    def counted(self) -> Increment | None:
        """Return the increment, if any."""
        if self.increment is None:
            return None
        return Increment(self.increment, self.increment_rounding == "down")


class TierDocument(_Incremented):
    """Units up to and including `up_to` (the last tier has none) at a price."""

    up_to: Whole | None = Field(default=None, description="The tier's last unit.")
    unit_price: Price | None = Field(default=None, description="For `per` units; default 0.")
    flat_fee: Price = Field(default=Fraction(0), description="Due on entering the tier.")

    @model_validator(mode="after")
    def _costs_something_or_says_so(self) -> "TierDocument":
        if self.unit_price is None and "flat_fee" not in self.model_fields_set:
            raise ValueError("unit_price or flat_fee")
        return self

    def build(self) -> Tier:
        """Return the tier."""
        return Tier(self.up_to, self.unit_price or Fraction(0), self.flat_fee, self.counted())


class ShareTierDocument(DocumentModel):
    """Currency units up to and including `up_to` at a share of them."""

    up_to: Whole | None = Field(default=None, description="The tier's last currency unit.")
    rate_percent: Percent = Field(default=Fraction(0), description="Share in percent.")
    flat_fee: Price = Field(default=Fraction(0), description="Due on entering the tier.")

    def build(self) -> Tier:
        """Return the tier."""
        return Tier(self.up_to, self.rate_percent / 100, self.flat_fee)


class UnitPriceDocument(_Incremented):
    """Every unit at the same price."""

    model: Literal["unit"]
    unit_price: Price = Field(description="For `per` units.")
    per: Whole = Field(default=1, description="Units that a unit price is for.")

    def build(self) -> PriceModel:
        """Return the price."""
        return PriceModel("unit", (Tier(None, self.unit_price),), self.per, self.counted())


class PackagePriceDocument(DocumentModel):
    """Whole packages of units; a started one is paid in full, unless rounding is down."""

    model: Literal["package"]
    package_size: Whole = Field(description="Units in a package.")
    package_price: Price = Field(description="Price of a package.")
    free_units: Annotated[int, Field(strict=True, ge=0, le=10**15)] = Field(
        default=0, description="Units before the first package."
    )
    rounding: Rounding = Field(
        default="up", description="Whether a started package is paid (up) or free (down)."
    )

    def build(self) -> PriceModel:
        """Return the price."""
        return PriceModel(
            "package",
            (Tier(None, self.package_price),),
            self.package_size,
            Increment(self.package_size, self.rounding == "down"),
            self.free_units,
        )


class _TieredDocument(_Incremented):
    tiers: list[TierDocument] = Field(min_length=1, description="They ascend; the last is open.")
    per: Whole = Field(default=1, description="Units that a unit price is for.")

    @model_validator(mode="after")
    def _tiers_ascend(self) -> "_TieredDocument":
        _require_ascending([tier.up_to for tier in self.tiers])
        return self

    def tiered(self, name: str) -> PriceModel:
        """Return the price by the model's name."""
        tiers = tuple(tier.build() for tier in self.tiers)
        return PriceModel(name, tiers, self.per, self.counted())


class GraduatedPriceDocument(_TieredDocument):
    """Each tier's units at that tier's price."""

    model: Literal["graduated"]

    def build(self) -> PriceModel:
        """Return the price; one open tier without a fee is the model `unit`."""
        price = self.tiered("graduated")
        first = price.tiers[0]
        if len(price.tiers) == 1 and not first.flat_fee and first.increment is None:
            return self.tiered("unit")
        return price


class VolumePriceDocument(_TieredDocument):
    """All units at the price of the tier that they reach together."""

    model: Literal["volume"]

    def build(self) -> PriceModel:
        """Return the price."""
        return self.tiered("volume")


class FlatPriceDocument(DocumentModel):
    """One amount, due with the first use in the period."""

    model: Literal["flat"]
    amount: Price = Field(description="Due once per period.")

    def build(self) -> PriceModel:
        """Return the price."""
        return PriceModel("flat", (Tier(None, Fraction(0), self.amount),))


class PercentagePriceDocument(DocumentModel):
    """A share of money: of the usage's own, or of what the supplier takes for it."""

    model: Literal["percentage"]
    rate_percent: Percent = Field(description="Share in percent.")
    of: Basis = Field(default="quantity", description="The money that is shared.")

    def build(self) -> PriceModel:
        """Return the price."""
        return PriceModel("percentage", (Tier(None, self.rate_percent / 100),), of=self.of)


class GraduatedPercentagePriceDocument(DocumentModel):
    """Each tier's currency units at that tier's share."""

    model: Literal["graduated_percentage"]
    tiers: list[ShareTierDocument] = Field(
        min_length=1, description="They ascend; the last is open."
    )
    of: Basis = Field(default="quantity", description="The money that is shared.")

    @model_validator(mode="after")
    def _tiers_ascend(self) -> "GraduatedPercentagePriceDocument":
        _require_ascending([tier.up_to for tier in self.tiers])
        return self

    def build(self) -> PriceModel:
        """Return the price."""
        tiers = tuple(tier.build() for tier in self.tiers)
        return PriceModel("graduated_percentage", tiers, of=self.of)


PriceDocument = Annotated[
    UnitPriceDocument
    | PackagePriceDocument
    | GraduatedPriceDocument
    | VolumePriceDocument
    | FlatPriceDocument
    | PercentagePriceDocument
    | GraduatedPercentagePriceDocument,
    Field(discriminator="model"),
]
"""A price: `model` says which."""


def _require_ascending(bounds: list[int | None]) -> None:
    if bounds[-1] is not None:
        raise ValueError("a last tier without up_to")
    closed = [bound for bound in bounds if bound is not None]
    if len(closed) != len(bounds) - 1 or closed != sorted(set(closed)):
        raise ValueError("tiers with growing up_to, and only the last without")
