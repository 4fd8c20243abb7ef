"""Windows of the week, down to the minute."""

import pytest

from engine.rating.window import DAY_MINUTES, WEEK_MINUTES, Hours, week_windows, written

MONDAY, SUNDAY = 0, 6


@pytest.mark.parametrize(
    ("minute", "inside"), [(59, False), (60, True), (119, True), (120, False), (121, False)]
)
def test_a_window_holds_its_first_minute_and_not_its_end(minute: int, inside: bool) -> None:
    assert week_windows([(MONDAY, Hours(60, 120))]).contains(minute) is inside


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    night = week_windows([(SUNDAY, Hours(22 * 60, 6 * 60))])
    assert (night.starts, night.ends) == ((0, WEEK_MINUTES - 120), (360, WEEK_MINUTES))


def test_equal_ends_are_a_whole_day() -> None:
    day = week_windows([(MONDAY, Hours(480, 480))])
    assert (day.starts, day.ends) == ((480,), (480 + DAY_MINUTES,))


def test_windows_that_touch_or_hold_one_another_are_one() -> None:
    joined = week_windows([(0, Hours(60, 600)), (0, Hours(120, 180)), (0, Hours(600, 660))])
    assert (joined.starts, joined.ends) == ((60,), (660,))


def test_windows_are_written_by_hours_and_weekdays() -> None:
    windows = week_windows([(0, Hours(60, 120)), (1, Hours(60, 120)), (2, Hours(0, 0))])
    assert written(windows) == [
        {"hours": ["01:00-02:00"], "weekdays": ["mon", "tue"]},
        {"hours": ["00:00-00:00"], "weekdays": ["wed"]},
    ]
