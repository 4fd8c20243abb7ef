from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.zones import freeze_zone
from engine.rating.errors import InvalidDocument
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, UTC_ZONE
from tests.rating.scenario import at, zone

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Gaza")


def test_utc_needs_no_transitions() -> None:
    assert freeze_zone("UTC") == UTC_ZONE


def test_a_zone_that_never_changes_has_its_one_offset() -> None:
    assert zone("Asia/Kolkata").instants == (FIRST_INSTANT,)
    assert zone("Asia/Kolkata").offsets == (19_800,)


def test_a_transition_is_frozen_at_its_second() -> None:
    berlin = zone("Europe/Berlin")
    transitions = dict(zip(berlin.instants, berlin.offsets, strict=True))
    assert transitions[at("2026-03-29T01:00:00Z")] == 7200
    assert transitions[at("2026-10-25T01:00:00Z")] == 3600


@pytest.mark.parametrize("name", ZONES)
def test_transitions_ascend_and_each_changes_the_offset(name: str) -> None:
    frozen = zone(name)
    assert list(frozen.instants) == sorted(set(frozen.instants))
    assert all(before != after for before, after in pairwise(frozen.offsets))


@given(st.sampled_from(ZONES), st.integers(FIRST_INSTANT, LAST_INSTANT - 1))
def test_a_frozen_zone_tells_the_local_date_as_the_time_zone_data_does(
    name: str, moment: int
) -> None:
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(
        ZoneInfo(name)
    )
    assert zone(name).local_day(moment) == (local.date() - date(1970, 1, 1)).days


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "/etc/passwd", "a\0b", "x" * 9])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidDocument, match="an IANA zone"):
        freeze_zone(name)
