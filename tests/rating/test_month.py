"""Billing months: their bounds in a zone, and that their labels agree with `billing_month`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rating.month import Month, month_of, next_label
from engine.rating.period import UTC_ZONE, FrozenZone, billing_month
from tests.rating.scenario import DAY, at, zone

MINUTE = 60_000_000
LABELS = st.builds("{}-{:02d}".format, st.integers(2001, 2048), st.integers(1, 12))


@st.composite
def zones(draw: st.DrawFn) -> FrozenZone:
    """Return zones whose clocks turn around month ends, at any minute of them, back and forth."""
    turns = draw(st.lists(st.tuples(LABELS, st.integers(-1_500, 1_500)), max_size=4))
    starts = {month_start(label) + minutes * MINUTE for label, minutes in turns}
    offsets = [draw(st.integers(-14 * 60, 14 * 60)) * 60 for _ in starts]
    return FrozenZone("drawn", tuple(sorted(starts)), tuple(offsets))


def month_start(label: str) -> int:
    month = month_of(label, UTC_ZONE)
    assert month is not None
    return month.starts_at


def test_a_month_is_as_long_as_the_zone_says() -> None:
    berlin = month_of("2026-10", zone("Europe/Berlin"))
    assert berlin == Month("2026-10", at("2026-09-30T22:00:00Z"), at("2026-10-31T23:00:00Z"))
    assert month_of("2026-12", UTC_ZONE) == Month(
        "2026-12", at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z")
    )


def test_a_clock_that_passes_midnight_twice_ends_its_month_the_second_time() -> None:
    """At 00:30 of the 1st it is set back to 23:30 of the 31st: half an hour counts to November."""
    turn = at("2026-11-01T00:30:00Z")
    back = FrozenZone("back", (0, turn), (0, -3_600))
    october, november = month_of("2026-10", back), month_of("2026-11", back)
    assert october is not None
    assert november is not None
    assert october.ends_at == turn + 30 * MINUTE
    assert november.starts_at == turn - 30 * MINUTE


@pytest.mark.parametrize("label", ["", "2026", "2026-00", "2026-13", "2026-1", "2050-02", "1999-11",
                                   "2026-11 ", "2026-11\n", "202٦-11"])  # fmt: skip
def test_what_is_no_month_is_none(label: str) -> None:
    assert month_of(label, UTC_ZONE) is None


def test_december_is_followed_by_january() -> None:
    assert [next_label("2026-11"), next_label("2026-12")] == ["2026-12", "2027-01"]


@given(zones(), LABELS, st.data())
def test_every_instant_of_a_label_lies_in_its_month_and_its_edges_bear_it(
    drawn: FrozenZone, label: str, data: st.DataObject
) -> None:
    month = month_of(label, drawn)
    assert month is not None
    start, end = month.starts_at, month.ends_at
    moment = data.draw(st.integers(start - 3 * DAY, end + 3 * DAY))
    if billing_month(drawn, moment) == label:
        assert start <= moment < end
    if moment < start:
        assert billing_month(drawn, moment) != label
    if start < end:
        assert billing_month(drawn, start) >= label
        assert billing_month(drawn, end) > label
        assert billing_month(drawn, end - 1) <= label
