"""Importing prices by ranges of input tokens, and by the time of day."""

import json
import re
from typing import Any

import pytest

from tests.adapters.price_lists import imported, price, written

SHORT = '{"range":[0,256000.0],"input_cost_per_token":5e-08,"output_cost_per_token":4e-07}'
LONG = '{"range":[256000.0,1000000.0],"input_cost_per_token":2.5e-07,"output_cost_per_token":2e-06}'
RANGED = f"qwen dashscope tiered_pricing=[{SHORT},{LONG}]"


@pytest.mark.parametrize(
    ("context", "input_price", "output_price"),
    [
        (1, "0.05", "0.4"),
        (256_000, "0.05", "0.4"),
        (256_001, "0.25", "2"),
        (1_000_001, "0.25", "2"),
    ],
)
def test_all_tokens_of_a_call_cost_what_its_range_says_and_above_the_last_the_last_does(
    context: int, input_price: str, output_price: str
) -> None:
    prices = imported(written(RANGED))
    assert price(prices, "dashscope qwen", "input", context=context) == input_price
    assert price(prices, "dashscope qwen", "output", context=context) == output_price
    assert price(prices, "dashscope qwen", "cache_read", context=context) == input_price
    assert (prices.expressed, prices.problems) == (1, [])


def test_a_call_in_no_range_pays_the_flat_price() -> None:
    prices = imported(written(f"{RANGED} output_cost_per_token=1e-06"))
    assert price(prices, "dashscope qwen", "output", context=0) == "1"
    assert price(prices, "dashscope qwen", "output", context=1) == "0.4"


def test_a_cache_without_a_price_in_a_range_costs_its_input_there() -> None:
    cached = LONG.replace("}", ',"cache_read_input_token_cost":5e-08}')
    flat = "cache_read_input_token_cost=1e-08 cache_creation_input_token_cost=6e-08"
    hour = "cache_creation_input_token_cost_above_1hr=7e-08"
    prices = imported(written(f"qwen dashscope {flat} {hour} tiered_pricing=[{SHORT},{cached}]"))
    for context, read, kept in ((1, "0.05", "0.05"), (256_001, "0.05", "0.25")):
        assert price(prices, "dashscope qwen", "cache_read", context=context) == read
        assert price(prices, "dashscope qwen", "cache_write_5m", context=context) == kept
        assert price(prices, "dashscope qwen", "cache_write_1h", context=context) == kept


def test_reasoning_costs_the_output_of_its_range_unless_the_range_has_a_price() -> None:
    thinking = SHORT.replace("}", ',"output_cost_per_reasoning_token":4e-06}')
    prices = imported(written(f"qwen dashscope tiered_pricing=[{thinking},{LONG}]"))
    assert price(prices, "dashscope qwen", "reasoning", context=9) == "4"
    assert price(prices, "dashscope qwen", "reasoning", context=256_001) == "2"


def test_ranges_come_before_service_tiers_and_contexts_but_not_before_batch() -> None:
    tiers = "input_cost_per_token_flex=1e-08 input_cost_per_token_batches=2e-08"
    prices = imported(written(f"{RANGED} {tiers} input_cost_per_token_above_9k_tokens=9e-06"))
    assert price(prices, "dashscope qwen", "input", tier="flex", context=9_001) == "0.05"
    assert price(prices, "dashscope qwen", "input", context=9_001) == "0.05"
    assert price(prices, "dashscope qwen", "input", tier="batch", context=9_001) == "0.02"


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        (
            '[{"range":[0,10],"input_cost_per_token":1},{"range":[11,20],"input_cost_per_token":1}]',
            "gaps",
        ),
        ('[{"range":[0,10],"output_cost_per_token":1}]', "a price of input"),
        ('[{"range":[0,1.5],"input_cost_per_token":1}]', "whole numbers"),
        ('[{"range":[0],"input_cost_per_token":1}]', "a range of two whole numbers"),
        ('[{"range":[0,10],"input_cost_per_token":1,"wish":1}]', "the field wish in it"),
        ("[]", "expected a list of ranges"),
    ],
)
def test_ranges_that_can_not_be_read_in_full_are_reported_and_leave_no_price(
    ranges: str, reason: str
) -> None:
    prices = imported(written(f"m p output_cost_per_token=1e-06 tiered_pricing={ranges}"))
    (problem,) = prices.problems
    assert problem.field == "tiered_pricing"
    assert reason in problem.reason
    assert price(prices, "p m", "input") is None


def off_peak(hours: Any = (), windows: Any = (), **rest: Any) -> str:
    block = {"hours_utc": list(hours), "windows": list(windows), **rest}
    return f"off_peak_pricing={json.dumps(block, separators=(',', ':'))}"


BASE = "deepseek deepseek input_cost_per_token=3e-07 output_cost_per_token=1.2e-06"


