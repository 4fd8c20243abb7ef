"""A grant's terms: when its buckets begin and end, what its tokens weigh, what can not be given."""

from typing import Any

import pytest

from engine.adapters.documents.grants import parse_grant
from engine.rating.event import CommandRefused, Granted
from engine.rating.grant import MAX_PAST_BUCKETS, Grant, Rollover, check_grant
from engine.rating.money import PICO
from engine.rating.period import LAST_INSTANT, format_instant
from tests.rating.scenario import NEW_YEAR, ONE_DOLLAR_EACH, Scenario, acme_on, at, zone


def grant(**terms: Any) -> Grant:
    document = {"grant_id": "g", "unit": "tokens", "amount": "10"}
    return parse_grant(document | {"valid_from": "2026-01-31T00:00:00Z"} | terms, "grant")


def starts(given: Grant, count: int, time_zone: str = "UTC") -> list[str]:
    """Return the first instants of the first buckets, and check that each ends where the next begins."""
    spans = [given.span(index, zone(time_zone)) for index in range(count)]
    found = [span for span in spans if span is not None]
    assert [span[1] for span in found[:-1]] == [span[0] for span in found[1:]]
    return [format_instant(span[0])[:16] for span in found]


def refusal(given: Grant) -> str:
    found = check_grant(given)
    assert found is not None
    assert found.code == "invalid_grant"
    return found.explanation


def test_a_monthly_bucket_of_the_31st_begins_on_the_last_day_of_shorter_months() -> None:
    assert starts(grant(recurs="calendar_month"), 5) == [
        "2026-01-31T00:00",
        "2026-02-28T00:00",
        "2026-03-31T00:00",
        "2026-04-30T00:00",
        "2026-05-31T00:00",
    ]


def test_a_yearly_bucket_of_a_leap_day_comes_back_to_it() -> None:
    leap = grant(recurs="year", valid_from="2024-02-29T12:00:00Z")
    assert starts(leap, 5) == [
        "2024-02-29T12:00",
        "2025-02-28T12:00",
        "2026-02-28T12:00",
        "2027-02-28T12:00",
        "2028-02-29T12:00",
    ]


def test_days_and_weeks_keep_the_local_time_when_the_clocks_change() -> None:
    daily = grant(recurs="day", valid_from="2026-03-27T23:00:00Z")
    assert starts(daily, 4, "Europe/Berlin") == [
        "2026-03-27T23:00",
        "2026-03-28T23:00",
        "2026-03-29T22:00",
        "2026-03-30T22:00",
    ]
    weekly = grant(recurs="week", valid_from="2026-10-24T16:00:00Z")
    assert starts(weekly, 3, "America/New_York") == [
        "2026-10-24T16:00",
        "2026-10-31T16:00",
        "2026-11-07T17:00",
    ]


def test_a_local_time_that_a_day_leaves_out_begins_when_the_clocks_have_changed() -> None:
    daily = grant(recurs="day", valid_from="2026-03-28T01:30:00Z")
    assert starts(daily, 3, "Europe/Berlin") == [
        "2026-03-28T01:30",
        "2026-03-29T01:00",
        "2026-03-30T00:30",
    ]


@pytest.mark.parametrize(
    "anchor", ["2025-10-15T00:00:00Z", "2027-06-15T00:00:00Z", "2036-06-15T00:00:00Z"]
)
def test_an_anchor_before_or_after_the_beginning_sets_the_day_and_the_first_bucket_is_short(
    anchor: str,
) -> None:
    monthly = grant(recurs="calendar_month", anchor=anchor)
    assert starts(monthly, 3) == ["2026-01-31T00:00", "2026-02-15T00:00", "2026-03-15T00:00"]


@pytest.mark.parametrize(
    ("recurs", "second"),
    [
        ("day", "2026-02-01T00:00"),
        ("week", "2026-02-04T00:00"),
        ("calendar_month", "2026-02-12T00:00"),
        ("year", "2026-08-12T00:00"),
    ],
)
def test_an_anchor_of_long_ago_counts_for_every_recurrence(recurs: str, second: str) -> None:
    since = grant(recurs=recurs, anchor="2009-08-12T00:00:00Z")
    assert starts(since, 2) == ["2026-01-31T00:00", second]


def test_an_anchor_keeps_its_day_beyond_a_month_that_lacks_it() -> None:
    given = grant(
        recurs="calendar_month", anchor="2025-08-31T00:00:00Z", valid_from="2026-02-28T00:00:00Z"
    )
    assert starts(given, 2) == ["2026-02-28T00:00", "2026-03-31T00:00"]


def test_a_recurring_grant_ends_with_its_last_short_bucket() -> None:
    given = grant(recurs="calendar_month", valid_to="2026-03-05T00:00:00Z")
    assert starts(given, 9) == ["2026-01-31T00:00", "2026-02-28T00:00"]
    assert given.span(1, zone("UTC")) == (at("2026-02-28T00:00:00Z"), at("2026-03-05T00:00:00Z"))
    assert given.span(2, zone("UTC")) is None


def test_a_grant_that_does_not_recur_has_one_bucket_of_its_own_name() -> None:
    once = grant()
    assert once.bucket_id(0) == "g"
    assert once.span(0, zone("UTC")) == (at("2026-01-31T00:00:00Z"), None)
    assert once.span(1, zone("UTC")) is None
    assert grant(recurs="day").bucket_id(3) == "g#3"


