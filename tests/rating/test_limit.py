"""Limits: what counts, for whom and when, at which levels they warn, and when they start anew."""

from typing import Any

import pytest

from engine.rating.event import AlertCleared, CommandRefused, LimitSet
from engine.rating.limit import Limit, check_limit
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on

NOVEMBER = "2026-11-02T00:00:00Z"


def acme(**terms: Any) -> Scenario:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.limit(**terms)
    return scenario


def used(scenario: Scenario, quantity: int, occurred_at: str = NOVEMBER, **rest: Any) -> list[str]:
    """Use tokens; return every alert so far, as the key behind the limit's name."""
    scenario.charged(f"e{len(scenario.records)}", occurred_at, {"input": quantity}, **rest)
    return keys(scenario)


def keys(scenario: Scenario) -> list[str]:
    return [
        key.removeprefix("limit/l/") for _, key in scenario.raised() if key.startswith("limit/")
    ]


def code(event: Any) -> str:
    assert isinstance(event.change, CommandRefused), event.change
    return event.change.refusal.code


def test_a_limit_warns_ahead_and_tells_when_it_is_reached() -> None:
    scenario = acme(spend="10")
    assert used(scenario, 7) == []
    assert used(scenario, 1) == ["/2026-11/80"]
    assert used(scenario, 1) == ["/2026-11/80"]
    assert used(scenario, 1) == ["/2026-11/80", "/2026-11/100"]
    assert [found for found, _ in scenario.raised()] == ["limit_ahead", "limit_reached"]


def test_a_limit_has_the_levels_that_it_names_and_always_100() -> None:
    scenario = acme(spend="10", warn_at=[90, 50])
    assert used(scenario, 100) == ["/2026-11/50", "/2026-11/90", "/2026-11/100"]


def test_usage_beyond_a_limit_is_charged_all_the_same() -> None:
    scenario = acme(spend="10")
    used(scenario, 50)
    used(scenario, 50)
    assert scenario.acme.due == 100 * PICO


def test_tokens_count_whether_they_are_covered_priced_or_in_suspense() -> None:
    scenario = acme(tokens="10")
    scenario.give("tokens", "4", alerts={"used_percents": [], "run_out": False})
    assert used(scenario, 6) == []
    scenario.charged("s", NOVEMBER, {"image": 5, "cache_read": 2})
    assert keys(scenario) == ["/2026-11/80"]
    assert used(scenario, 2) == ["/2026-11/80", "/2026-11/100"]


def test_a_limit_of_each_subject_counts_each_by_itself() -> None:
    scenario = acme(spend="10", each_subject=True)
    assert used(scenario, 9, subject="anna") == ["anna/2026-11/80"]
    assert used(scenario, 7, subject="ben") == ["anna/2026-11/80"]
    assert used(scenario, 9, subject="") == ["anna/2026-11/80"]
    assert used(scenario, 1, subject="ben") == ["anna/2026-11/80", "ben/2026-11/80"]


def test_a_limit_of_one_subject_does_not_concern_others() -> None:
    scenario = acme(spend="10", subject="anna")
    assert used(scenario, 99, subject="ben") == []
    assert used(scenario, 10, subject="anna") == ["anna/2026-11/80", "anna/2026-11/100"]


def test_a_day_counts_by_itself_in_the_zone_of_the_account() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, time_zone="Asia/Tokyo")
    scenario.limit(spend="10", per="day", warn_at=[100])
    assert used(scenario, 9, "2026-11-02T14:59:59Z") == []
    assert used(scenario, 9, "2026-11-02T15:00:00Z") == []
    assert used(scenario, 1, "2026-11-02T14:00:00Z") == ["/2026-11-02/100"]
    assert used(scenario, 1, "2026-11-03T00:00:00Z") == ["/2026-11-02/100", "/2026-11-03/100"]


def test_the_clock_lets_a_limit_be_reached_again_when_its_period_is_over() -> None:
    scenario = acme(spend="10", per="day", warn_at=[50])
    used(scenario, 10)
    scenario.advance("2026-11-02T23:59:59Z")
    assert scenario.changes(AlertCleared) == []
    scenario.advance("2026-11-03T00:00:00Z")
    assert scenario.changes(AlertCleared) == [
        AlertCleared("limit_reached", "limit/l//2026-11-02/100"),
        AlertCleared("limit_ahead", "limit/l//2026-11-02/50"),
    ]
    assert scenario.acme.raised == {}


def test_a_void_gives_back_what_its_original_has_used() -> None:
    scenario = acme(spend="10")
    scenario.charged("e1", NOVEMBER, {"input": 7})
    scenario.void("v1", "e1", NOVEMBER)
    assert used(scenario, 7) == []
    assert used(scenario, 1) == ["/2026-11/80"]


def test_spend_of_the_whole_account_counts_from_the_beginning_of_the_period() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    used(scenario, 9)
    scenario.limit(spend="10", received_at=NOVEMBER)
    assert keys(scenario) == ["/2026-11/80"]
    other = acme_on(ONE_DOLLAR_EACH)
    used(other, 9)
    other.limit(tokens="10", received_at=NOVEMBER)
    assert keys(other) == []


def test_a_limit_that_changes_its_amount_goes_on_counting_and_warns_anew() -> None:
    scenario = acme(tokens="10")
    used(scenario, 8)
    scenario.limit(tokens="100", received_at=NOVEMBER)
    assert used(scenario, 71) == ["/2026-11/80"]
    assert used(scenario, 1) == ["/2026-11/80", "/2026-11/80"]


def test_a_limit_that_is_taken_away_counts_nothing_and_is_forgotten() -> None:
    scenario = acme(tokens="10")
    used(scenario, 8)
    scenario.limit(remove=True)
    assert used(scenario, 50) == ["/2026-11/80"]
    assert (scenario.acme.limits.by_id, scenario.acme.limits.uses) == ({}, {})
    assert scenario.acme.raised == {}
    assert code(scenario.limit(remove=True)) == "unknown_limit"


def test_late_usage_counts_in_its_own_period_for_two_more() -> None:
    scenario = acme(tokens="10", per="day", warn_at=[100])
    for day in ("02", "03", "04"):
        used(scenario, 6, f"2026-11-{day}T00:00:00Z")
    assert used(scenario, 4, NOVEMBER) == ["/2026-11-02/100"]
    used(scenario, 6, "2026-11-05T00:00:00Z")
    assert used(scenario, 40, NOVEMBER) == ["/2026-11-02/100"]


GOOD = Limit("l", "spend", "account", "", "day", PICO)


@pytest.mark.parametrize(
    "changes",
    [
        {"limit_id": ""},
        {"limit_id": "a/b"},
        {"measure": "calls"},
        {"scope": "model"},
        {"period": "hour"},
        {"subject": "anna"},
        {"amount": 0},
        {"percents": (0,)},
        {"percents": (101,)},
        {"limit_id": "x" * 1000},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    assert check_limit(GOOD) is None
    refusal = check_limit(GOOD._replace(**changes))
    assert refusal is not None
    assert refusal.code == "invalid_limit"


def test_a_limit_is_set_by_a_command() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    assert isinstance(scenario.limit(spend="10").change, LimitSet)
    assert code(Scenario().limit(spend="10")) == "account_not_open"