@pytest.mark.parametrize(
    ("clock", "input_price"),
    [
        ("16:29:59", "0.3"),
        ("16:30:00", "0.15"),
        ("23:59:59", "0.15"),
        ("00:29:59", "0.15"),
        ("00:30:00", "0.3"),
        ("04:00:00", "0.15"),
    ],
)
def test_off_peak_prices_hold_from_the_first_to_before_the_last_minute(
    clock: str, input_price: str
) -> None:
    block = off_peak(["16:30-00:30", "04:00-06:00"], input_cost_per_token=1.5e-07)
    prices = imported(written(f"{BASE} {block}"))
    at = f"2026-11-02T{clock}Z"
    assert price(prices, "deepseek deepseek", "input", at=at) == input_price
    assert price(prices, "deepseek deepseek", "output", at=at) == "1.2"
    assert prices.problems == []


def test_off_peak_prices_come_before_contexts_and_tiers_but_not_before_batch() -> None:
    tiers = "input_cost_per_token_flex=2e-07 input_cost_per_token_batches=1e-07"
    block = off_peak(["00:00-12:00"], input_cost_per_token=1.5e-07)
    prices = imported(written(f"{BASE} input_cost_per_token_above_9k_tokens=9e-07 {tiers} {block}"))

    def at(hour: int, tier: str, context: int = 9_001) -> str | None:
        moment = f"2026-11-02T{hour:02d}:00:00Z"
        usage = "deepseek deepseek"
        return price(prices, usage, "input", tier=tier, context=context, at=moment)

    assert [at(6, "standard"), at(6, "standard", 9), at(6, "flex")] == ["0.15"] * 3
    assert [at(18, "standard"), at(18, "standard", 9), at(18, "flex", 9)] == ["0.9", "0.3", "0.2"]
    assert [at(6, "batch"), at(18, "batch")] == ["0.1", "0.1"]


def test_a_price_that_is_off_peak_all_week_is_the_price() -> None:
    block = off_peak(["00:00-00:00"], input_cost_per_token=1.5e-07)
    prices = imported(written(f"{BASE} {block}"))
    assert price(prices, "deepseek deepseek", "input") == "0.15"
    assert all("time" not in c["match"] for c in prices.document["components"])


def test_reasoning_without_a_price_costs_the_output_off_peak_too() -> None:
    flex = "output_cost_per_token_flex=6e-07 output_cost_per_reasoning_token=2e-06"
    block = off_peak(["00:00-12:00"], output_cost_per_token=1e-07)
    prices = imported(written(f"{BASE} {flex} {block}"))
    at = "2026-11-02T06:00:00Z"
    usage = "deepseek deepseek"
    assert price(prices, usage, "reasoning", at=at) == "2"
    assert price(prices, usage, "reasoning", tier="flex", at=at) == "0.1"
    assert price(prices, usage, "reasoning", tier="flex") == "0.6"


NIGHT = {"hours_utc": "22:00-02:00", "weekdays": [1]}


@pytest.mark.parametrize(
    ("zone", "moments"),
    [
        # each hour counts on the weekday that it is then, on the calendar of the zone
        ("UTC", {"2026-11-02T01:59": 1, "2026-11-02T22:00": 1, "2026-11-03T01:59": 0}),
        ("Asia/Shanghai", {"2026-11-01T22:00": 1, "2026-11-02T01:00": 1, "2026-11-02T22:00": 0}),
        ("America/Phoenix", {"2026-11-02T22:00": 1, "2026-11-03T01:00": 1, "2026-11-02T01:00": 0}),
    ],
)
def test_weekdays_are_those_of_the_calendar_that_the_list_names(
    zone: str, moments: dict[str, int]
) -> None:
    block = off_peak(windows=[NIGHT], weekday_timezone=zone, input_cost_per_token=1.5e-07)
    prices = imported(written(f"{BASE} {block}"))
    found = {
        moment: int(price(prices, "deepseek deepseek", "input", at=f"{moment}:00Z") == "0.15")
        for moment in moments
    }
    assert found == moments


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (off_peak(["16:30"], input_cost_per_token=1), "expected hours such as 16:30-00:30"),
        (off_peak(["16:30-00:30"]), "expected hours and prices"),
        (off_peak(input_cost_per_token=1), "expected hours and prices"),
        (off_peak(["16:30-00:30"], wish=1), "the field wish in it"),
        (
            off_peak(windows=[NIGHT], weekday_timezone="Europe/Berlin", input_cost_per_token=1),
            "weekdays of a zone whose clock changes",
        ),
        (
            off_peak(windows=[NIGHT], weekday_timezone="Mars", input_cost_per_token=1),
            "expected weekday_timezone to be an IANA zone",
        ),
        (
            off_peak(windows=[{**NIGHT, "weekdays": [0]}], input_cost_per_token=1),
            "expected weekdays from 1",
        ),
    ],
)
def test_a_time_of_day_that_can_not_be_read_in_full_is_reported(block: str, reason: str) -> None:
    (problem,) = imported(written(f"{BASE} {block}")).problems
    assert problem.field == "off_peak_pricing"
    assert re.search(re.escape(reason), problem.reason)
