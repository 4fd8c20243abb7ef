"""An explanation shows what chose a price, and what it came to."""

from engine.entrypoints.cli.account_view import account_details
from engine.entrypoints.cli.audit import explanation_lines
from engine.rating.charge import ADJUSTMENT, CORRECTION, EXPIRY, RECHARGE, USAGE, Charge
from engine.rating.command import SUSPENDED, Adjust, AssignTariff, IssueGrant, RechargeBucket
from engine.rating.event import AlertCleared, AlertRaised
from engine.rating.grant import Grant
from engine.rating.money import PICO
from replay.explain import Explanation
from tests.rating.scenario import NEW_YEAR, ONE_DOLLAR_EACH, Scenario, acme_on, at

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


def shown(charge: Charge, *units: tuple[str, str]) -> list[str]:
    found = Explanation(charge, 0, 1, 0, version=None, findings=(), units=units)
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


TOKENS = Grant(
    "tokens", "tokens", 100 * PICO, at("2026-11-01T00:00:00Z"), NEW_YEAR, at("2026-11-01T00:00:00Z")
)
MONEY = TOKENS._replace(grant_id="money", unit="money", amount=5 * PICO, returns="credit")


def prepaying(*grants: Grant) -> Scenario:
    scenario = acme_on(ONE_DOLLAR_EACH)
    for grant in grants:
        scenario.command(IssueGrant(grant))
    return scenario


def latest(scenario: Scenario, kind: str) -> list[str]:
    """Return how the latest charge of a kind is shown."""
    charges = [r for r in scenario.records if isinstance(r, Charge) and r.kind == kind]
    return shown(charges[-1], ("money", "USD"), ("tokens", "tokens"))


def test_a_line_says_what_buckets_cover_and_pay_of_it() -> None:
    scenario = prepaying(TOKENS, MONEY)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 90})
    assert "input 90: covered by what is prepaid" in latest(scenario, USAGE)
    scenario.charged("b", "2026-11-02T00:00:01Z", {"input": 30})
    lines = latest(scenario, USAGE)
    assert "input 30 at tokens, 10 of it covered by what is prepaid" in lines
    assert "bucket tokens covers 10 input with 10 units" in lines
    assert "bucket money pays 5 USD" in lines
    assert "bucket tokens: 10 tokens drawn; 0 tokens remain" in lines
    assert "bucket money: 5 USD drawn; 0 USD remain" in lines
    assert "due after it 15 USD" in lines


def test_what_waits_in_suspense_says_what_was_covered_of_it() -> None:
    scenario = prepaying(TOKENS)
    end = at("2026-11-02T00:00:00Z")
    scenario.command(AssignTariff("plan", end, None, SUSPENDED))
    scenario.charged("a", "2026-11-02T00:00:01Z", {"input": 130})
    lines = latest(scenario, USAGE)
    assert "input 130: 100 covered, the rest in suspense, unfunded" in lines


def test_a_correction_says_what_it_takes_back_and_what_goes_back_to_buckets() -> None:
    scenario = prepaying(TOKENS, MONEY)
    charge = scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 110})
    scenario.use("v", "2026-11-02T00:00:01Z", {}, action="void", corrects="a")
    lines = latest(scenario, CORRECTION)
    assert f"takes back charge {charge.charge_id}" in lines
    assert "input -110 at tokens, 100 of it covered by what is prepaid" in lines
    assert "10 units before, 10 less" in lines
    assert "bucket tokens gets 100 units back for 100 input" in lines
    assert "bucket money gets back 5 USD" in lines
    assert "bucket tokens: 100 tokens put back; 100 tokens remain" in lines


def test_money_of_a_closed_bucket_that_lowers_the_due_is_told() -> None:
    scenario = prepaying(MONEY)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 3})
    scenario.advance("2027-01-01T00:00:00Z")
    scenario.use("v", "2026-11-02T00:00:01Z", {}, action="void", corrects="a")
    assert "3 USD of bucket money, which is closed, lower what is due" in latest(
        scenario, CORRECTION
    )


def test_an_amended_charge_names_the_one_in_whose_place_it_stands() -> None:
    scenario = prepaying()
    charge = scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 3})
    scenario.use("b", "2026-11-02T00:00:01Z", {"input": 4}, action="amend", corrects="a")
    assert f"stands in the place of charge {charge.charge_id}" in latest(scenario, USAGE)


def test_what_opens_fills_and_closes_a_bucket_is_told_in_its_unit() -> None:
    scenario = prepaying(TOKENS, MONEY._replace(valid_to=None))
    scenario.command(RechargeBucket("money", 2 * PICO))
    assert "bucket tokens: 100 tokens put in by a grant; 100 tokens remain" in shown(
        next(r for r in scenario.records if isinstance(r, Charge)), ("tokens", "tokens")
    )
    assert "bucket money: 2 USD put in by a recharge; 7 USD remain" in latest(scenario, RECHARGE)
    scenario.advance("2027-01-01T00:00:00Z")
    lines = latest(scenario, EXPIRY)
    assert "as of 2027-01-01T00:00:00.000000Z" in lines
    assert "bucket tokens: closed, 100 tokens expire; 0 tokens remain" in lines
    assert not any(line.startswith("amount") for line in lines)


def test_an_adjustment_says_which_charge_it_makes_good_for() -> None:
    scenario = prepaying()
    scenario.command(Adjust(-2 * PICO, "goodwill", None, "c" * 32))
    lines = latest(scenario, ADJUSTMENT)
    assert f"makes good for charge {'c' * 32}" in lines
    assert "= -2 USD" in lines


def test_alerts_stand_with_the_charge_that_crossed_them() -> None:
    alert = AlertRaised("exhausted", "exhausted", "nothing remains", 0)
    scenario = prepaying(TOKENS)
    charge = scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 100})
    alerts = (alert, AlertCleared("bucket_low", "bucket/tokens/bucket_low/5"))
    found = Explanation(charge, 0, 1, 0, version=None, findings=(), alerts=alerts)
    lines = [line.strip() for line in explanation_lines(found)]
    assert "raises exhausted: nothing remains" in lines
    assert "clears bucket_low (bucket/tokens/bucket_low/5)" in lines
