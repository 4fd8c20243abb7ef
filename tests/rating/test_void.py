"""Voids and amends: what is taken back, and what they promise for every price and every order."""

from typing import Any

import pytest

from engine.rating.charge import CORRECTION, USAGE, VOIDED, Charge
from engine.rating.command import AdoptVersion
from engine.rating.counter import units
from engine.rating.event import (
    AccountEvent,
    CommandRefused,
    UsageRefused,
    VersionAdopted,
    VoidLapsed,
    VoidPending,
)
from engine.rating.ledger import DUPLICATE
from engine.rating.money import PICO, format_pico
from engine.rating.rules import DEFAULT_LATENESS, Terms
from tests.rating.scenario import DAY, ONE_DOLLAR_EACH, Scenario, acme_on, at, tariff, usage

NOVEMBER = "2026-11-02T00:00:00Z"

PRICED = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - {id: tokens, kinds: [input], period: PERIOD, MORE price: PRICE}
"""
STEPS = 'tiers: [{up_to: 10, unit_price: "2", flat_fee: "1"}, {unit_price: "1"}]'


def priced(price: str, period: str = "calendar_month", more: str = "") -> Scenario:
    text = PRICED.replace("PRICE", price).replace("PERIOD", period).replace("MORE", more)
    return acme_on(text)


def taken(scenario: Scenario, original: str, **rest: Any) -> Charge:
    """Void an event that stands."""
    correction = scenario.void(f"void of {original}", original, NOVEMBER, **rest)
    assert isinstance(correction, Charge), correction
    return correction


def code(outcome: object) -> str:
    assert isinstance(outcome, AccountEvent), outcome
    assert isinstance(outcome.change, UsageRefused), outcome
    return outcome.change.refusal.code


def test_a_void_is_a_correction_that_names_what_it_takes_back() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    original = scenario.charged("e1", NOVEMBER, {"input": 7, "output": 2}, trace_id="t-1")
    correction = taken(scenario, "e1")
    assert (correction.kind, correction.corrects) == (CORRECTION, original.charge_id)
    assert (correction.event_id, correction.trace_id) == ("void of e1", "t-1")
    assert (correction.occurred_at, correction.service_period) == (original.occurred_at, "2026-11")
    assert (correction.amount, correction.tariff) == (-9 * PICO, original.tariff)
    assert [(line.kind, line.status, line.quantity, line.before) for line in correction.lines] == [
        ("output", VOIDED, -2, 9 * PICO),
        ("input", VOIDED, -7, 7 * PICO),
    ]
    assert (scenario.acme.due, scenario.acme.charges) == (0, 2)


@pytest.mark.parametrize(
    ("price", "more", "amount"),
    [
        ('{model: unit, unit_price: "1", per: 3}', "", "-2.666666666667"),
        (f"{{model: graduated, {STEPS}}}", "", "-14"),
        (f"{{model: volume, {STEPS}}}", "", "-3"),
        ('{model: package, package_size: 5, package_price: "4"}', "", "-8"),
        ('{model: unit, unit_price: "2"}', 'maximum: "15",', "-7"),
        ('{model: flat, amount: "9"}', "", "0"),
    ],
)
def test_a_void_comes_to_the_change_of_its_counters_total(
    price: str, more: str, amount: str
) -> None:
    scenario = priced(price, more=more)
    scenario.charged("e1", NOVEMBER, {"input": 8})
    scenario.charged("e2", NOVEMBER, {"input": 4})
    assert format_pico(taken(scenario, "e1").amount) == amount
    alone = priced(price, more=more)
    alone.charged("e2", NOVEMBER, {"input": 4})
    assert scenario.acme.due == alone.acme.due
    taken(scenario, "e2")
    assert scenario.acme.due == 0
    assert [units(standing) for standing in scenario.acme.counters.values()] == [0]


def test_a_void_may_cost_something_where_it_undoes_a_volume_discount() -> None:
    scenario = priced(f"{{model: volume, {STEPS}}}")
    scenario.charged("e1", NOVEMBER, {"input": 10})
    scenario.charged("e2", NOVEMBER, {"input": 1})
    assert taken(scenario, "e2").amount == 10 * PICO
    assert scenario.acme.due == 21 * PICO


def test_a_void_gives_a_promotions_first_units_back() -> None:
    text = PRICED.replace("PRICE", '{model: unit, unit_price: "2"}').replace("MORE", "")
    free = "promotions: [{id: free, first_units: 10, percent_off: 100}]\n"
    scenario = acme_on(text.replace("PERIOD", "calendar_month") + free)
    scenario.charged("e1", NOVEMBER, {"input": 6})
    later = scenario.charged("e2", NOVEMBER, {"input": 6})
    assert [(line.promotion, line.quantity) for line in later.lines] == [("free", 4), ("", 2)]
    assert taken(scenario, "e1").amount == 0
    assert scenario.acme.due == 4 * PICO
    third = scenario.charged("e3", NOVEMBER, {"input": 8})
    assert [(line.promotion, line.quantity) for line in third.lines] == [("free", 6), ("", 2)]
    for name in ("e2", "e3"):
        taken(scenario, name)
    assert scenario.acme.due == 0
    assert all(units(standing) == 0 for standing in scenario.acme.counters.values())


@pytest.mark.parametrize("period", ["event", "day", "billing_period", "lifetime"])
def test_a_void_takes_usage_out_of_counters_of_every_period(period: str) -> None:
    scenario = priced(f"{{model: graduated, {STEPS}}}", period)
    scenario.charged("e1", NOVEMBER, {"input": 14})
    assert taken(scenario, "e1").amount == -25 * PICO
    assert scenario.acme.due == 0


def test_units_under_an_older_version_are_taken_out_under_it_and_move_those_behind() -> None:
    steps = f"{{model: graduated, {STEPS}}}"
    scenario = priced(steps)
    text = PRICED.replace("MORE", "").replace("PERIOD", "calendar_month")
    second = text.replace("PRICE", '{model: graduated, tiers: [{up_to: 10, unit_price: "9"}, '
                          '{unit_price: "5"}]}')  # fmt: skip
    second = second.replace("version: 1", "version: 2").replace("2026-01-01", "2026-11-15")
    scenario.charged("e1", NOVEMBER, {"input": 8})
    scenario.publish(tariff(second))
    scenario.charged("e2", "2026-11-20T00:00:00Z", {"input": 4})
    correction = taken(scenario, "e1")
    (line,) = correction.lines
    assert [(change.version, change.amount) for change in line.repricings] == [(2, 8 * PICO)]
    assert correction.amount == (8 - 17) * PICO
    assert scenario.acme.due == 36 * PICO


def test_tokens_go_back_to_the_very_buckets_they_came_from() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.give("tokens", "5", "a")
    scenario.give("tokens", "5", "b", weights={"input": "1.5"})
    scenario.charged("e1", NOVEMBER, {"input": 9})
    assert [scenario.bucket(name).remaining for name in "ab"] == [0, 5 * PICO // 10]
    correction = taken(scenario, "e1")
    assert correction.lines[0].covered == -8
    assert [scenario.bucket(name).remaining for name in "ab"] == [5 * PICO, 5 * PICO]
    assert (correction.amount, scenario.acme.due) == (-PICO, 0)


def test_a_void_of_usage_in_suspense_takes_its_lines_out_of_it() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 1, "unexplained": 2})
    assert scenario.acme.suspended_lines == 1
    correction = taken(scenario, "e1")
    assert scenario.acme.suspended_lines == 0
    assert [(line.amount, line.reason) for line in correction.lines] == [
        (0, "no_price"),
        (-PICO, ""),
    ]


def test_a_void_of_usage_of_an_account_that_was_not_open_comes_to_nothing() -> None:
    scenario = Scenario()
    scenario.charged("e1", NOVEMBER, {"input": 1})
    assert taken(scenario, "e1").amount == 0
    assert scenario.acme.suspended_lines == 0


def test_a_void_in_a_closed_period_settles_its_minimum_again() -> None:
    scenario = priced('{model: unit, unit_price: "1"}', more='minimum: "50",')
    scenario.charged("e1", NOVEMBER, {"input": 20})
    scenario.close("2026-11")
    taken(scenario, "e1")
    assert [format_pico(charge.amount) for charge in scenario.settlements] == ["30", "20"]
    assert scenario.acme.due == 50 * PICO


def test_a_minimum_per_login_is_not_owed_any_more_once_its_usage_is_void() -> None:
    scenario = priced('{model: unit, unit_price: "1"}', more='minimum: "50", scope: subject,')
    scenario.charged("e1", NOVEMBER, {"input": 20})
    scenario.close("2026-11")
    taken(scenario, "e1")
    assert scenario.acme.due == 0


def test_the_same_void_again_is_a_duplicate_and_another_is_refused() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 1})
    taken(scenario, "e1")
    assert scenario.void("void of e1", "e1", NOVEMBER) == DUPLICATE
    assert code(scenario.void("v2", "e1", NOVEMBER)) == "already_voided"
    assert scenario.void("v2", "e1", NOVEMBER) == DUPLICATE
    assert scenario.acme.due == 0


def test_what_is_voided_still_occupies_its_identity() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 1})
    taken(scenario, "e1")
    assert scenario.use("e1", NOVEMBER, {"input": 1}) == DUPLICATE
    assert scenario.acme.due == 0


def test_a_void_can_not_be_voided_nor_amended() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 1})
    taken(scenario, "e1")
    assert code(scenario.void("v2", "void of e1", NOVEMBER)) == "void_of_void"
    amend = scenario.use("a1", NOVEMBER, {"input": 5}, action="amend", corrects="void of e1")
    assert code(amend) == "void_of_void"
    assert code(scenario.void("v3", "v3", NOVEMBER)) == "void_of_void"
    assert scenario.acme.due == 0


def test_only_the_source_of_the_original_can_void_it() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 1})
    outcome = scenario.void("v1", "e1", NOVEMBER, source="gateway-2")
    assert isinstance(outcome, AccountEvent)
    assert isinstance(outcome.change, VoidPending)
    assert scenario.acme.due == PICO


def test_an_amend_charges_other_usage_in_the_place_of_its_original() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    original = scenario.charged("e1", NOVEMBER, {"input": 7})
    amended = scenario.charged("a1", NOVEMBER, {"input": 3}, action="amend", corrects="e1")
    assert (amended.kind, amended.corrects) == (USAGE, original.charge_id)
    correction = scenario.charges(CORRECTION)[0]
    assert (correction.amount, correction.sequence) == (-7 * PICO, amended.sequence - 1)
    assert scenario.acme.due == 3 * PICO


def test_after_an_amend_voids_name_the_latest() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 7})
    scenario.charged("a1", NOVEMBER, {"input": 3}, action="amend", corrects="e1")
    assert code(scenario.void("v1", "e1", NOVEMBER)) == "already_voided"
    scenario.charged("a2", NOVEMBER, {"input": 2}, action="amend", corrects="a1")
    assert scenario.acme.due == 2 * PICO
    taken(scenario, "a2")
    assert scenario.acme.due == 0


def test_a_void_before_its_original_waits_for_it() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    waiting = scenario.void("v1", "e1", NOVEMBER)
    assert isinstance(waiting, AccountEvent)
    assert isinstance(waiting.change, VoidPending)
    assert scenario.void("v1", "e1", NOVEMBER) == DUPLICATE
    assert code(scenario.void("v2", "e1", NOVEMBER)) == "already_voided"
    original = scenario.charged("e1", NOVEMBER, {"input": 7})
    (correction,) = scenario.charges(CORRECTION)
    assert (correction.corrects, correction.event_id) == (original.charge_id, "v1")
    assert correction.position == original.position
    assert (scenario.acme.due, scenario.acme.pending) == (0, {})


def test_an_amend_before_its_original_is_charged_at_once_and_only_its_void_waits() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("a1", NOVEMBER, {"input": 3}, action="amend", corrects="e1")
    assert scenario.acme.due == 3 * PICO
    taken(scenario, "a1")
    scenario.charged("e1", NOVEMBER, {"input": 7})
    assert (scenario.acme.due, scenario.acme.pending) == (0, {})
    assert code(scenario.void("v2", "e1", NOVEMBER)) == "already_voided"


def test_a_chain_that_comes_in_reverse_ends_with_the_latest() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("a2", NOVEMBER, {"input": 2}, action="amend", corrects="a1")
    scenario.charged("a1", NOVEMBER, {"input": 3}, action="amend", corrects="e1")
    assert scenario.acme.due == 2 * PICO
    scenario.charged("e1", NOVEMBER, {"input": 7})
    assert (scenario.acme.due, scenario.acme.pending) == (2 * PICO, {})
    taken(scenario, "a2")
    assert scenario.acme.due == 0


def test_a_void_that_waits_longer_than_usage_may_be_late_lapses() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.void("v1", "e1", NOVEMBER)
    scenario.advance("2027-01-31T00:00:00Z")
    assert scenario.changes(VoidLapsed) == []
    scenario.advance("2027-01-31T00:00:01Z")
    assert scenario.changes(VoidLapsed) == [VoidLapsed("gateway-1", "v1", "e1")]
    scenario.charged("e1", NOVEMBER, {"input": 7})
    assert scenario.acme.due == 7 * PICO
    assert scenario.void("v1", "e1", NOVEMBER) == DUPLICATE
    taken(scenario, "e1")
    assert scenario.acme.due == 0


@pytest.mark.parametrize("lateness", [None, 5 * DAY])
def test_a_void_of_nothing_that_comes_too_late_is_refused(lateness: int | None) -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    allowed = DEFAULT_LATENESS if lateness is None else lateness
    outcomes = [
        scenario.take(
            usage(f"v{late_by}", NOVEMBER, {}, action="void", corrects="e1"),
            scenario.origin(received_at=at(NOVEMBER) + late_by),
            Terms(lateness=lateness),
        )
        for late_by in (allowed + 1, allowed)
    ]
    assert code(outcomes[0]) == "void_of_nothing"
    assert isinstance(outcomes[1], AccountEvent)
    assert isinstance(outcomes[1].change, VoidPending)


def test_a_void_follows_the_cost_and_margin_of_its_original() -> None:
    supplier = PRICED.replace("tariff_id: plan", "tariff_id: buy").replace(
        "currency: USD", "currency: USD\nsupplier_for: [openai]"
    )
    supplier = supplier.replace("PRICE", '{model: unit, unit_price: "0.5"}').replace("MORE", "")
    scenario = acme_on(ONE_DOLLAR_EACH, supplier.replace("PERIOD", "event"))
    charge = scenario.charged("e1", NOVEMBER, {"input": 4})
    correction = taken(scenario, "e1")
    assert (charge.supplier_cost, charge.margin) == (2 * PICO, 2 * PICO)
    assert (correction.supplier_cost, correction.margin) == (-2 * PICO, -2 * PICO)


def test_a_staged_version_is_adopted_where_no_charge_is_affected() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 1})
    scenario.close("2026-11")
    second = ONE_DOLLAR_EACH.replace("version: 1", "version: 2")
    scenario.adjust("1")
    scenario.publish(tariff(second.replace("2026-01-01", "2026-11-01")))
    scenario.publish(tariff(second.replace("n: 2", "n: 3").replace("2026-01-01", "2026-11-03")))
    affected = scenario.command(AdoptVersion("plan", 2)).change
    assert isinstance(affected, CommandRefused)
    assert affected.refusal.code == "charges_affected"
    third = scenario.command(AdoptVersion("plan", 3)).change
    assert isinstance(third, CommandRefused)
    assert third.refusal.code == "version_not_staged"  # it was adopted when it became known
    assert scenario.changes(VersionAdopted)[-1].version == 3


def test_a_version_staged_only_because_of_a_settlement_can_be_adopted() -> None:
    text = PRICED.replace("PERIOD", "calendar_month").replace("MORE", 'minimum: "50",')
    text = text.replace("PRICE", '{model: unit, unit_price: "1"}')
    scenario = acme_on(text)
    scenario.charged("e1", NOVEMBER, {"input": 1})
    scenario.close("2026-11")
    second = text.replace("version: 1", "version: 2").replace("2026-01-01", "2026-11-20")
    scenario.publish(tariff(second.replace('"50"', '"80"')))
    assert scenario.acme.staged == {"plan": (2,)}
    scenario.command(AdoptVersion("plan", 2))
    assert scenario.acme.staged == {"plan": ()}
    assert [format_pico(charge.amount) for charge in scenario.settlements] == ["49", "30"]
