"""Price models, as they stand on a price page.

Seven models say what units cost: `unit`, `package`, `graduated`, `volume`, `flat`, `percentage` and
`graduated_percentage` (semantics section 2). All of them are tiers of one kind: so many units at a
price, with a fee on entering, counted in increments or not. A `Price` holds what was written;
`engine.rating.amount` makes the cumulative amount function of it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

MODELS = (
    "unit",
    "package",
    "graduated",
    "volume",
    "flat",
    "percentage",
    "graduated_percentage",
)
PERCENTAGES = ("percentage", "graduated_percentage")
"""Models whose units are money: a share of it is charged."""

QUANTITY = "quantity"
SUPPLIER_COST = "supplier_cost"
BASES = (QUANTITY, SUPPLIER_COST)
"""What a percentage is of: the usage's own money, or what the supplier takes for the usage."""


class Increment(NamedTuple):
    """Units are counted in whole increments; a started one counts, unless `rounds_down`."""

    units: int
    rounds_down: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """Units up to and including `up_to` (None: open) at `unit_price`; a fee on entering.

    `increment` counts the units inside this tier. In a percentage, `unit_price` is the share of
    one currency unit.
    """

    up_to: int | None
    unit_price: Fraction
    flat_fee: Fraction = Fraction(0)
    increment: Increment | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """One price as it was written: `tiers` ascend and the last one is open.

    `per`: the number of units that a unit price is for. `increment` counts all units before
    anything else; the first `free_units` cost nothing. `of` says what a percentage is of.
    """

    model: str
    tiers: tuple[Tier, ...]
    per: int = 1
    increment: Increment | None = None
    free_units: int = 0
    of: str = QUANTITY

    @property
    def is_volume(self) -> bool:
        """Whether all units cost what the tier reached says; its counters start anew by version."""
        return self.model == "volume"


def unit_price(price: Fraction, per: int = 1) -> Price:
    """Return the price model `unit`: every unit at the same price."""
    return Price("unit", (Tier(None, price),), per)
