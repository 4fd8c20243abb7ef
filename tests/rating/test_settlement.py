"""Closing a period: what a minimum still owes is settled, and settled again when usage comes late."""

import pytest

from engine.rating.charge import SETTLEMENT
from engine.rating.command import ClosePeriod, OpenAccount
from engine.rating.digest import state_digest
from engine.rating.event import CommandRefused, PeriodClosed, VersionAdopted
from engine.rating.money import PICO, format_pico
from engine.rating.period import UTC_ZONE
from tests.rating.scenario import Scenario, acme_on, at, tariff, zone

FIFTY = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - id: tokens
    kinds: [input]
    period: calendar_month
    minimum: "50"
    price: {model: unit, unit_price: "1"}
"""
BY_LOGIN = FIFTY.replace("period: calendar_month", "scope: subject\n    period: billing_period")


def version_2(text: str, since: str, minimum: str) -> str:
    text = text.replace("version: 1", "version: 2").replace("2026-01-01T00:00:00Z", since)
    return text.replace('minimum: "50"', f'minimum: "{minimum}"')


def settled(scenario: Scenario) -> list[tuple[str, str]]:
    """Return each settlement so far as (counter, amount)."""
    return [(c.lines[0].counter, format_pico(c.amount)) for c in scenario.settlements]


def code_of(scenario: Scenario, period: str, received_at: str) -> str:
    change = scenario.close(period, received_at).change
    assert isinstance(change, CommandRefused), change
    return change.refusal.code


def test_what_a_month_lacks_to_its_minimum_is_charged_when_it_closes() -> None:
    scenario = acme_on(FIFTY)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 20})
    before = state_digest(scenario.ledger.account("acme"))
    event = scenario.close("2026-11", "2026-12-01T00:00:00Z")
    assert event.change == PeriodClosed(
        "2026-11", at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"), before
    )
    assert settled(scenario) == [("plan/tokens/acme/2026-11", "30")]
    account = scenario.ledger.account("acme")
    assert account.due == 50 * PICO
    assert account.settled == {"plan/tokens/acme/2026-11": 30 * PICO}


def test_a_settlement_names_what_it_is_for_and_no_usage() -> None:
    scenario = acme_on(FIFTY)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 20})
    event = scenario.close("2026-11")
    (charge,) = scenario.settlements
    (line,) = charge.lines
    assert charge.kind == SETTLEMENT
    assert (charge.source, charge.event_id, charge.subject, charge.model) == ("", "", "", "")
    assert charge.digest == bytes(32)
    assert (charge.position, charge.received_at) == (event.position, event.received_at)
    assert charge.sequence == event.sequence + 1
    assert charge.occurred_at == at("2026-12-01T00:00:00Z") - 1
    assert charge.service_period == "2026-11"
    assert charge.tariff is not None
    assert charge.tariff.version == 1
    assert (line.component, line.kind, line.quantity) == ("tokens", "minimum", 0)
    assert (line.before, line.metered, line.slices) == (20 * PICO, 0, ())


def test_a_settlement_has_an_id_of_its_own_and_occupies_no_identity() -> None:
    scenario = acme_on(FIFTY)
    scenario.close("2026-11")
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 20})
    first, second = scenario.settlements
    assert first.charge_id != second.charge_id
    assert not scenario.ledger.is_occupied(first.charge_id)


def test_the_account_owes_its_minimum_without_any_usage() -> None:
    scenario = acme_on(FIFTY)
    scenario.close("2026-11")
    assert settled(scenario) == [("plan/tokens/acme/2026-11", "50")]


def test_a_minimum_of_an_account_override_is_owed_by_that_account_alone() -> None:
    override = FIFTY.replace("kinds: [input]", "kinds: [input]\n    match: {account: %s}")
    assert settled_without_usage(override % "acme") == [("plan/tokens/acme/2026-11", "50")]
    assert settled_without_usage(override % "globex") == []


def settled_without_usage(text: str) -> list[tuple[str, str]]:
    scenario = acme_on(text)
    scenario.close("2026-11")
    return settled(scenario)


def test_a_month_that_reached_its_minimum_owes_nothing_more() -> None:
    scenario = acme_on(FIFTY)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 50})
    scenario.close("2026-11")
    assert settled(scenario) == []
    assert scenario.ledger.account("acme").settled == {}


def test_late_usage_settles_its_month_again_right_behind_its_own_charge() -> None:
    scenario = acme_on(FIFTY)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 20})
    scenario.close("2026-11")
    late = scenario.charged("b", "2026-11-30T00:00:00Z", {"input": 10})
    assert late.service_period == "2026-11"
    again = scenario.settlements[-1]
    assert (again.sequence, again.position) == (late.sequence + 1, late.position)
    assert format_pico(again.amount) == "-10"
    scenario.charged("c", "2026-11-30T00:00:00Z", {"input": 40})
    assert format_pico(scenario.settlements[-1].amount) == "-20"
    account = scenario.ledger.account("acme")
    assert (account.due, account.settled) == (70 * PICO, {})
    scenario.charged("d", "2026-11-30T00:00:00Z", {"input": 1})
    assert len(scenario.settlements) == 3


def test_usage_of_an_open_month_settles_nothing() -> None:
    scenario = acme_on(FIFTY)
    scenario.close("2026-11")
    scenario.charged("a", "2026-12-02T00:00:00Z", {"input": 1})
    assert len(scenario.settlements) == 1


def test_each_login_that_used_something_owes_its_own_minimum_in_the_order_of_keys() -> None:
    scenario = acme_on(BY_LOGIN)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 20}, subject="zoe")
    scenario.charged("b", "2026-11-02T00:00:00Z", {"input": 60}, subject="ben")
    scenario.charged("c", "2026-11-02T00:00:00Z", {"input": 1}, subject="a/b")
    scenario.charged("d", "2026-10-02T00:00:00Z", {"input": 1}, subject="zoe")
    scenario.charged("e", "2026-12-02T00:00:00Z", {"input": 1}, subject="anna")
    scenario.close("2026-11")
    assert settled(scenario) == [
        ("plan/tokens/a%2Fb/2026-11", "49"),
        ("plan/tokens/zoe/2026-11", "30"),
    ]


def test_late_usage_of_a_login_that_had_none_owes_the_minimum_then() -> None:
    scenario = acme_on(BY_LOGIN)
    scenario.close("2026-11")
    assert settled(scenario) == []
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 20}, subject="zoe")
    assert settled(scenario) == [("plan/tokens/zoe/2026-11", "30")]


def test_an_account_without_a_tariff_or_a_version_then_owes_nothing() -> None:
    scenario = Scenario()
    scenario.publish(tariff(FIFTY.replace("2026-01-01", "2026-10-15")))
    scenario.open()
    scenario.assign(effective_from="2026-09-15T00:00:00Z", effective_to="2026-11-15T00:00:00Z")
    for period in ("2026-08", "2026-09", "2026-10", "2026-11"):
        scenario.close(period)
    assert settled(scenario) == [("plan/tokens/acme/2026-10", "50")]


def test_the_version_of_the_last_instant_says_the_minimum_and_earlier_usage_counts() -> None:
    scenario = acme_on(FIFTY, version_2(FIFTY, "2026-11-16T00:00:00Z", "80"))
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 20})
    scenario.charged("b", "2026-11-20T00:00:00Z", {"input": 5})
    scenario.close("2026-11")
    (charge,) = scenario.settlements
    assert charge.tariff is not None
    assert (charge.tariff.version, format_pico(charge.amount)) == (2, "55")


def test_a_version_that_starts_with_the_next_month_changes_nothing_in_this_one() -> None:
    scenario = acme_on(FIFTY, version_2(FIFTY, "2026-12-01T00:00:00Z", "80"))
    scenario.close("2026-11")
    scenario.close("2026-12")
    assert [amount for _, amount in settled(scenario)] == ["50", "80"]


def test_a_version_adopted_back_into_a_closed_month_settles_it_again() -> None:
    """Nothing was charged after it takes effect, so live rating uses it; the month must follow."""
    scenario = acme_on(FIFTY)
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 60})
    scenario.close("2026-11")
    assert settled(scenario) == []
    (event,) = scenario.publish(tariff(version_2(FIFTY, "2026-11-10T00:00:00Z", "80")))
    assert isinstance(event.change, VersionAdopted)
    (charge,) = scenario.settlements
    assert (format_pico(charge.amount), charge.position) == ("20", event.position)


def test_a_tariff_assigned_back_into_a_closed_month_settles_it_again() -> None:
    scenario = Scenario()
    scenario.publish(tariff(FIFTY))
    scenario.open()
    scenario.close("2026-11")
    scenario.close("2026-12", "2027-01-01T00:00:00Z")
    scenario.assign(effective_from="2026-12-10T00:00:00Z")
    assert settled(scenario) == [("plan/tokens/acme/2026-12", "50")]


def test_a_minimum_counts_against_the_amount_under_maximum_allowance_and_markup() -> None:
    rest = 'minimum: "50"\n    maximum: "60"\n    allowance: 10\n    markup_percent: "100"'
    scenario = acme_on(FIFTY.replace('minimum: "50"', rest))
    scenario.charged("a", "2026-11-02T00:00:00Z", {"input": 30})
    scenario.close("2026-11")
    assert settled(scenario) == [("plan/tokens/acme/2026-11", "10")]


def test_months_are_closed_in_the_account_s_zone_and_after_its_grace() -> None:
    scenario = Scenario()
    scenario.command(OpenAccount("USD", zone("Asia/Shanghai"), 3_600_000_000))
    assert code_of(scenario, "2026-11", "2026-11-30T16:59:59.999999Z") == "period_not_over"
    event = scenario.close("2026-11", "2026-11-30T17:00:00Z")
    assert isinstance(event.change, PeriodClosed)
    assert event.change.ends_at == at("2026-11-30T16:00:00Z")


def test_a_refused_close_may_be_asked_again_and_one_that_acted_acts_once() -> None:
    scenario = acme_on(FIFTY)
    order = ClosePeriod("2026-11")
    early = scenario.command(order, "c", received_at=at("2026-11-30T23:59:59Z"))
    assert isinstance(early.change, CommandRefused)
    assert isinstance(scenario.command(order, "c").change, PeriodClosed)
    again = scenario.command(order, "c").change
    assert isinstance(again, CommandRefused)
    assert again.refusal.code == "duplicate_command"
    assert code_of(scenario, "2026-11", "2027-01-01T00:00:00Z") == "period_closed_before"
    assert len(scenario.settlements) == 1


@pytest.mark.parametrize("period", ["", "2026-13", "2050-02", "november"])
def test_what_is_no_month_is_refused(period: str) -> None:
    assert code_of(acme_on(FIFTY), period, "2049-12-31T00:00:00Z") == "invalid_period"


def test_an_account_that_is_not_open_has_no_month_to_close() -> None:
    assert code_of(Scenario(), "2026-11", "2027-01-01T00:00:00Z") == "account_not_open"


@pytest.mark.parametrize("grace", [-1, 366 * 24 * 3_600_000_000 + 1])
def test_a_grace_that_makes_no_sense_is_refused(grace: int) -> None:
    change = Scenario().command(OpenAccount("USD", UTC_ZONE, grace)).change
    assert isinstance(change, CommandRefused)
    assert change.refusal.code == "invalid_grace"


def test_a_close_that_would_leave_the_range_of_money_is_refused() -> None:
    scenario = acme_on(FIFTY)
    account = scenario.ledger.account("acme")
    account.due = 10**38 - 50 * PICO
    assert code_of(scenario, "2026-11", "2027-01-01T00:00:00Z") == "amount_overflow"
    assert account.closed == {}


def test_a_settlement_again_that_would_leave_the_range_waits_for_the_next_charge() -> None:
    """The adoption can not be refused any more; what lacks is settled as soon as there is room."""
    scenario = acme_on(FIFTY)
    scenario.close("2026-10")
    account = scenario.ledger.account("acme")
    account.settled["plan/tokens/acme/2026-10"] = -10 * PICO  # as if less had been owed
    account.due = 10**38 - 5 * PICO
    scenario.use("a", "2026-10-02T00:00:00Z", {"input": 1})
    assert len(scenario.settlements) == 1
    account.due = 0
    scenario.use("b", "2026-10-02T00:00:00Z", {"input": 1})
    assert len(scenario.settlements) == 2
    assert account.settled == {"plan/tokens/acme/2026-10": 48 * PICO}