def test_a_kind_without_a_weight_is_not_covered() -> None:
    weighed = grant(weights={"input": "1", "output": "2.5"})
    assert weighed.weight_pico("output", "gpt-4o") == 25 * PICO // 10
    assert weighed.weight_pico("cache_read", "gpt-4o") == 0


def test_cached_audio_burns_what_cached_tokens_burn_unless_it_is_named() -> None:
    plain, weighed = grant(), grant(weights={"cache_read": "0.25"})
    assert plain.weight_pico("audio_cache_read", "gpt-4o") == PICO
    assert weighed.weight_pico("audio_cache_read", "gpt-4o") == PICO // 4
    by_model = grant(weights={"cache_read": "1"}, model_weights={"gpt-*": {"cache_read": "0.5"}})
    assert by_model.weight_pico("audio_cache_read", "gpt-4o") == PICO // 2
    named = grant(weights={"cache_read": "0.25", "audio_cache_read": "3"})
    assert named.weight_pico("audio_cache_read", "gpt-4o") == 3 * PICO
    assert grant(weights={"input": "1"}).weight_pico("audio_cache_read", "gpt-4o") == 0


def test_the_most_specific_model_chooses_the_weight_and_falls_back_by_kind() -> None:
    weighed = grant(
        weights={"input": "1", "output": "1"},
        model_weights={"gpt-*": {"input": "2"}, "gpt-4o": {"input": "3"}, "g*": {"input": "9"}},
    )
    assert [weighed.weight_pico("input", model) for model in ("gpt-4o", "gpt-5", "o3")] == [
        3 * PICO,
        2 * PICO,
        PICO,
    ]
    assert weighed.weight_pico("output", "gpt-4o") == PICO


@pytest.mark.parametrize(
    ("remaining", "expected"), [(0, 3), (2, 3), (3, 3), (4, 4), (10, 10), (11, 10)]
)
def test_a_rollover_is_bounded_from_below_and_above(remaining: int, expected: int) -> None:
    assert Rollover(10, 3).amount(remaining) == expected


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grant_id": ""}, "grant_id"),
        ({"grant_id": "a#1"}, "without # and /"),
        ({"grant_id": "a/b"}, "without # and /"),
        ({"unit": "hours"}, "tokens or money"),
        ({"amount": 0}, "above 0"),
        ({"per_subject_cap": 0}, "per_subject_cap"),
        ({"rollover": Rollover(1, 2)}, "least <= most"),
        ({"rollover": Rollover(1)}, "valid_to or recurrence"),
        ({"weights": (("pass_through_cost", 1),)}, "no money"),
        ({"weights": (("input", 0),)}, "above 0"),
        ({"returns": "cash"}, "credit or breakage"),
        ({"valid_to": at("2026-01-31T00:00:00Z")}, "after valid_from"),
        ({"valid_from": at("1999-12-31T00:00:00Z")}, "2000 to 2050"),
        ({"recurrence": "hour"}, "recurrence"),
        ({"grace": -1}, "0 to 366 days"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused_with_a_reason(
    changes: dict[str, Any], told: str
) -> None:
    assert told in refusal(grant()._replace(**changes))


def test_a_recurring_grant_that_would_open_no_bucket_is_refused() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    last = format_instant(LAST_INSTANT)
    event = scenario.give("tokens", "10", recurs="day", valid_from=last)
    assert isinstance(event.change, CommandRefused)


def code(event: Any) -> str:
    assert isinstance(event.change, CommandRefused), event.change
    return event.change.refusal.code


def test_a_grant_whose_buckets_are_those_of_another_is_refused() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    assert isinstance(scenario.give("tokens", "10", "g").change, Granted)
    assert code(scenario.give("money", "10", "g")) == "grant_exists"
    assert code(scenario.give("money", "10", "gr")) == "grant_exists"
    assert isinstance(scenario.give("money", "10", "hr").change, Granted)
    assert code(scenario.give("money", "10", "h")) == "grant_exists"


def test_a_grant_to_an_account_that_is_not_open_is_refused() -> None:
    assert code(Scenario().give("tokens", "10")) == "account_not_open"


def test_a_grant_with_too_many_buckets_in_the_past_is_refused() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    day = 24 * 3_600 * 1_000_000
    many = format_instant(NEW_YEAR - MAX_PAST_BUCKETS * day)
    fewer = format_instant(NEW_YEAR - (MAX_PAST_BUCKETS - 1) * day)
    assert code(scenario.give("tokens", "1", recurs="day", valid_from=many)) == "too_many_buckets"
    assert isinstance(scenario.give("tokens", "1", recurs="day", valid_from=fewer).change, Granted)


def test_every_recurring_bucket_is_opened_before_its_first_usage() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.give("tokens", "10", recurs="calendar_month", valid_from="2026-08-31T00:00:00Z")
    charge = scenario.charged("e1", "2026-10-31T00:00:00Z", {"input": 3})
    assert [draw.bucket for draw in charge.lines[0].draws] == ["g#2"]
    opened = scenario.charges("grant")
    assert [c.drawdowns[0].bucket for c in opened] == ["g#0", "g#1", "g#2"]
    assert [format_instant(c.occurred_at)[:10] for c in opened] == [
        "2026-08-31",
        "2026-09-30",
        "2026-10-31",
    ]
