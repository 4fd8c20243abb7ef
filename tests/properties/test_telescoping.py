"""A counter's charges sum to its total, however the total is cut into events."""

import json
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.rating.charge import Charge
from engine.rating.money import PICO
from tests.properties.tariffs import (
    PRICES,
    WEIGHTS,
    Document,
    amount_so_far,
    decimals,
    floored_pico,
    graduated_prices,
)
from tests.rating.scenario import Scenario, acme_on

NOVEMBER = "2026-11-02T00:00:00Z"
PARTS = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def acme_pays(price: Document, kinds: Any, period: str = "calendar_month") -> Scenario:
    """Return a scenario in which acme is on a tariff with this one price."""
    component = {"id": "ladder", "kinds": kinds, "period": period, "price": price}
    document = {
        "tariff_id": "plan",
        "version": 1,
        "effective_from": "2026-01-01T00:00:00Z",
        "currency": "USD",
        "components": [component],
    }
    return acme_on(json.dumps(document))


def charged(scenario: Scenario, parts: list[int], kind: str = "input") -> list[Charge]:
    return [
        scenario.charged(f"e{number}", NOVEMBER, {kind: part}) for number, part in enumerate(parts)
    ]


@given(PRICES, PARTS)
def test_charges_sum_to_the_floored_amount_of_the_total(price: Document, parts: list[int]) -> None:
    charges = charged(acme_pays(price, ["input"]), parts)
    total = sum(charge.amount for charge in charges)
    assert total == floored_pico(amount_so_far(price, Fraction(sum(parts))))
    assert charges[-1].due == total


@given(PRICES, PARTS)
def test_every_charge_is_the_change_of_the_floored_amount(
    price: Document, parts: list[int]
) -> None:
    before = Fraction(0)
    for charge, part in zip(charged(acme_pays(price, ["input"]), parts), parts, strict=True):
        after = before + part
        assert charge.amount == floored_pico(amount_so_far(price, after)) - floored_pico(
            amount_so_far(price, before)
        )
        before = after


@given(
    PRICES,
    WEIGHTS,
    WEIGHTS,
    st.lists(st.tuples(st.sampled_from(["input", "output"]), st.integers(1, 9)), min_size=1),
)
def test_weighted_kinds_sum_in_one_counter(
    price: Document, input_weight: str, output_weight: str, parts: list[tuple[str, int]]
) -> None:
    weights = {"input": input_weight, "output": output_weight}
    scenario = acme_pays(price, weights)
    for number, (kind, part) in enumerate(parts):
        scenario.charged(f"e{number}", NOVEMBER, {kind: part})
    units = sum((Fraction(weights[kind]) * part for kind, part in parts), Fraction(0))
    due = scenario.ledger.account("acme").due
    assert due == floored_pico(amount_so_far(price, units))


@given(PRICES, st.integers(1, 50), st.integers(1, 50))
def test_two_kinds_of_one_event_cost_what_two_events_cost(
    price: Document, first: int, second: int
) -> None:
    together = acme_pays(price, ["input", "output"])
    together.charged("e1", NOVEMBER, {"input": first, "output": second})
    apart = acme_pays(price, ["input", "output"])
    apart.charged("e1", NOVEMBER, {"input": first})
    apart.charged("e2", NOVEMBER, {"output": second})
    assert together.ledger.account("acme").due == apart.ledger.account("acme").due


@given(PRICES, PARTS)
def test_a_price_per_event_starts_from_zero_each_time(price: Document, parts: list[int]) -> None:
    charges = charged(acme_pays(price, ["input"], period="event"), parts)
    assert [charge.amount for charge in charges] == [
        floored_pico(amount_so_far(price, Fraction(part))) for part in parts
    ]


@given(PRICES, WEIGHTS, PARTS)
def test_slices_add_up_to_their_line_and_lie_within_their_tiers(
    price: Document, weight: str, parts: list[int]
) -> None:
    scenario = acme_pays(price, {"input": weight})
    tiers = price["tiers"] if price["model"] == "graduated" else [price]
    bounds = [0, *(tier["up_to"] * PICO for tier in tiers[:-1])]
    for charge in charged(scenario, parts):
        (line,) = charge.lines
        assert sum(part.amount for part in line.slices) == line.amount
        assert sum(part.quantity for part in line.slices) == line.metered > 0
        start = line.before
        for part in line.slices:
            end = start + part.quantity
            assert start >= bounds[part.tier]
            assert part.tier + 1 == len(bounds) or end <= bounds[part.tier + 1]
            tier = tiers[part.tier]
            fee = Fraction(tier.get("flat_fee", "0")) if start == bounds[part.tier] else Fraction(0)
            assert Fraction(part.flat_fee or "0") == fee
            assert Fraction(part.unit_price) == Fraction(tier["unit_price"])
            exact = fee * PICO + part.quantity * Fraction(tier["unit_price"]) / price["per"]
            assert abs(part.amount - exact) < 1
            start = end


@given(graduated_prices(), decimals(limit=200))
def test_the_second_opinion_agrees_with_itself_on_where_tiers_meet(
    price: Document, units: str
) -> None:
    """A(x) never falls, and entering a tier costs its fee just behind the bound."""
    x, step = Fraction(units), Fraction(1, PICO)
    assert amount_so_far(price, x) <= amount_so_far(price, x + step)
    bounds = [Fraction(tier["up_to"]) for tier in price["tiers"][:-1]]
    for bound, tier in zip(bounds, price["tiers"][1:], strict=True):
        jump = amount_so_far(price, bound + step) - amount_so_far(price, bound)
        fee = Fraction(tier.get("flat_fee", "0"))
        assert jump == fee + step * Fraction(tier["unit_price"]) / price["per"]
