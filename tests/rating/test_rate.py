"""Rating one event: lines, counters, suspense, overflow."""

import pytest

from engine.rating.charge import RATED, SUSPENSE, Charge, Repricing
from engine.rating.errors import Refusal
from engine.rating.money import LIMIT_PICO, PICO
from engine.rating.rules import LATEST_REVISION
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at, usage

NOVEMBER = "2026-11-02T00:00:00Z"

PLAN = """
tariff_id: plan
version: {version}
effective_from: {start}
currency: USD
components:
  - id: {component}
    kinds: {kinds}
    scope: {scope}
    period: {period}
    price: {{model: graduated, tiers: [{{up_to: 10, unit_price: "{price}"}}, {{unit_price: "1"}}]}}
"""


def plan(version: int = 1, start: str = "2026-01-01T00:00:00Z", **changes: str) -> str:
    words = {
        "component": "ladder",
        "kinds": "[input]",
        "scope": "account",
        "period": "calendar_month",
        "price": "2",
        **changes,
    }
    return PLAN.format(version=version, start=start, **words)


def priced(text: str, price: str) -> str:
    return text.replace('unit_price: "1"', f'unit_price: "{price}"')


def reasons(charge: Charge) -> list[str]:
    assert all(line.status == SUSPENSE and line.amount is None for line in charge.lines)
    return [line.reason for line in charge.lines]


def test_a_charge_repeats_what_it_was_made_from() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    event = usage(trace_id="t-1", parent_event_id="e0", initiator="tool", region="eu")
    origin = scenario.origin()
    charge = scenario.take(event, origin)
    assert isinstance(charge, Charge)
    assert (charge.account_id, charge.source, charge.event_id) == ("acme", "gateway-1", "e1")
    assert (charge.digest, charge.position) == (event.digest, origin.position)
    assert (charge.occurred_at, charge.received_at) == (event.occurred_at, origin.received_at)
    assert (charge.trace_id, charge.parent_event_id, charge.initiator) == ("t-1", "e0", "tool")
    assert (charge.region, charge.subject, charge.service_period) == ("eu", "login-1", "2026-11")
    assert (charge.kind, charge.rules, charge.currency) == ("usage", LATEST_REVISION, "USD")


def test_a_charge_names_the_version_that_rated_it() -> None:
    scenario = acme_on(plan(1), plan(2, "2026-11-10T00:00:00Z"))
    charge = scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 1})
    known = scenario.book.get("plan", 2)
    assert charge.tariff is not None
    assert known is not None
    assert (charge.tariff.version, charge.tariff.digest) == (2, known.version.digest)
    assert charge.tariff.offset == known.offset


def test_usage_of_an_account_that_is_not_open_waits() -> None:
    charge = Scenario().charged("e1", NOVEMBER, {"input": 1, "output": 2})
    assert reasons(charge) == ["account_not_open", "account_not_open"]
    assert (charge.amount, charge.currency, charge.tariff) == (0, "", None)


def test_usage_of_an_account_without_a_tariff_waits() -> None:
    scenario = Scenario()
    scenario.open()
    assert reasons(scenario.charged("e1", NOVEMBER, {"input": 1})) == ["account_not_assigned"]


def test_usage_before_the_first_version_waits() -> None:
    scenario = acme_on(plan(1, "2026-11-10T00:00:00Z"))
    charge = scenario.charged("e1", "2026-11-09T00:00:00Z", {"input": 1})
    assert reasons(charge) == ["no_tariff_in_force"]


def test_a_kind_without_a_price_waits_and_the_others_are_charged() -> None:
    charge = acme_on(plan()).charged("e1", NOVEMBER, {"input": 1, "output": 2})
    assert [(line.kind, line.status, line.amount) for line in charge.lines] == [
        ("input", RATED, 2 * PICO),
        ("output", SUSPENSE, None),
    ]
    assert charge.amount == 2 * PICO


