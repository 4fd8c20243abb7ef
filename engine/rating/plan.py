"""Plans: what prices each kind of an event under one tariff version.

Few combinations of what the version's matching looks at are distinct, so each is worked out once
and kept: a cache, never a meaning. The key holds only what some component or promotion asks for.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import product
from operator import attrgetter
from typing import NamedTuple

from engine.rating.amount import AmountFunction
from engine.rating.component import WILDCARD, WILDCARD_KINDS, Component, Promotion
from engine.rating.matching import DIMENSIONS, Facts, Match, most_specific
from engine.rating.money import PICO
from engine.rating.pattern import ANY
from engine.rating.period import FrozenZone
from engine.rating.usage import KINDS, MONEY_KINDS, PARTS, UsageEvent

_MAX_PLANS = 10_000
_FIELDS = {name: "account_id" if name == "account" else name for name in DIMENSIONS}


class PromotedPrice(NamedTuple):
    """The promotion that changes a price, and the amounts under it."""

    promotion: Promotion
    amounts: AmountFunction


class KindPrice(NamedTuple):
    """What prices one kind of an event: a component, at pico metered units per unit.

    `is_of_cost`: what is metered is not the quantity but what the supplier takes for it.
    """

    component: Component
    weight_pico: int
    amounts: AmountFunction
    promoted: PromotedPrice | None = None
    is_of_cost: bool = False


Plan = dict[str, KindPrice]
"""By kind; a kind that is missing is in suspense."""


class Candidates:
    """The components of a version, found by the accounts, subjects and models that they name."""

    def __init__(self, components: Sequence[Component]) -> None:
        self._named: dict[tuple[str, ...], list[Component]] = {}
        for component in components:
            for named in component.match.named():
                self._named.setdefault(named, []).append(component)
        windows = [c.match.windows for c in components if c.match.windows is not None]
        self.turns = sorted({minute for w in windows for minute in (*w.starts, *w.ends)})

    def pricing(self, kind: str, facts: Facts) -> tuple[Component, str] | None:
        """Return the component that prices a kind of an event, and the name by which it does."""
        named = [dict.fromkeys((text, "")) for text in (facts.account, facts.subject, facts.model)]
        candidates = [
            component for key in product(*named) for component in self._named.get(key, ())
        ]
        for name in (kind, WILDCARD) if kind in WILDCARD_KINDS else (kind,):
            pricing = [c for c in candidates if any(name == named for named, _ in c.weights)]
            component = most_specific(pricing, facts)
            if component is not None:
                return component, name
        return None


class Plans:
    """The plans of one tariff version."""

    def __init__(
        self,
        components: Sequence[Component],
        promotions: Sequence[Promotion],
        fallback: dict[str, str],
        zone: FrozenZone,
    ) -> None:
        self._promotions = promotions
        self._fallback = {**PARTS, **fallback}
        self._zone = zone
        self._plans: dict[object, Plan] = {}
        self._amounts: dict[tuple[str, str], AmountFunction] = {}
        self._candidates = Candidates(components)
        matches = [*(c.match for c in components), *(p.match for p in promotions)]
        self._dimensions = _dimensions_asked(matches, components)
        self._attributes = sorted({name for match in matches for name, _ in match.attributes})
        self._thresholds = sorted({m.context_above for m in matches if m.context_above is not None})
        windows = [match.windows for match in matches if match.windows is not None]
        self._turns = sorted({minute for w in windows for minute in (*w.starts, *w.ends)})
        ends = [end for p in promotions for end in (p.valid_from, p.valid_to) if end is not None]
        self._eras = sorted(set(ends))

    def of(self, event: UsageEvent) -> Plan:
        """Return what prices each kind of an event."""
        context = event.context_length if self._thresholds else 0
        minute = self._zone.minute_of_week(event.occurred_at) if self._turns else 0
        key = (
            self._dimensions(event),
            bisect_left(self._thresholds, context),  # thresholds that it exceeds
            bisect_right(self._turns, minute),
            bisect_right(self._eras, event.occurred_at) if self._eras else 0,
            self._asked_attributes(event) if self._attributes else (),
        )
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:  # made-up model names must not fill the memory
                self._plans.clear()
            plan = self._plans[key] = self._work_out(event, context, minute)
        return plan

    def amounts(self, component: Component, promotion: Promotion | None = None) -> AmountFunction:
        """Return the cumulative amounts of a component, under a promotion or not."""
        key = (component.component_id, "" if promotion is None else promotion.promotion_id)
        if key not in self._amounts:
            self._amounts[key] = component.amounts(promotion)
        return self._amounts[key]

    def _asked_attributes(self, event: UsageEvent) -> tuple[tuple[str, str], ...]:
        given = dict(event.attributes)
        return tuple((name, given.get(name, "")) for name in self._attributes)

    def _work_out(self, event: UsageEvent, context: int, minute: int) -> Plan:
        facts = Facts(
            event.account_id,
            event.subject,
            event.model,
            event.provider,
            event.operation,
            event.service_tier,
            event.region,
            event.initiator,
            self._asked_attributes(event),
            context,
            minute,
        )
        chosen = self._with_fallback(self._own_prices(facts))
        valid = [p for p in self._promotions if p.is_valid(event.occurred_at)]
        return {kind: self._priced(kind, *source, facts, valid) for kind, source in chosen.items()}

    def _own_prices(self, facts: Facts) -> dict[str, tuple[Component, str]]:
        own = {kind: self._candidates.pricing(kind, facts) for kind in KINDS}
        return {kind: chosen for kind, chosen in own.items() if chosen is not None}

    def _with_fallback(
        self, own: dict[str, tuple[Component, str]]
    ) -> dict[str, tuple[Component, str]]:
        chosen = dict(own)
        for kind in KINDS:
            source = kind
            while source not in own and source in self._fallback:
                source = self._fallback[source]
            if source in own:
                chosen[kind] = own[source]
        return chosen

    def _priced(
        self,
        kind: str,
        component: Component,
        name: str,
        facts: Facts,
        valid: Sequence[Promotion],
    ) -> KindPrice:
        touching = [promotion for promotion in valid if promotion.touches(component, kind)]
        promotion = most_specific(touching, facts)
        weight = 1 if kind in MONEY_KINDS else int(component.weight(name, facts.model) * PICO)
        return KindPrice(
            component,
            weight,
            self.amounts(component),
            None
            if promotion is None
            else PromotedPrice(promotion, self.amounts(component, promotion)),
            component.is_of_supplier_cost,
        )


def _dimensions_asked(
    matches: Sequence[Match], components: Sequence[Component]
) -> Callable[[UsageEvent], object]:
    """Return what reads the dimensions of an event that anything asks for."""
    asked = {
        name
        for match in matches
        for name, pattern in zip(DIMENSIONS, match.patterns, strict=True)
        if pattern is not ANY
    }
    if any(component.model_weights for component in components):
        asked.add("model")
    names = [_FIELDS[name] for name in DIMENSIONS if name in asked]
    return attrgetter(*names) if names else lambda _: ""
