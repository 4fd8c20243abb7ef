"""Price components and promotions: the lines of a price page.

A component prices some kinds of the usage that it matches. A promotion replaces the price of
components for a while, for some, or for the first units; units under it stay in the component's
counter, like units under another version of the tariff.
"""

from dataclasses import dataclass
from fractions import Fraction

from engine.rating.amount import AmountFunction
from engine.rating.matching import ANYTHING, Match
from engine.rating.pattern import Pattern
from engine.rating.price import SUPPLIER_COST, Price
from engine.rating.usage import KINDS, MONEY_KINDS, PARTS, UNEXPLAINED

WILDCARD = "*"
SCOPES = ("account", "subject", "model")
WILDCARD_KINDS = tuple(kind for kind in KINDS if kind not in (*MONEY_KINDS, *PARTS, UNEXPLAINED))
"""The kinds that a wildcard prices: nobody gives away money or tokens that nobody explained. A part
(`PARTS`) it prices as what the part belongs to, by fallback."""

Weights = tuple[tuple[str, Fraction], ...]


@dataclass(frozen=True, slots=True)
class Component:
    """One price of a tariff.

    `weights` maps the kinds it prices (or the wildcard) to metered units per unit of the kind;
    `model_weights` overrides them for models; `scope` and `period` say which quantities are counted
    together. `allowance` is in metered units, `maximum` and `minimum` in pico per period.
    """

    component_id: str
    weights: Weights
    price: Price
    match: Match = ANYTHING
    scope: str = "account"
    period: str = "event"
    model_weights: tuple[tuple[Pattern, Weights], ...] = ()
    allowance: int = 0
    markup_percent: Fraction = Fraction(0)
    maximum: int | None = None
    minimum: int | None = None

    @property
    def name(self) -> str:
        """How people know it within its tariff."""
        return self.component_id

    def weight(self, kind: str, model: str = "") -> Fraction:
        """Return the metered units per unit of a kind that this component prices."""
        fitting = [entry for entry in self.model_weights if entry[0].matches(model)]
        if fitting:
            of_model = dict(max(fitting, key=lambda entry: entry[0].rank)[1])
            if kind in of_model:
                return of_model[kind]
        weights = dict(self.weights)
        return weights[kind] if kind in weights else weights[WILDCARD]

    @property
    def is_of_supplier_cost(self) -> bool:
        """Whether what is metered is the supplier's cost."""
        return self.price.of == SUPPLIER_COST

    def amounts(self, promotion: "Promotion | None" = None) -> AmountFunction:
        """Return the cumulative amount function of this component, under a promotion or not."""
        price, factor = self.price, 1 + self.markup_percent / 100
        if promotion is not None:
            price = promotion.price or price
            factor *= 1 - promotion.percent_off / 100
        return AmountFunction(
            price,
            allowance=self.allowance,
            factor=factor,
            maximum=self.maximum,
            minimum=(self.minimum or 0) if self.period == "event" else 0,
        )


@dataclass(frozen=True, slots=True)
class Promotion:
    """Another price for usage that it matches, within [valid_from, valid_to) (us UTC; None: open).

    `percent_off` the component's price, or a `price` in its place. `components` empty: all.
    `first_units`, `first_events`: only for so many metered units or events, counted together over
    all components that it touches, by `scope` and `period`.
    """

    promotion_id: str
    match: Match = ANYTHING
    kinds: tuple[str, ...] = (WILDCARD,)
    components: tuple[str, ...] = ()
    percent_off: Fraction = Fraction(0)
    price: Price | None = None
    valid_from: int | None = None
    valid_to: int | None = None
    first_units: int | None = None
    first_events: int | None = None
    scope: str = "account"
    period: str = "lifetime"

    @property
    def name(self) -> str:
        """How people know it within its tariff."""
        return self.promotion_id

    @property
    def is_tallied(self) -> bool:
        """Whether only the first units or events are under it."""
        return self.first_units is not None or self.first_events is not None

    def is_valid(self, at: int) -> bool:
        """Whether it holds for usage at an instant."""
        begun = self.valid_from is None or at >= self.valid_from
        return begun and (self.valid_to is None or at < self.valid_to)

    def covers(self, kind: str) -> bool:
        """Whether it is for a kind: by name, by the wildcard, or as a part of a kind it is for."""
        wild = WILDCARD in self.kinds and kind in WILDCARD_KINDS
        return wild or kind in self.kinds or (kind in PARTS and self.covers(PARTS[kind]))

    def touches(self, component: Component, kind: str) -> bool:
        """Whether it may change this component's price of a kind."""
        named = not self.components or component.component_id in self.components
        return named and self.covers(kind)
