from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rating.period import (
    FIRST_INSTANT,
    LAST_INSTANT,
    PERIODS,
    UTC_ZONE,
    billing_month,
    format_instant,
    instant,
    period_label,
)
from tests.rating.scenario import at, fixed_zone, zone


def test_an_instant_counts_microseconds_since_1970() -> None:
    assert at("1970-01-01T00:00:00.000001Z") == 1
    assert at("1969-12-31T23:59:59.999999Z") == -1
    assert at("2026-11-24T10:15:02.120000+01:00") == at("2026-11-24T09:15:02.120000Z")


def test_an_instant_is_written_with_six_decimals_in_utc() -> None:
    assert format_instant(at("2026-11-24T09:15:02.12Z")) == "2026-11-24T09:15:02.120000Z"
    assert format_instant(0) == "1970-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("year", [1, 999, 1999, 9999])
def test_an_instant_of_any_year_is_written_with_four_digits_of_it(year: int) -> None:
    moment = instant(datetime(year, 3, 1, tzinfo=UTC))
    assert format_instant(moment) == f"{year:04d}-03-01T00:00:00.000000Z"


@given(st.integers(FIRST_INSTANT, LAST_INSTANT - 1))
def test_an_instant_survives_being_written_and_read(moment: int) -> None:
    assert at(format_instant(moment)) == moment


@pytest.mark.parametrize(
    ("period", "label"),
    [
        ("event", "event"),
        ("day", "2026-12-01"),
        ("calendar_month", "2026-12"),
        ("billing_period", "2026-12"),
        ("lifetime", "lifetime"),
    ],
)
def test_a_period_has_its_label_in_the_accounts_zone(period: str, label: str) -> None:
    assert period_label(period, fixed_zone(8), at("2026-11-30T16:00:00Z")) == label


def test_every_period_has_a_label_of_its_own_kind() -> None:
    labels = [period_label(period, UTC_ZONE, at("2026-11-30T16:00:00Z")) for period in PERIODS]
    assert labels == ["event", "2026-11-30", "2026-11", "2026-11", "lifetime"]


def test_without_transitions_days_are_days_of_utc() -> None:
    assert UTC_ZONE.local_day(at("2026-11-30T23:59:59.999999Z")) + 1 == UTC_ZONE.local_day(
        at("2026-12-01T00:00:00Z")
    )


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        # 8 March 2026: the clock goes forward, the day has 23 hours, from 05:00 to 04:00 UTC
        ("2026-03-08T04:59:59.999999Z", "2026-03-07"),
        ("2026-03-08T05:00:00Z", "2026-03-08"),
        ("2026-03-09T03:59:59.999999Z", "2026-03-08"),
        ("2026-03-09T04:00:00Z", "2026-03-09"),
        # 1 November 2026: the clock goes back, the day has 25 hours, from 04:00 to 05:00 UTC
        ("2026-11-01T03:59:59.999999Z", "2026-10-31"),
        ("2026-11-01T04:00:00Z", "2026-11-01"),
        ("2026-11-02T04:59:59.999999Z", "2026-11-01"),
        ("2026-11-02T05:00:00Z", "2026-11-02"),
    ],
)
def test_a_day_in_new_york_is_23_or_25_hours_long_when_the_clock_changes(
    moment: str, day: str
) -> None:
    assert period_label("day", zone("America/New_York"), at(moment)) == day


def test_a_month_may_begin_with_the_hour_that_the_clock_repeats() -> None:
    new_york = zone("America/New_York")
    assert billing_month(new_york, at("2026-11-01T03:59:59.999999Z")) == "2026-10"
    assert billing_month(new_york, at("2026-11-01T04:00:00Z")) == "2026-11"


def test_samoa_skipped_a_whole_day() -> None:
    apia = zone("Pacific/Apia")
    before, after = at("2011-12-30T09:59:59.999999Z"), at("2011-12-30T10:00:00Z")
    assert period_label("day", apia, before) == "2011-12-29"
    assert period_label("day", apia, after) == "2011-12-31"


@given(st.integers(FIRST_INSTANT, LAST_INSTANT - 1), st.integers(-12, 14))
def test_a_day_is_the_date_of_the_local_time(moment: int, hours: int) -> None:
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment, hours=hours)
    assert period_label("day", fixed_zone(hours), moment) == local.date().isoformat()
