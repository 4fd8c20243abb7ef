"""Maximum and minimum bound what a counter comes to in a version, promoted or not."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.rating.amount import BOUND_TIER
from engine.rating.money import PICO
from tests.rating.scenario import acme_on

CAPPED = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - id: tokens
    kinds: [input]
    period: calendar_month
    maximum: "100"
    price: {model: unit, unit_price: "1"}
promotions:
  - {id: eu, match: {region: eu}, percent_off: "50"}
"""
PER_EVENT = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - id: calls
    kinds: [input]
    minimum: "10"
    price: {model: volume, tiers: [{up_to: 100, unit_price: "0.5"}, {unit_price: "0.25"}]}
promotions:
  - {id: welcome, percent_off: "50", first_units: 4}
"""
AT = "2026-11-02T00:00:00Z"


def test_a_promotion_in_the_middle_of_a_month_begins_no_second_maximum() -> None:
    scenario = acme_on(CAPPED)
    first = scenario.charged("a", AT, {"input": 80})
    second = scenario.charged("b", AT, {"input": 100}, region="eu")
    third = scenario.charged("c", AT, {"input": 50})
    assert [charge.amount for charge in (first, second, third)] == [80 * PICO, 20 * PICO, 0]
    (line,) = second.lines
    assert [(part.tier, part.amount) for part in line.slices] == [
        (0, 50 * PICO),
        (BOUND_TIER, -30 * PICO),
    ]
    (pushed,) = third.lines[0].repricings
    assert (pushed.promotion, pushed.amount) == ("eu", -20 * PICO)


def test_a_minimum_per_event_is_owed_once_where_first_units_end_in_the_event() -> None:
    charge = acme_on(PER_EVENT).charged("a", AT, {"input": 10})
    assert [line.promotion for line in charge.lines] == ["welcome", ""]
    assert charge.amount == 10 * PICO


@given(
    st.permutations([("us", 30), ("eu", 90), ("us", 45), ("eu", 10), ("us", 5)]),
    st.integers(0, 200),
)
def test_the_maximum_holds_in_whatever_order_usage_comes(
    usage: list[tuple[str, int]], maximum: int
) -> None:
    scenario = acme_on(CAPPED.replace('"100"', f'"{maximum}"'))
    for number, (region, units) in enumerate(usage):
        scenario.charged(f"e{number}", AT, {"input": units}, region=region)
    expected = min(Fraction(maximum), 80 + Fraction(100, 2))
    assert Fraction(scenario.ledger.account("acme").due, PICO) == expected
