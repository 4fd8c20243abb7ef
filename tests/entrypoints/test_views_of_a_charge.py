"""An explanation shows what chose a price, and what it came to."""

from engine.entrypoints.cli.account import account_details
from engine.entrypoints.cli.audit import explanation_lines
from engine.rating.charge import Charge
from replay.explain import Explanation
from tests.rating.scenario import acme_on

HEAD = "tariff_id: plan\nversion: 1\neffective_from: 2026-01-01T00:00:00Z\ncurrency: USD\n"
FIRST_FREE = """
promotions: [{id: welcome, percent_off: "100", first_units: 100}]
components:
  - {id: tokens, kinds: [input], period: lifetime, price: {model: unit, unit_price: "2"}}
  - {id: calls, kinds: [request], minimum: "0.5", price: {model: unit, unit_price: "0.1"}}
"""
VOLUME = """
components:
  - id: tokens
    kinds: [input]
    period: lifetime
    price: {model: volume, tiers: [{up_to: 10, unit_price: "2"}, {unit_price: "1"}]}
"""


def shown(charge: Charge) -> list[str]:
    found = Explanation(charge, 0, 1, 0, version=None, findings=())
    return [line.strip() for line in explanation_lines(found)]


def test_units_under_a_promotion_are_told_apart_from_those_behind_it() -> None:
    scenario = acme_on(HEAD + FIRST_FREE)
    lines = shown(scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 130}))
    assert "input 100 at tokens under promotion welcome" in lines
    assert "tier 0: 100 x 0 = 0" in lines
    assert "input 30 at tokens" in lines
    assert "tier 0: 30 x 2 = 60" in lines


def test_what_is_owed_per_event_at_least_is_said() -> None:
    scenario = acme_on(HEAD + FIRST_FREE)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 100})
    lines = shown(scenario.charged("b", "2026-11-02T00:00:01Z", {"request": 1}))
    assert "at least 0.5 per event: 0.4 more" in lines


def test_a_volume_price_shows_what_it_takes_back() -> None:
    scenario = acme_on(HEAD + VOLUME)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 8})
    lines = shown(scenario.charged("b", "2026-11-02T00:00:01Z", {"input": 4}))
    assert "tier 0: -8 x 2 = -16" in lines
    assert "tier 1: 12 x 1 = 12" in lines
    assert "= -4 USD" in lines


def test_an_account_shows_units_under_a_promotion_beside_the_others() -> None:
    scenario = acme_on(HEAD + FIRST_FREE)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 130})
    counters = account_details(scenario.ledger.account("acme"))["counters"]
    assert counters == {
        "plan//welcome/acme/lifetime": [{"version": 1, "metered": "100", "promotion": "welcome"}],
        "plan/tokens/acme/lifetime": [
            {"version": 1, "metered": "100", "promotion": "welcome"},
            {"version": 1, "metered": "30"},
        ],
    }