def test_kinds_are_rated_in_canonical_order() -> None:
    scenario = acme_on(plan(kinds='["*"]'))
    charge = scenario.charged("e1", NOVEMBER, {"request": 4, "output": 4, "input": 4})
    assert [(line.kind, line.before // PICO) for line in charge.lines] == [
        ("input", 0),
        ("output", 4),
        ("request", 8),
    ]


def test_kinds_of_one_event_share_a_counter_that_lasts_for_the_event() -> None:
    scenario = acme_on(plan(kinds='["*"]', period="event"))
    for event_id in ("e1", "e2"):
        charge = scenario.charged(event_id, NOVEMBER, {"input": 10, "output": 1})
        assert [line.amount for line in charge.lines] == [20 * PICO, PICO]


@pytest.mark.parametrize(
    ("scope", "subject", "model", "counter"),
    [
        ("account", "anna", "gpt-4o", "plan/ladder/acme/2026-11"),
        ("subject", "anna", "gpt-4o", "plan/ladder/anna/2026-11"),
        ("subject", "", "gpt-4o", "plan/ladder//2026-11"),
        ("subject", "a/b%2F", "gpt-4o", "plan/ladder/a%2Fb%252F/2026-11"),
        ("model", "anna", "meta/llama", "plan/ladder/meta%2Fllama/2026-11"),
    ],
)
def test_a_counter_is_named_by_what_it_counts(
    scope: str, subject: str, model: str, counter: str
) -> None:
    scenario = acme_on(plan(scope=scope))
    charge = scenario.charged("e1", NOVEMBER, {"input": 1}, subject=subject, model=model)
    assert charge.lines[0].counter == counter


def test_counters_of_different_scope_values_never_share_a_name() -> None:
    scenario = acme_on(plan(scope="subject"))
    subjects = ["a", "a/b", "a%2Fb", "a%252Fb", "%", "/", "2026-11", ""]
    charges = [
        scenario.charged(f"e{number}", NOVEMBER, {"input": 1}, subject=subject)
        for number, subject in enumerate(subjects)
    ]
    assert len({charge.lines[0].counter for charge in charges}) == len(subjects)


def test_two_accounts_never_share_a_counter() -> None:
    scenario = acme_on(plan(scope="subject"))
    scenario.charged("e1", NOVEMBER, {"input": 10})
    other = scenario.charged("e1", NOVEMBER, {"input": 1}, account_id="globex")
    assert reasons(other) == ["account_not_open"]
    assert len(scenario.ledger.account("globex").counters) == 0


def test_a_component_of_a_new_id_counts_from_zero() -> None:
    scenario = acme_on(plan(1), plan(2, "2026-11-10T00:00:00Z", component="other-ladder"))
    scenario.charged("e1", NOVEMBER, {"input": 10})
    charge = scenario.charged("e2", "2026-11-10T00:00:00Z", {"input": 1})
    assert charge.lines[0].before == 0


def test_late_usage_reprices_every_later_version_in_turn() -> None:
    """Totals, tier by tier: v1 2 to 10 then 1, v2 4 to 10 then 1, v3 6 to 10 then 1."""
    scenario = acme_on(
        plan(1, price="2"),
        plan(2, "2026-11-10T00:00:00Z", price="4"),
        plan(3, "2026-11-20T00:00:00Z", price="6"),
    )
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 4})  # v2: 4 at 4 = 16
    scenario.charged("e2", "2026-11-20T00:00:00Z", {"input": 4})  # v3: 4 at 6 = 24
    late = scenario.charged("e3", "2026-11-09T00:00:00Z", {"input": 4})  # v1: 4 at 2 = 8
    (line,) = late.lines
    # v2 moves to (4, 8]: still 16. v3 moves from (4, 8] to (8, 12]: 2 at 6 + 2 at 1 = 14
    assert line.repricings == (
        Repricing(2, 0, 4 * PICO, 0),
        Repricing(3, 4 * PICO, 4 * PICO, -10 * PICO),
    )
    assert line.amount == -2 * PICO
    assert late.due == (8 + 16 + 14) * PICO


def test_late_usage_leaves_versions_without_units_of_the_counter_alone() -> None:
    scenario = acme_on(plan(1), plan(2, "2026-11-10T00:00:00Z", price="4"))
    scenario.charged("e1", "2026-12-10T00:00:00Z", {"input": 10})
    late = scenario.charged("e2", "2026-11-09T00:00:00Z", {"input": 1})
    assert late.lines[0].repricings == ()


