"""Thresholds that are crossed become alerts: once per crossing and period, the same in a replay."""

from typing import Any

from engine.rating.account import Account
from engine.rating.alert import Alert, threshold_alert
from engine.rating.command import IssueGrant, RechargeBucket, SetLimit
from engine.rating.event import AccountEvent, AlertCleared
from engine.rating.grant import Grant, Thresholds
from engine.rating.limit import Limit
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at

NOVEMBER = "2026-11-01T00:00:00Z"
DECEMBER = "2026-12-01T00:00:00Z"


def raised(scenario: Scenario) -> list[Alert]:
    """Return the alerts so far, as a fold over the journal."""
    account = Account("acme")
    found = []
    for record in scenario.records:
        account.apply(record)
        if isinstance(record, AccountEvent):
            found.append(threshold_alert(record, account.zone))
    return [alert for alert in found if alert is not None]


def acme_with(amount: int, **rest: Any) -> Scenario:
    """Return a scenario in which acme has so many tokens for November."""
    scenario = acme_on(ONE_DOLLAR_EACH, time_zone="Asia/Shanghai")
    terms = {"valid_to": at(DECEMBER), "thresholds": Thresholds(run_out=False), **rest}
    grant = Grant("allowance", "tokens", amount * PICO, at(NOVEMBER), granted_at=at(NOVEMBER),
                  **terms)  # fmt: skip
    scenario.command(IssueGrant(grant), received_at=at(NOVEMBER))
    return scenario


def test_a_bucket_alerts_at_each_percentage_once() -> None:
    scenario = acme_with(100)
    for number, tokens in enumerate((79, 1, 5, 15)):
        scenario.charged(f"e{number}", f"2026-11-0{number + 1}T00:00:00Z", {"input": tokens})
    found = raised(scenario)
    assert [(alert.kind, alert.code, alert.key) for alert in found] == [
        ("bucket", "bucket_used", "bucket/allowance/bucket_used/80"),
        ("bucket", "bucket_used", "bucket/allowance/bucket_used/100"),
        ("bucket", "exhausted", "exhausted"),
    ]
    assert found[0].explanation == ("bucket allowance is used up to 80 %: 20 of 100 tokens remain")
    assert found[0].occurred_at == at("2026-11-02T00:00:00Z")


def test_an_alert_names_the_record_that_raised_it_and_the_month_in_the_accounts_zone() -> None:
    scenario = acme_with(100)
    charge = scenario.charged("e1", "2026-11-30T16:00:00Z", {"input": 80})
    (alert,) = raised(scenario)
    assert alert.sequence == charge.sequence + 1
    assert alert.service_period == "2026-12"


def test_a_recharge_lets_a_threshold_alert_again_under_another_id() -> None:
    scenario = acme_with(100, thresholds=Thresholds((80,), run_out=False))
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 80})
    scenario.command(RechargeBucket("allowance", 100 * PICO), received_at=at(NOVEMBER))
    scenario.charged("e2", "2026-11-03T00:00:00Z", {"input": 80})
    found = raised(scenario)
    assert [alert.key for alert in found] == ["bucket/allowance/bucket_used/80"] * 2
    assert len({alert.alert_id for alert in found}) == 2


def test_a_bucket_that_ends_soon_alerts_when_time_passes() -> None:
    scenario = acme_with(100)
    scenario.advance("2026-11-28T00:00:00Z")
    (alert,) = raised(scenario)
    assert (alert.kind, alert.code) == ("bucket", "expiry_ahead")
    assert alert.occurred_at == at("2026-11-28T00:00:00Z")


def test_a_bucket_that_will_be_empty_before_it_ends_alerts() -> None:
    scenario = acme_with(100, thresholds=Thresholds((), (), None))
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 50})
    (alert,) = raised(scenario)
    assert (alert.kind, alert.code) == ("bucket", "run_out_ahead")
    assert "runs out about 2026-11-03T00:00:00" in alert.explanation


def test_a_limit_alerts_ahead_and_when_it_is_reached_until_its_period_is_over() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    order = SetLimit(Limit("a-day", "spend", "subject", "", "day", 10 * PICO))
    scenario.command(order, received_at=at(NOVEMBER))
    for number, day in enumerate((1, 1, 1, 2)):
        scenario.charged(f"e{number}", f"2026-11-0{day}T12:00:00Z", {"input": 8})
    found = raised(scenario)
    assert [(alert.kind, alert.code, alert.key) for alert in found] == [
        ("limit", "limit_ahead", "limit/a-day/login-1/2026-11-01/80"),
        ("limit", "limit_reached", "limit/a-day/login-1/2026-11-01/100"),
        ("limit", "limit_ahead", "limit/a-day/login-1/2026-11-02/80"),
    ]
    assert found[0].until == at("2026-11-02T00:00:00Z")


def test_an_alert_that_is_cleared_is_no_alert() -> None:
    cleared = AlertCleared("exhausted", "exhausted")
    scenario = acme_with(1)
    event = next(record for record in scenario.records if isinstance(record, AccountEvent))
    account = scenario.ledger.account("acme")
    assert threshold_alert(event._replace(change=cleared), account.zone) is None


def test_a_replay_raises_the_same_alerts() -> None:
    scenario = acme_with(100)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 100})
    assert raised(scenario) == raised(scenario) != []
