"""Tariffs: immutable versions of a price page.

A version is identified by the SHA-256 of its canonical form. Publishing never changes a version;
it adds one. A *supplier tariff* rates the buy side: what the providers that it names take for the
same usage.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations

from engine.rating.amount import AmountFunction
from engine.rating.canonical import canonical_document
from engine.rating.component import WILDCARD, WILDCARD_KINDS, Component, Promotion
from engine.rating.errors import InvalidDocument
from engine.rating.matching import Ambiguity, ambiguities
from engine.rating.money import format_decimal
from engine.rating.pattern import Pattern
from engine.rating.period import UTC_ZONE, FrozenZone
from engine.rating.plan import Plan, Plans
from engine.rating.price import PERCENTAGES, QUANTITY, SUPPLIER_COST, Price
from engine.rating.usage import KINDS, MONEY_KINDS, PARTS, UsageEvent

ROUNDINGS = ("half_up", "half_even", "up", "down")
SETTLED_PERIODS = ("event", "calendar_month", "billing_period")
"""Periods in which a minimum can be owed: an event is its own end, a month is closed."""


@dataclass(frozen=True, slots=True, eq=False)
class TariffVersion:
    """One immutable version; the version in force is chosen by the time of use.

    Times are in us UTC; `effective_to` None means open. `fallback` maps a kind without a price of
    its own to the kind whose price it takes. `supplier_for`: the providers whose prices these are;
    empty on the sell side.
    """

    tariff_id: str
    version: int
    effective_from: int
    currency: str
    components: tuple[Component, ...]
    effective_to: int | None = None
    zone: FrozenZone = UTC_ZONE
    rounding: str = "half_up"
    fallback: tuple[tuple[str, str], ...] = ()
    promotions: tuple[Promotion, ...] = ()
    supplier_for: tuple[str, ...] = ()
    document: str = field(init=False)
    digest: bytes = field(init=False)
    _components: dict[str, Component] = field(init=False, repr=False)
    _promotions: dict[str, Promotion] = field(init=False, repr=False)
    _plans: Plans = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_components(self)
        _check_promotions(self)
        _check_fallback(self)
        _check_supplier(self)
        document = json.dumps(
            canonical_document(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        derived = {
            "document": document,
            "digest": sha256(document.encode()).digest(),
            "_components": {entry.component_id: entry for entry in self.components},
            "_promotions": {entry.promotion_id: entry for entry in self.promotions},
            "_plans": Plans(self.components, self.promotions, dict(self.fallback), self.zone),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def is_of_supplier(self) -> bool:
        """Whether this is the buy side."""
        return bool(self.supplier_for)

    def component(self, component_id: str) -> Component | None:
        """Return a component by id."""
        return self._components.get(component_id)

    def prices(self, event: UsageEvent) -> Plan:
        """Return what prices each kind of an event; a kind that is missing is in suspense."""
        return self._plans.of(event)

    def amounts(self, component_id: str, promotion_id: str = "") -> AmountFunction | None:
        """Return the cumulative amounts of a component, under a promotion or not; None if gone."""
        component = self._components.get(component_id)
        promotion = self._promotions.get(promotion_id)
        if component is None or (promotion_id and promotion is None):
            return None
        return self._plans.amounts(component, promotion)


def _place(version: TariffVersion) -> str:
    return f"tariff {version.tariff_id} version {version.version}"


def _check_components(version: TariffVersion) -> None:
    _require_once(_place(version), "component", [c.component_id for c in version.components])
    by_kind: dict[str, list[Component]] = {}
    for component in version.components:
        _check_component(f"{_place(version)}, component {component.component_id}", component)
        for kind, _ in component.weights:
            by_kind.setdefault(kind, []).append(component)
    for kind, components in by_kind.items():
        _refuse_ties(f"{_place(version)}, kind {kind}", components)


def _check_component(place: str, component: Component) -> None:
    kinds = [kind for kind, _ in component.weights]
    for kind, weight in component.weights:
        if kind in MONEY_KINDS and weight != 1:
            raise InvalidDocument(
                f"{place}, kinds.{kind}",
                format_decimal(weight),
                "weight 1: money is metered as it is",
            )
        if component.is_of_supplier_cost and weight != 1:
            raise InvalidDocument(
                f"{place}, kinds.{kind}",
                format_decimal(weight),
                "weight 1: the supplier's cost is metered as it is",
            )
    for (first, _), (second, _) in combinations(component.model_weights, 2):
        model = first.meeting(second) if first.rank == second.rank else None
        if model is not None:
            raise InvalidDocument(
                f"{place}, weights",
                f"{_text(first)} and {_text(second)}",
                f"globs of different length where both fit one model: {model}",
            )
    for pattern, weights in component.model_weights:
        for kind, weight in weights:
            if kind not in kinds or kind in MONEY_KINDS or component.is_of_supplier_cost:
                raise InvalidDocument(
                    f"{place}, weights.{_text(pattern)}.{kind}",
                    format_decimal(weight),
                    "a kind of this component's `kinds` that is no money",
                )
    _check_price(f"{place}, price", component.price, kinds)
    if component.minimum is not None and component.period not in SETTLED_PERIODS:
        raise InvalidDocument(
            f"{place}, minimum",
            f"period {component.period}",
            f"a period that ends with a settlement: {', '.join(SETTLED_PERIODS)}",
        )
    if None not in (component.minimum, component.maximum):
        least, most = component.minimum or 0, component.maximum or 0
        if least > most:
            raise InvalidDocument(f"{place}, minimum", least, f"{most} pico (maximum) at most")


def _text(pattern: Pattern) -> str:
    return pattern.glob or pattern.choices[0]


def _check_price(place: str, price: Price, kinds: Sequence[str]) -> None:
    if price.model in PERCENTAGES and price.of == QUANTITY:
        for kind in kinds:
            if kind not in MONEY_KINDS:
                raise InvalidDocument(
                    place,
                    f"{price.model} of kind {kind}",
                    f"kinds of money ({', '.join(MONEY_KINDS)}), or of: {SUPPLIER_COST}",
                )


def _check_promotions(version: TariffVersion) -> None:
    _require_once(_place(version), "promotion", [p.promotion_id for p in version.promotions])
    ids = {component.component_id for component in version.components}
    for promotion in version.promotions:
        place = f"{_place(version)}, promotion {promotion.promotion_id}"
        for component_id in promotion.components:
            if component_id not in ids:
                raise InvalidDocument(f"{place}, components", component_id, "a component's id")
        if promotion.price is not None:
            _check_price(f"{place}, price", promotion.price, promotion.kinds)
        if promotion.price is not None or promotion.is_tallied:
            for component in version.components:
                if component.is_of_supplier_cost and _may_touch(promotion, component):
                    raise InvalidDocument(
                        place,
                        f"component {component.component_id}",
                        "percent_off for all units: that component is a share of supplier cost",
                    )
    named = {promotion.promotion_id: promotion for promotion in version.promotions}
    for tie in ambiguities(version.promotions):
        if _compete(named[tie.first], named[tie.second]):
            raise _tie_error(f"{_place(version)}, promotions", tie)


def _may_touch(promotion: Promotion, component: Component) -> bool:
    kinds = [kind for kind, _ in component.weights]
    if WILDCARD in kinds:
        kinds = [*kinds, *WILDCARD_KINDS]
    kinds += [part for part, whole in PARTS.items() if whole in kinds]
    touched = any(promotion.touches(component, kind) for kind in kinds)
    return touched and promotion.match.meeting(component.match) is not None


def _compete(first: Promotion, second: Promotion) -> bool:
    """Whether two promotions hold at one instant for a kind and a component that they share."""
    starts = [p.valid_from for p in (first, second) if p.valid_from is not None]
    ends = [p.valid_to for p in (first, second) if p.valid_to is not None]
    if starts and ends and max(starts) >= min(ends):
        return False
    both_name = first.components and second.components
    if both_name and not {*first.components} & {*second.components}:
        return False
    return bool(_named_kinds(first) & _named_kinds(second))


def _named_kinds(promotion: Promotion) -> set[str]:
    return {kind for kind in KINDS if promotion.covers(kind)}


def _check_fallback(version: TariffVersion) -> None:
    fallback = {**PARTS, **dict(version.fallback)}
    place = f"{_place(version)}, fallback"
    for kind, source in fallback.items():
        if kind in MONEY_KINDS or source in MONEY_KINDS:
            raise InvalidDocument(place, f"{kind} -> {source}", "kinds that are no money")
        chain = [kind]
        while chain[-1] in fallback:
            step = fallback[chain[-1]]
            if step in chain:
                raise InvalidDocument(place, " -> ".join([*chain, step]), "a chain that ends")
            chain.append(step)


def _check_supplier(version: TariffVersion) -> None:
    if not version.is_of_supplier:
        return
    for component in version.components:
        place = f"{_place(version)}, component {component.component_id}"
        if component.period != "event":
            raise InvalidDocument(
                f"{place}, period",
                component.period,
                "event: no partition sees what a supplier counts over all your accounts",
            )
        if component.is_of_supplier_cost:
            raise InvalidDocument(f"{place}, price.of", SUPPLIER_COST, "a supplier's own price")
    for promotion in version.promotions:
        if promotion.is_tallied:
            raise InvalidDocument(
                f"{_place(version)}, promotion {promotion.promotion_id}",
                "first_units or first_events",
                "a promotion of all usage: a supplier's tariff counts nothing",
            )


def _require_once(place: str, what: str, ids: Sequence[str]) -> None:
    twice = [entry for entry, count in Counter(ids).items() if count > 1]
    if twice:
        raise InvalidDocument(place, twice[0], f"each {what} id once")


def _refuse_ties(place: str, components: Sequence[Component]) -> None:
    for tie in ambiguities(components):
        raise _tie_error(place, tie)


def _tie_error(place: str, tie: Ambiguity) -> InvalidDocument:
    return InvalidDocument(
        place,
        f"{tie.first} and {tie.second}",
        f"different specificity where both can match one event: {tie.event.described()}",
    )