def test_late_usage_does_not_reprice_earlier_versions() -> None:
    scenario = acme_on(plan(1), plan(2, "2026-11-10T00:00:00Z", price="4"))
    scenario.charged("e1", "2026-11-09T00:00:00Z", {"input": 10})
    charge = scenario.charged("e2", "2026-11-10T00:00:00Z", {"input": 1})
    assert charge.lines[0].repricings == ()
    assert charge.lines[0].before == 10 * PICO


def test_kinds_of_one_late_event_reprice_one_after_the_other() -> None:
    scenario = acme_on(
        plan(1, kinds="[input, output]"),
        plan(2, "2026-11-10T00:00:00Z", price="4", kinds="[input, output]"),
    )
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 4})  # 4 at 4 = 16
    late = scenario.charged("e2", "2026-11-09T00:00:00Z", {"input": 8, "output": 4})
    # input 8 at 2 = 16 moves v2 to (8, 12]: 2 at 4 + 2 at 1 = 10, -6
    # output 2 at 2 + 2 at 1 = 6 moves v2 to (12, 16]: 4 at 1 = 4, -6
    assert [line.amount for line in late.lines] == [10 * PICO, 0]
    assert late.due == 26 * PICO


def test_a_version_that_begins_earlier_but_was_published_later_counts_first() -> None:
    scenario = acme_on(plan(1, "2026-11-10T00:00:00Z"), plan(2, price="4"))
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 8})  # v1: 8 at 2 = 16
    late = scenario.charged("e2", "2026-11-09T00:00:00Z", {"input": 8})  # v2: 8 at 4 = 32
    assert late.lines[0].repricings == (Repricing(1, 0, 8 * PICO, -6 * PICO),)
    assert late.due == (32 + 2 * 2 + 6 * 1) * PICO


def test_an_amount_that_leaves_its_decimal_is_refused_and_changes_nothing() -> None:
    scenario = acme_on(priced(ONE_DOLLAR_EACH, "999999999"))
    scenario.charged("e0", NOVEMBER, {"input": 1})
    account = scenario.ledger.account("acme")
    account.due = LIMIT_PICO - 1
    refused = scenario.use("e1", NOVEMBER, {"input": 1})
    assert isinstance(refused, Refusal)
    assert refused.code == "amount_overflow"
    assert (account.due, account.charges, account.sequence) == (LIMIT_PICO - 1, 1, 3)


def test_units_that_leave_their_decimal_are_refused() -> None:
    """Quantities in the journal are DECIMAL(38,12) like amounts, also where they cost nothing."""
    text = ONE_DOLLAR_EACH.replace('["*"]', '{input: "999999999"}')
    scenario = acme_on(priced(text, "0"))
    outcomes = [scenario.use(f"e{number}", NOVEMBER, {"input": 10**15}) for number in range(120)]
    assert any(isinstance(outcome, Refusal) for outcome in outcomes)
    for charge in outcomes:
        if isinstance(charge, Charge):
            (line,) = charge.lines
            assert line.before + line.metered < LIMIT_PICO


def test_money_that_is_passed_on_costs_its_own_amount_at_a_price_of_one() -> None:
    """`pass_through_cost` is a decimal: its quantity is kept in pico, its price is per unit."""
    text = ONE_DOLLAR_EACH.replace('["*"]', "[pass_through_cost]")
    charge = acme_on(text).charged("e1", NOVEMBER, {"pass_through_cost": 3 * PICO // 2})
    assert charge.amount == 3 * PICO // 2


def test_usage_in_the_last_and_first_instant_of_a_month_is_of_that_month() -> None:
    scenario = acme_on(plan(), time_zone="Asia/Shanghai")
    last = scenario.charged("e1", "2026-11-30T15:59:59.999999Z", {"input": 1})
    first = scenario.charged("e2", "2026-11-30T16:00:00Z", {"input": 1})
    assert (last.service_period, first.service_period) == ("2026-11", "2026-12")
    assert at("2026-11-30T16:00:00Z") - last.occurred_at == 1
