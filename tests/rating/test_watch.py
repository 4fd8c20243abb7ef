"""Alerts of buckets: each threshold once per crossing, and again only after a recharge."""

from typing import Any

import pytest

from engine.rating.event import AlertCleared, AlertRaised
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on

NOVEMBER = "2026-11-02T00:00:00Z"
QUIET: dict[str, Any] = {"used_percents": [], "expiry_lead_seconds": None, "run_out": False}


def acme(alerts: dict[str, Any] | None = None, **terms: Any) -> Scenario:
    """Return acme with a bucket of 100 tokens; without `alerts` those are the usual ones."""
    scenario = acme_on(ONE_DOLLAR_EACH)
    more: dict[str, Any] = {} if alerts is None else {"alerts": QUIET | alerts}
    scenario.give("tokens", "100", **more, **terms)
    return scenario


def used(scenario: Scenario, *quantities: int, occurred_at: str = NOVEMBER) -> list[str]:
    """Use tokens event by event; return the alerts so far, as code and level."""
    for quantity in quantities:
        scenario.charged(f"e{len(scenario.records)}", occurred_at, {"input": quantity})
    return levels(scenario)


def levels(scenario: Scenario) -> list[str]:
    return [
        f"{code} {key.rpartition('/')[2]}".rstrip() if "/" in key else code
        for code, key in scenario.raised()
    ]


@pytest.mark.parametrize(
    ("quantities", "alerts"),
    [
        ([79], []),
        ([80], ["bucket_used 80"]),
        ([80, 1, 1], ["bucket_used 80"]),
        ([99, 1], ["bucket_used 80", "bucket_used 100", "exhausted"]),
        ([100], ["bucket_used 80", "bucket_used 100", "exhausted"]),
    ],
)
def test_a_share_that_is_used_is_told_once(quantities: list[int], alerts: list[str]) -> None:
    assert used(acme(), *quantities) == alerts


def test_an_alert_follows_the_charge_that_crosses_it() -> None:
    scenario = acme({"used_percents": [50]})
    charge = scenario.charged("e1", NOVEMBER, {"input": 50})
    event = scenario.records[-1]
    change = getattr(event, "change", None)
    assert isinstance(change, AlertRaised)
    assert (change.code, change.key) == ("bucket_used", "bucket/g/bucket_used/50")
    assert (change.occurred_at, event.sequence) == (charge.occurred_at, charge.sequence + 1)
    assert event.position == charge.position
    assert "50 of 100 tokens remain" in change.explanation


def test_a_remainder_is_told_when_no_more_than_it_is_left() -> None:
    scenario = acme({"remaining": ["30", "5.5"]})
    assert used(scenario, 69) == []
    assert used(scenario, 1) == ["bucket_low 30"]
    assert used(scenario, 25) == ["bucket_low 30", "bucket_low 5.5"]


def test_a_void_does_not_let_an_alert_be_raised_again_but_a_recharge_does() -> None:
    scenario = acme({"used_percents": [80]})
    scenario.charged("e1", NOVEMBER, {"input": 90})
    scenario.void("v1", "e1", NOVEMBER)
    assert used(scenario, 90) == ["bucket_used 80"]
    scenario.recharge("g", "100")
    assert scenario.changes(AlertCleared) == [
        AlertCleared("bucket_used", "bucket/g/bucket_used/80")
    ]
    assert used(scenario, 69) == ["bucket_used 80"]
    assert used(scenario, 1) == ["bucket_used 80", "bucket_used 80"]


def test_a_recharge_that_does_not_move_a_threshold_out_of_reach_clears_nothing() -> None:
    scenario = acme({"used_percents": [80]})
    used(scenario, 90)
    scenario.recharge("g", "5")
    assert scenario.changes(AlertCleared) == []
    assert used(scenario, 1) == ["bucket_used 80"]


def test_exhausted_is_when_nothing_remains_in_any_open_bucket() -> None:
    scenario = acme({})
    scenario.give("money", "5", "h", alerts=QUIET)
    assert used(scenario, 100) == []
    assert used(scenario, 5) == ["exhausted"]
    scenario.give("tokens", "7", "i", alerts=QUIET)
    assert scenario.changes(AlertCleared) == [AlertCleared("exhausted", "exhausted")]
    assert used(scenario, 7) == ["exhausted", "exhausted"]


