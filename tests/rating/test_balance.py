from engine.rating.account import PeriodSpend
from engine.rating.balance import balance_of
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on


def test_a_balance_is_what_the_account_owes_by_month() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, time_zone="Asia/Shanghai")
    scenario.charged("e1", "2026-11-30T16:00:00Z", {"input": 2})
    last = scenario.charged("e2", "2026-11-30T15:59:59Z", {"input": 1, "unexplained": 1})
    balance = balance_of(scenario.ledger.account("acme"))
    assert (balance.account_id, balance.currency, balance.tariff_id) == ("acme", "USD", "plan")
    assert (balance.due, balance.charges, balance.suspended_lines) == (3 * PICO, 2, 1)
    assert balance.periods == (
        ("2026-11", PeriodSpend(PICO, 1)),
        ("2026-12", PeriodSpend(2 * PICO, 1)),
    )
    assert (balance.sequence, balance.as_of) == (last.sequence, last.received_at)
    assert balance.time_zone == "Asia/Shanghai"


def test_an_account_that_is_not_open_has_a_balance_too() -> None:
    scenario = Scenario()
    scenario.charged("e1", "2026-11-30T16:00:00Z", {"input": 2})
    balance = balance_of(scenario.ledger.account("acme"))
    assert (balance.currency, balance.time_zone, balance.tariff_id) == ("", "", "")
    assert (balance.due, balance.charges, balance.suspended_lines) == (0, 1, 1)
