"""What a gateway reads of an account: buckets, limits, and the states `exhausted` and `limited`."""

from typing import Any

import pytest

from engine.rating.balance import Balance, balance_of, bucket_state
from engine.rating.command import Adjust, IssueGrant, RechargeBucket, SetLimit, VoidGrant
from engine.rating.grant import Grant
from engine.rating.limit import Limit
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at

NOVEMBER = "2026-11-01T00:00:00Z"
DECEMBER = "2026-12-01T00:00:00Z"
HOUR = 3_600 * 1_000_000


def give(scenario: Scenario, grant_id: str, amount: int, **rest: Any) -> None:
    """Give acme tokens from November on, or what is said, at that month's first instant."""
    terms = {"unit": "tokens", "valid_from": at(NOVEMBER), "valid_to": None, **rest}
    grant = Grant(grant_id=grant_id, amount=amount * PICO, granted_at=at(NOVEMBER), **terms)
    scenario.command(IssueGrant(grant), received_at=at(NOVEMBER))


def limit(scenario: Scenario, limit_id: str, amount: int, **rest: Any) -> None:
    """Limit what acme spends in a billing period, or what is said."""
    terms: Any = {"measure": "spend", "scope": "account", "period": "billing_period"}
    order = SetLimit(Limit(limit_id, amount=amount * PICO, **{"subject": "", **terms, **rest}))
    scenario.command(order, received_at=at(NOVEMBER))


def balance(scenario: Scenario) -> Balance:
    return balance_of(scenario.ledger.account("acme"))


def acme() -> Scenario:
    return acme_on(ONE_DOLLAR_EACH)


def test_an_account_without_buckets_and_limits_is_neither_exhausted_nor_limited() -> None:
    scenario = acme()
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 2})
    shown = balance(scenario)
    assert (shown.buckets, shown.prepaid, shown.limits, shown.limited_subjects) == ((), (), (), ())
    assert not shown.exhausted
    assert not shown.limited


def test_a_bucket_shows_what_it_was_given_and_where_that_went() -> None:
    scenario = acme()
    give(scenario, "allowance", 100, valid_to=at(DECEMBER))
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 30})
    (bucket,) = balance(scenario).buckets
    assert (bucket.bucket_id, bucket.grant_id, bucket.unit) == ("allowance", "allowance", "tokens")
    assert (bucket.valid_from, bucket.valid_to, bucket.state) == (
        at(NOVEMBER),
        at(DECEMBER),
        "open",
    )
    assert (bucket.granted, bucket.remaining, bucket.drawn) == (100 * PICO, 70 * PICO, 30 * PICO)
    assert (bucket.expired, bucket.rolled, bucket.voided) == (0, 0, 0)
    assert balance(scenario).due == 0


def test_the_pace_of_a_bucket_is_that_of_its_last_day_of_use() -> None:
    scenario = acme()
    give(scenario, "allowance", 100)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 20})
    scenario.charged("e2", "2026-11-05T00:00:00Z", {"input": 8})
    (bucket,) = balance(scenario).buckets
    assert bucket.burn == 8 * PICO
    assert bucket.runs_out_at == balance(scenario).as_of + 9 * 24 * HOUR


def test_a_bucket_that_stands_still_does_not_run_out() -> None:
    scenario = acme()
    give(scenario, "allowance", 100)
    (bucket,) = balance(scenario).buckets
    assert (bucket.burn, bucket.runs_out_at) == (0, None)


def test_buckets_stand_in_the_order_in_which_they_are_drawn() -> None:
    scenario = acme()
    give(scenario, "later", 5, valid_to=at("2027-01-01T00:00:00Z"))
    give(scenario, "sooner", 5, valid_to=at(DECEMBER))
    give(scenario, "first", 5, priority=-1)
    names = [bucket.bucket_id for bucket in balance(scenario).buckets]
    assert names == ["first", "sooner", "later"]


def test_a_closed_bucket_is_left_to_the_totals() -> None:
    scenario = acme()
    give(scenario, "november", 100, valid_to=at(DECEMBER))
    give(scenario, "lasting", 50)
    give(scenario, "voided", 7)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 30})
    scenario.command(VoidGrant("voided"), received_at=at(NOVEMBER))
    scenario.advance(DECEMBER)
    shown = balance(scenario)
    assert [bucket.bucket_id for bucket in shown.buckets] == ["lasting"]
    (total,) = shown.prepaid
    assert (total.unit, total.buckets, total.granted) == ("tokens", 3, 157 * PICO)
    assert (total.remaining, total.drawn) == (50 * PICO, 30 * PICO)
    assert (total.expired, total.rolled, total.voided) == (70 * PICO, 0, 7 * PICO)
    account = scenario.ledger.account("acme")
    closed = bucket_state(account, account.prepaid.buckets["november"])
    assert (closed.state, closed.remaining, closed.burn) == ("closed", 0, 0)


def test_what_money_buckets_pay_is_not_due() -> None:
    scenario = acme()
    give(scenario, "credit", 10, unit="money")
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 12})
    shown = balance(scenario)
    assert shown.due == 2 * PICO
    assert dict(shown.periods)["2026-11"].amount == 12 * PICO
    assert [total.unit for total in shown.prepaid] == ["money"]