def test_a_bucket_that_expires_can_exhaust_an_account() -> None:
    scenario = acme({}, valid_to="2026-11-20T00:00:00Z", grace_days=0)
    scenario.advance("2026-11-20T00:00:00Z")
    assert levels(scenario) == ["exhausted"]


@pytest.mark.parametrize("terms", [{"recurs": "day"}, {"rollover_up_to": "1"}])
def test_a_bucket_that_is_filled_again_when_it_expires_exhausts_nothing(
    terms: dict[str, str],
) -> None:
    until = {} if "recurs" in terms else {"valid_to": "2026-11-03T00:00:00Z"}
    scenario = acme({}, valid_from=NOVEMBER, grace_days=0, **terms, **until)
    scenario.advance("2026-11-03T00:00:00Z")
    assert levels(scenario) == []
    scenario.advance("2026-11-07T00:00:00Z")
    assert levels(scenario) == ([] if "recurs" in terms else ["exhausted"])


def test_the_end_of_a_bucket_is_told_ahead_while_something_remains() -> None:
    terms = {"valid_from": "2026-11-01T00:00:00Z", "valid_to": "2026-11-20T00:00:00Z"}
    scenario = acme({"expiry_lead_seconds": 86_400}, **terms, grace_days=0)
    scenario.advance("2026-11-18T23:59:59Z")
    assert levels(scenario) == []
    scenario.advance("2026-11-19T00:00:00Z")
    scenario.advance("2026-11-19T12:00:00Z")
    assert levels(scenario) == ["expiry_ahead"]
    empty = acme({"expiry_lead_seconds": 86_400}, **terms, grace_days=0)
    used(empty, 100)
    empty.advance("2026-11-19T00:00:00Z")
    assert levels(empty) == ["exhausted"]


def test_the_alerts_of_a_closed_bucket_are_forgotten() -> None:
    terms = {"recurs": "day", "valid_from": NOVEMBER, "valid_to": "2026-11-04T00:00:00Z"}
    scenario = acme({"used_percents": [10]}, **terms, grace_days=0)
    used(scenario, 10)
    scenario.advance("2026-11-03T00:00:00Z")
    assert used(scenario, 10, occurred_at="2026-11-03T00:00:00Z") == ["bucket_used 10"] * 2
    scenario.advance("2026-11-04T00:00:00Z")
    assert [key for key in scenario.acme.raised if key.startswith("bucket/")] == []


@pytest.mark.parametrize(
    ("valid_to", "alerts"),
    [("2026-11-06T00:00:00Z", ["run_out_ahead"]), ("2026-11-04T00:00:00Z", []), (None, [])],
)
def test_a_bucket_that_its_pace_would_empty_before_its_end_is_told(
    valid_to: str | None, alerts: list[str]
) -> None:
    terms = {} if valid_to is None else {"valid_to": valid_to}
    scenario = acme({"run_out": True}, **terms)
    assert used(scenario, 30) == alerts  # 70 remain: at 30 a day until 2026-11-04T08


def test_the_pace_is_that_of_the_last_24_hours_of_use() -> None:
    scenario = acme({"run_out": True}, valid_to="2026-12-31T00:00:00Z")
    assert used(scenario, 1) == []
    assert used(scenario, 1, occurred_at="2026-11-03T01:00:00Z") == []
    assert used(scenario, 1, occurred_at="2026-11-03T01:30:00Z") == ["run_out_ahead"]


def test_what_a_void_gives_back_slows_the_pace() -> None:
    scenario = acme({"run_out": True}, valid_to="2026-12-31T00:00:00Z")
    scenario.charged("e1", NOVEMBER, {"input": 1})
    scenario.void("v1", "e1", NOVEMBER)
    assert scenario.acme.prepaid.burnt["g"][-1][1] == 0
    assert used(scenario, 1) == []
    assert scenario.bucket().remaining == 99 * PICO


def test_money_that_goes_is_watched_like_tokens() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.give("money", "10", alerts=QUIET | {"remaining": ["2"]})
    assert used(scenario, 8) == ["bucket_low 2"]
    assert "2 of 10 USD remain" in scenario.changes(AlertRaised)[0].explanation
