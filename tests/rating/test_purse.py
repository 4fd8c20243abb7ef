"""Money: what pays for an amount, and where an amount goes back to."""

from typing import Any

import pytest

from engine.rating.charge import SUSPENSE, Charge
from engine.rating.command import SUSPENDED
from engine.rating.grant import MONEY, TOKENS
from engine.rating.money import PICO, format_pico
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on

NOVEMBER = "2026-11-02T00:00:00Z"
TENTH = "2026-11-10T00:00:00Z"

VOLUME = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - id: tokens
    kinds: [input, output]
    period: calendar_month
    price: {model: volume, tiers: [{up_to: 10, unit_price: "2"}, {unit_price: "1"}]}
"""
"""Ten tokens come to 20; from the eleventh on all of them are 1 each."""

MONTHLY_MINIMUM = ONE_DOLLAR_EACH.replace("calendar_month", 'calendar_month, minimum: "50"')


def draws(charge: Charge) -> list[tuple[str, str]]:
    """Return what money is drawn and, negative, returned, in order."""
    return [(draw.bucket, format_pico(draw.units)) for line in charge.lines for draw in line.draws]


def acme(*amounts: str, text: str = ONE_DOLLAR_EACH, **terms: Any) -> Scenario:
    """Return acme with money in the buckets g, h and so on."""
    scenario = acme_on(text)
    for name, amount in zip("ghi", amounts, strict=False):
        scenario.give(MONEY, amount, name, **terms)
    return scenario


def left(scenario: Scenario) -> list[str]:
    """Return what remains in each bucket, and then what is due."""
    remaining = [bucket.remaining for bucket in scenario.acme.prepaid.buckets.values()]
    return [format_pico(value) for value in (*remaining, scenario.acme.due)]


def test_money_pays_in_draw_order_and_the_rest_is_due() -> None:
    scenario = acme("5", "3")
    charge = scenario.charged("e1", NOVEMBER, {"input": 10})
    assert draws(charge) == [("g", "5"), ("h", "3")]
    assert (charge.amount, charge.due) == (10 * PICO, 2 * PICO)
    assert left(scenario) == ["0", "0", "2"]


def test_credit_is_used_up_before_money() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.adjust("-4")
    scenario.give(MONEY, "5")
    assert draws(scenario.charged("e1", NOVEMBER, {"input": 3})) == []
    assert draws(scenario.charged("e2", NOVEMBER, {"input": 3})) == [("g", "2")]
    assert left(scenario) == ["3", "0"]


def test_what_is_due_is_not_paid_by_money_that_comes_later() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 3})
    scenario.give(MONEY, "5")
    assert left(scenario) == ["5", "3"]


def test_tokens_are_covered_before_money_pays() -> None:
    scenario = acme("5")
    scenario.give(TOKENS, "4", "t")
    assert draws(scenario.charged("e1", NOVEMBER, {"input": 6})) == [("t", "4"), ("g", "2")]


def test_money_pays_only_for_usage_in_its_scope_and_time_and_under_its_cap() -> None:
    scenario = acme("9", match={"model": "gpt-4o"}, valid_to=TENTH, per_subject_cap="2")
    uses: list[tuple[str, dict[str, str]]] = [
        (NOVEMBER, {"model": "o3"}), (TENTH, {}), (NOVEMBER, {}), (NOVEMBER, {"subject": "ben"}),
    ]  # fmt: skip
    found = [
        draws(scenario.charged(f"e{number}", occurred_at, {"input": 3}, **rest))
        for number, (occurred_at, rest) in enumerate(uses)
    ]
    assert found == [[], [], [("g", "2")], [("g", "2")]]


def test_a_negative_amount_lowers_the_due_that_its_counter_raised_and_then_returns_money() -> None:
    scenario = acme("17", text=VOLUME)
    scenario.charged("e1", NOVEMBER, {"input": 10})
    assert left(scenario) == ["0", "3"]
    discounted = scenario.charged("e2", NOVEMBER, {"input": 1})
    assert discounted.amount == -9 * PICO
    assert draws(discounted) == [("g", "-6")]
    assert left(scenario) == ["6", "0"]


def test_money_goes_back_to_the_latest_bucket_first() -> None:
    scenario = acme("4", "15", "9", text=VOLUME)
    scenario.charged("e1", NOVEMBER, {"input": 10})
    discounted = scenario.charged("e2", NOVEMBER, {"input": 1})
    assert draws(discounted) == [("i", "-1"), ("h", "-8")]
    assert left(scenario) == ["0", "8", "9", "0"]


def test_due_that_another_counter_raised_is_not_lowered() -> None:
    scenario = acme(
        "20", text=VOLUME.replace("calendar_month", "calendar_month\n    scope: subject")
    )
    scenario.charged("e1", NOVEMBER, {"input": 10}, subject="anna")
    scenario.charged("e2", NOVEMBER, {"input": 2}, subject="ben")
    assert left(scenario) == ["0", "4"]
    assert draws(scenario.charged("e3", NOVEMBER, {"input": 1}, subject="anna")) == [("g", "-9")]
    assert left(scenario) == ["9", "4"]


def test_what_was_neither_drawn_nor_raised_lowers_the_due() -> None:
    scenario = acme_on(VOLUME)
    scenario.adjust("-20")
    scenario.charged("e1", NOVEMBER, {"input": 10})
    scenario.give(MONEY, "5")
    scenario.charged("e2", NOVEMBER, {"input": 1})
    assert left(scenario) == ["5", "-9"]


def test_kinds_of_one_event_settle_one_after_the_other() -> None:
    scenario = acme("17", text=VOLUME)
    charge = scenario.charged("e1", NOVEMBER, {"input": 10, "output": 1})
    assert [line.amount for line in charge.lines] == [20 * PICO, -9 * PICO]
    assert draws(charge) == [("g", "17"), ("g", "-6")]
    assert [entry.units for entry in charge.drawdowns] == [11 * PICO]
    assert left(scenario) == ["6", "0"]


@pytest.mark.parametrize(
    ("terms", "due", "expired"),
    [
        ({"paid": True}, "-8", "2"),
        ({}, "0", "10"),
        ({"paid": True, "returns": "breakage"}, "0", "10"),
        ({"returns": "credit"}, "-8", "2"),
    ],
)
def test_money_that_comes_back_to_a_closed_bucket_is_credit_if_it_was_paid_for_or_says_so(
    terms: dict[str, Any], due: str, expired: str
) -> None:
    scenario = acme("10", valid_to=TENTH, **terms)
    scenario.charged("e1", NOVEMBER, {"input": 8})
    scenario.advance(TENTH)
    correction = scenario.void("v1", "e1", TENTH)
    assert isinstance(correction, Charge)
    assert (correction.amount, format_pico(correction.due)) == (-8 * PICO, due)
    bucket = scenario.bucket()
    assert format_pico(bucket.expired) == expired
    assert bucket.drawn == (8 * PICO if due == "-8" else 0)
    assert bucket.remaining == 0


def test_money_of_a_closed_bucket_that_rolls_over_comes_back_to_its_successor() -> None:
    scenario = acme("10", valid_from="2026-11-01T00:00:00Z", valid_to=TENTH, rollover_up_to="6")
    scenario.charged("e1", NOVEMBER, {"input": 8})
    scenario.advance(TENTH)
    scenario.void("v1", "e1", TENTH)
    assert left(scenario) == ["0", "6", "0"]


def test_a_settlement_is_paid_by_money_and_comes_back_when_late_usage_makes_up_for_it() -> None:
    scenario = acme("35", text=MONTHLY_MINIMUM)
    scenario.charged("e1", NOVEMBER, {"input": 20})
    scenario.close("2026-11")
    (settled,) = scenario.settlements
    assert draws(settled) == [("g", "15")]
    assert left(scenario) == ["0", "15"]
    late = scenario.charged("e2", NOVEMBER, {"input": 10})
    again = scenario.settlements[-1]
    assert (late.amount, draws(late), again.amount, draws(again)) == (
        10 * PICO,
        [],
        -10 * PICO,
        [],
    )
    assert left(scenario) == ["0", "15"]


def test_overage_that_is_to_be_funded_waits_for_each_kind_that_money_does_not_reach() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.assign(overage=SUSPENDED)
    scenario.give(MONEY, "5")
    scenario.give(TOKENS, "2", "t")
    charge = scenario.charged("e1", NOVEMBER, {"input": 9, "output": 4})
    found = [(line.kind, line.status, line.covered, line.amount) for line in charge.lines]
    assert found == [("input", SUSPENSE, 2, None), ("output", "rated", 0, 4 * PICO)]
    assert charge.lines[0].reason == "unfunded"
    assert charge.lines[1].before == 0  # what waits is not counted
    assert left(scenario) == ["1", "0", "0"]
    assert scenario.acme.suspended_lines == 1
    counters = scenario.acme.counters
    assert [entry.metered for entry in counters["plan/tokens/acme/2026-11"]] == [4 * PICO]


def test_credit_funds_overage_too() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.assign(overage=SUSPENDED)
    scenario.adjust("-3")
    assert scenario.charged("e1", NOVEMBER, {"input": 3}).lines[0].status == "rated"
    assert scenario.charged("e2", NOVEMBER, {"input": 1}).lines[0].status == SUSPENSE
    assert scenario.acme.due == 0


def test_overage_counts_by_the_assignment_at_the_time_of_use() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.assign(effective_from=TENTH, overage=SUSPENDED)
    assert scenario.charged("e1", NOVEMBER, {"input": 1}).lines[0].status == "rated"
    assert scenario.charged("e2", TENTH, {"input": 1}).lines[0].status == SUSPENSE
