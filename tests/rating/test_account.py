"""The fold: what an account knows after each record, and which records it refuses."""

import pytest

from engine.rating.account import Account, PeriodSpend, VersionQuantity
from engine.rating.charge import Charge
from engine.rating.errors import BrokenInvariant
from engine.rating.event import TariffAssigned
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at, state_of

NOVEMBER = "2026-11-02T00:00:00Z"
VERSION_2 = ONE_DOLLAR_EACH.replace("version: 1", "version: 2").replace("2026-01-01", "2026-11-10")


def fresh() -> Account:
    return Account("acme")


def charge_of(scenario: Scenario, event_id: str = "e1", units: int = 1) -> Charge:
    return scenario.charged(event_id, NOVEMBER, {"input": units})


def account_of(scenario: Scenario) -> Account:
    return scenario.ledger.account("acme")


def test_an_account_begins_with_nothing_and_not_open() -> None:
    account = fresh()
    assert not account.is_open
    assert (account.sequence, account.due, account.charges) == (0, 0, 0)
    assert account.assigned_tariff(at(NOVEMBER)) is None


def test_a_charge_moves_due_month_counter_and_sequence() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    charge_of(scenario, "e1", 2)
    charge_of(scenario, "e2", 3)
    account = account_of(scenario)
    assert account.due == 5 * PICO
    assert account.sequence == 4  # opened, assigned, two charges
    assert account.periods == {"2026-11": PeriodSpend(5 * PICO, 2)}
    assert account.counters == {"plan/tokens/acme/2026-11": (VersionQuantity(1, 5 * PICO),)}
    assert (account.charges, account.suspended_lines) == (2, 0)
    assert account.latest_charge_at == at(NOVEMBER)


def test_the_latest_charge_is_the_latest_time_of_use_not_of_arrival() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-20T00:00:00Z", {"input": 1})
    scenario.charged("e2", "2026-11-10T00:00:00Z", {"input": 1})
    assert account_of(scenario).latest_charge_at == at("2026-11-20T00:00:00Z")


def test_a_line_in_suspense_is_counted_and_moves_no_counter() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"unexplained": 4, "input": 1})
    account = account_of(scenario)
    assert account.suspended_lines == 1
    assert list(account.counters) == ["plan/tokens/acme/2026-11"]


def test_a_counter_of_one_event_is_not_remembered() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH.replace("calendar_month", "event"))
    charge = charge_of(scenario)
    assert charge.lines[0].counter == "plan/tokens/acme/event"
    assert account_of(scenario).counters == {}


def test_units_stand_under_the_version_that_rated_them() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, VERSION_2)
    scenario.charged("e1", "2026-11-09T00:00:00Z", {"input": 1})
    scenario.charged("e2", "2026-11-10T00:00:00Z", {"input": 2})
    scenario.charged("e3", "2026-11-09T00:00:00Z", {"input": 4})
    (entries,) = account_of(scenario).counters.values()
    assert sorted(entries) == [VersionQuantity(1, 5 * PICO), VersionQuantity(2, 2 * PICO)]


@pytest.mark.parametrize("sequence", [0, 1, 2, 4, 5, -1])
def test_a_gap_in_the_sequence_is_refused(sequence: int) -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    account = account_of(scenario)
    before = state_of(account)
    charge = acme_on_twin().charged("e1", NOVEMBER, {"input": 1})
    with pytest.raises(BrokenInvariant, match=f"got sequence {sequence}, expected 3"):
        account.apply(charge._replace(sequence=sequence))
    assert state_of(account) == before


@pytest.mark.parametrize("error", [1, -1, PICO])
def test_a_charge_that_states_another_due_is_refused(error: int) -> None:
    charge = acme_on_twin().charged("e1", NOVEMBER, {"input": 1})
    with pytest.raises(BrokenInvariant, match="says due"):
        account_of(acme_on(ONE_DOLLAR_EACH)).apply(charge._replace(due=charge.due + error))
    with pytest.raises(BrokenInvariant):
        account_of(acme_on(ONE_DOLLAR_EACH)).apply(charge._replace(amount=charge.amount + error))


def test_an_amount_that_is_not_the_sum_of_its_lines_is_refused() -> None:
    """A charge answers "why this amount" alone; one that contradicts itself is no evidence."""
    charge = acme_on_twin().charged("e1", NOVEMBER, {"input": 1})
    wrong = charge._replace(amount=charge.amount + 1, due=charge.due + 1)
    with pytest.raises(BrokenInvariant):
        account_of(acme_on(ONE_DOLLAR_EACH)).apply(wrong)


def test_the_latest_assignment_that_has_begun_counts_and_its_end_leaves_a_gap() -> None:
    account = fresh()
    account.assignments = [
        assigned("old", "2026-01-01T00:00:00Z", None),
        assigned("new", "2026-11-10T00:00:00Z", "2026-11-20T00:00:00Z"),
        assigned("back", "2026-06-01T00:00:00Z", None),
    ]
    moments = {
        "2025-12-31T23:59:59.999999Z": None,
        "2026-01-01T00:00:00Z": "old",
        "2026-06-01T00:00:00Z": "back",
        "2026-11-09T23:59:59.999999Z": "back",
        "2026-11-10T00:00:00Z": "new",
        "2026-11-19T23:59:59.999999Z": "new",
        "2026-11-20T00:00:00Z": None,
    }
    assert {moment: account.assigned_tariff(at(moment)) for moment in moments} == moments


def test_of_two_assignments_that_begin_together_the_later_command_counts() -> None:
    account = fresh()
    account.assignments = [
        assigned("first", "2026-01-01T00:00:00Z", None),
        assigned("second", "2026-01-01T00:00:00Z", None),
    ]
    assert account.assigned_tariff(at(NOVEMBER)) == "second"


def test_a_staged_assignment_rates_nothing_yet() -> None:
    account = fresh()
    account.assignments = [
        assigned("live", "2026-01-01T00:00:00Z", None),
        assigned("staged", "2026-02-01T00:00:00Z", None)._replace(staged=True),
    ]
    assert account.assigned_tariff(at(NOVEMBER)) == "live"
    assert account.has_tariff("staged")


def assigned(tariff_id: str, start: str, end: str | None) -> TariffAssigned:
    return TariffAssigned(tariff_id, at(start), None if end is None else at(end), False, ())


def acme_on_twin() -> Scenario:
    """Return a scenario of its own, to take a charge from that another account is given."""
    return acme_on(ONE_DOLLAR_EACH)