def test_an_account_is_exhausted_when_nothing_remains_and_no_longer_after_a_recharge() -> None:
    scenario = acme()
    give(scenario, "allowance", 10)
    states = [balance(scenario).exhausted]
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 12})
    states.append(balance(scenario).exhausted)
    scenario.command(RechargeBucket("allowance", 5 * PICO), received_at=at("2026-11-03T00:00:00Z"))
    states.append(balance(scenario).exhausted)
    assert states == [False, True, False]


def test_an_account_whose_bucket_has_expired_is_exhausted() -> None:
    scenario = acme()
    give(scenario, "november", 10, valid_to=at(DECEMBER))
    scenario.advance(DECEMBER)
    assert balance(scenario).exhausted


def test_a_limit_shows_what_is_used_of_it_and_when_it_starts_anew() -> None:
    scenario = acme()
    limit(scenario, "budget", 10)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 4})
    (shown,) = balance(scenario).limits
    assert (shown.limit_id, shown.measure, shown.scope) == ("budget", "spend", "account")
    assert (shown.subject, shown.period) == ("", "2026-11")
    assert (shown.used, shown.amount, shown.reached) == (4 * PICO, 10 * PICO, False)
    assert shown.resets_at == at(DECEMBER)


def test_an_account_is_limited_until_the_period_is_over() -> None:
    scenario = acme()
    limit(scenario, "budget", 10)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 10})
    assert balance(scenario).limited
    scenario.advance(DECEMBER)
    shown = balance(scenario)
    assert not shown.limited
    assert [(state.period, state.used) for state in shown.limits] == [("2026-12", 0)]


def test_late_usage_of_a_period_that_is_over_does_not_limit_the_account_now() -> None:
    scenario = acme()
    limit(scenario, "a-day", 10, period="day")
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 1})
    scenario.charged("e2", "2026-11-01T23:59:59.500000Z", {"input": 10})
    shown = balance(scenario)
    assert not shown.limited
    assert [(state.period, state.used) for state in shown.limits] == [("2026-11-02", PICO)]


def test_a_subject_that_has_reached_its_limit_is_named_and_the_account_goes_on() -> None:
    scenario = acme()
    limit(scenario, "per-login", 10, measure="tokens", scope="subject", period="day")
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 4}, subject="anna")
    scenario.charged("e2", "2026-11-02T01:00:00Z", {"input": 11}, subject="bert")
    shown = balance(scenario)
    assert shown.limited_subjects == ("bert",)
    assert not shown.limited
    assert [(state.subject, state.used // PICO, state.reached) for state in shown.limits] == [
        ("bert", 11, True),
        ("anna", 4, False),
    ]


def test_a_void_takes_back_what_counted_against_a_limit() -> None:
    scenario = acme()
    limit(scenario, "budget", 10)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 10})
    scenario.use("v1", "2026-11-02T01:00:00Z", {}, action="void", corrects="e1")
    assert not balance(scenario).limited


def test_of_very_many_subjects_all_that_are_limited_are_shown_and_the_most_used_others() -> None:
    scenario = acme()
    limit(scenario, "per-login", 200, measure="tokens", scope="subject")
    for number in range(1, 111):
        scenario.charged(f"e{number}", "2026-11-02T00:00:00Z", {"input": number},
                         subject=f"login-{number:03}")  # fmt: skip
    for number in (1, 2):
        scenario.charged(f"f{number}", "2026-11-02T00:00:00Z", {"input": 200},
                         subject=f"login-{number:03}")  # fmt: skip
    shown = balance(scenario)
    assert shown.limited_subjects == ("login-001", "login-002")
    assert (len(shown.limits), shown.limits_left_out) == (102, 8)
    assert [state.subject for state in shown.limits[:3]] == ["login-002", "login-001", "login-110"]
    assert shown.limits[-1].subject == "login-011"


def test_suspense_that_is_voided_is_no_longer_counted() -> None:
    scenario = acme()
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 1, "unexplained": 1})
    assert balance(scenario).suspended_lines == 1
    scenario.use("v1", "2026-11-02T01:00:00Z", {}, action="void", corrects="e1")
    assert balance(scenario).suspended_lines == 0


def test_an_adjustment_changes_what_is_due_and_counts_as_spend_of_the_account() -> None:
    scenario = acme()
    limit(scenario, "budget", 10)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 9})
    scenario.command(Adjust(5 * PICO, "set-up"), received_at=at("2026-11-03T00:00:00Z"))
    shown = balance(scenario)
    assert shown.due == 14 * PICO
    assert [state.used for state in shown.limits] == [14 * PICO]


@pytest.mark.parametrize("subject", ["anna", ""])
def test_a_limit_of_one_subject_or_of_the_account_is_shown_before_anything_is_used(
    subject: str,
) -> None:
    scenario = acme()
    limit(scenario, "budget", 10, subject=subject, scope="subject" if subject else "account")
    assert [(state.subject, state.used) for state in balance(scenario).limits] == [(subject, 0)]
