"""Combinations of price fields that no recorded case has: worked out by hand from the semantics.

The records of other systems show each field, but few of them together. What is expected here follows
from the rules that the records are explained with.
"""

from typing import Any

import pytest

from tests.vectors.llm_prices import write_llm_price
from tests.vectors.llm_usages import cost, disjoint
from tests.vectors.offline import Vector
from tests.vectors.records import number
from tests.vectors.test_llm_pricing import charged
from tests.vectors.test_pricing import check
from tests.vectors.windows import hold_always, write_windows

CENTS = {"currency_decimals": "2"}
BLOCKS = {"op": "divide", "factor": "1000", "rounding": "ceiling"}
FLOORED = {"op": "divide", "factor": "1000", "rounding": "floor"}
WEIGHTED = {"op": "multiply", "factor": "1.2", "rounding": "none"}
FEE_FIRST = [{"up_to": "5", "flat_fee": "100"}, {"up_to": None, "unit_price": "1"}]
HALVES = [{"up_to": "5.5", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]

OPENMETER: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    "units are rounded before a part of one is free": (
        {"model": "unit", "unit_price": "10", "unit_conversion": BLOCKS, "usage_discount": "0.5"},
        {"quantity": "1400"},
        {"total": "15"},
    ),
    "a bound between whole units": (
        {"model": "graduated", "tiers": HALVES},
        {"quantity": "7"},
        {"total": "12.5"},
    ),
    "a fraction of a weighted unit": (
        {"model": "unit", "unit_price": "1", "unit_conversion": WEIGHTED},
        {"quantity": "2.5"},
        {"total": "3"},
    ),
    "a volume price is billed for the whole period by the split that ends it": (
        {"model": "volume", "tiers": FEE_FIRST},
        {"quantity": "4", "prior_quantity": "6", "line": "last"},
        {"total": "10"},
    ),
    "usage that is rounded to nothing owes the first fee": (
        {"model": "volume", "tiers": FEE_FIRST, "unit_conversion": FLOORED},
        {"quantity": "999"},
        {"total": "100"},
    ),
    "a later split without usage does not owe the first fee again": (
        {"model": "graduated", "tiers": FEE_FIRST, "min_amount": "1000"},
        {"quantity": "0", "prior_quantity": "0", "prior_billed": "100", "line": "last"},
        {"total": "900", "min_commitment": "900"},
    ),
    "a fee without usage is discounted, and the minimum is what is missing": (
        {"model": "graduated", "tiers": FEE_FIRST, "percent_discount": "10", "min_amount": "150"},
        {"quantity": "0"},
        {"amount": "100", "discount": "10", "min_commitment": "60", "total": "150"},
    ),
    "a minimum fills up what was booked in cents": (
        {"model": "unit", "unit_price": "0.015", "min_amount": "100"},
        {"quantity": "9"},
        {"total": "100", "min_commitment": "99.86"},
    ),
    "a maximum leaves what was not booked in cents": (
        {"model": "unit", "unit_price": "0.015", "max_amount": "1"},
        {"quantity": "90", "prior_quantity": "9", "prior_billed": "0.14", "line": "mid"},
        {"amount": "1.35", "discount": "0.49", "total": "0.86"},
    ),
}


@pytest.mark.parametrize("name", OPENMETER)
def test_openmeter(name: str) -> None:
    price, usage, expected = OPENMETER[name]
    check(_record("openmeterio/openmeter", price, usage, expected, precision=CENTS))


def _record(
    system: str, price: object, usage: object, expected: object, **more: object
) -> dict[str, Any]:
    return {"source": f"{system}@0", "price": price, "usage": usage, "expected": expected, **more}


BOUNDED = {"per_event_min": "1.75", "per_event_max": "12"}
PERCENTAGES: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "free payments owe no least amount": (
        {"rate_percent": "2.99", "fixed_per_event": "2", "free_events": "1", **BOUNDED},
        {"events": ["250", "80"]},
        "4.392",
    ),
    "a least amount of a rate of nothing": (
        {"rate_percent": "0", "fixed_per_event": "0.3", "free_amount": "30", **BOUNDED},
        {"events": ["30", "10", "80"]},
        "3.5",
    ),
    "the number of payments ends what is free before its amount": (
        {"rate_percent": "1", "free_events": "2", "free_amount": "500"},
        {"event_count": "3", "running_totals_of_free_candidates": ["50", "150"]},
        "6.5",
    ),
    "more payments are free than there are": (
        {"rate_percent": "1", "fixed_per_event": "2", "free_events": "5"},
        {"event_count": "3", "running_totals_of_free_candidates": ["300", "600", "800"]},
        "0",
    ),
}


@pytest.mark.parametrize("name", PERCENTAGES)
def test_lago_percentage(name: str) -> None:
    price, usage, total = PERCENTAGES[name]
    price = {"model": "percentage", **price}
    check(_record("getlago/lago-api", price, {"quantity": "800", **usage}, {"total": total}))


def test_a_percentage_of_nothing_is_nothing() -> None:
    price = {"model": "percentage", "rate_percent": "1", "fixed_per_event": "2"}
    usage = {"quantity": "0", "event_count": "4", "running_totals_of_free_candidates": ["50"]}
    check(_record("getlago/lago-api", price, usage, {"total": "0"}))


def test_a_volume_that_reaches_a_bound_of_meteroid_is_in_the_upper_tier() -> None:
    tiers = [{"up_to": "10", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]
    price = {"model": "volume", "tiers": tiers}
    check(_record("meteroid-oss/meteroid", price, {"quantity": "10"}, {"total": "10"}))


RATES = {"input": "1", "output": "2", "video_output": "5", "reasoning_output": "4"}
MODELS: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "images are output beside a rate of video": (
        {"rates": RATES},
        {"image_output_tokens": "1000", "video_output_tokens": "1000"},
        "0.007",
    ),
    "off-peak output is the rate of reasoning where a service tier has none": (
        {
            "rates": RATES,
            "service_tiers": {"priority": {"output": "3"}},
            "off_peak": {"hours_utc": "16:30-00:30", "rates": {"output": "0.5"}},
        },
        {"reasoning_tokens": "1000", "service_tier": "priority", "at": "2026-01-01T18:00:00Z"},
        "0.001",
    ),
    "an off-peak block that is none": (
        {"rates": RATES, "off_peak": "16:30-00:30"},
        {"at": "2026-01-01T18:00:00Z"},
        "0.004",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_model_prices(name: str) -> None:
    price, usage, expected = MODELS[name]
    usage = {"input_tokens": "0", "output_tokens": "2000", **usage}
    vector = Vector(write_llm_price(price), since_the_month=False)
    charge = charged(vector, disjoint(price, usage), usage)
    assert cost(charge, "output") == number(expected)


def test_windows_that_leave_no_time_hold_always() -> None:
    week = [
        {"hours_utc": "00:00-00:00", "weekdays": ["1", "2", "3", "4", "5"]},
        {"hours_utc": ["00:00-12:00", "12:00-00:00"], "weekdays": ["sat", "Sunday"]},
    ]
    assert hold_always(write_windows({"windows": week})[0])
    assert not hold_always(write_windows({"windows": week[:1]})[0])


@pytest.mark.parametrize("block", [{"windows": "00:00-00:00"}, {"windows": ["00:00-00:00"]}, True])
def test_what_is_no_window_holds_never(block: object) -> None:
    assert write_windows(block) == ([], {})


def test_a_zone_that_does_not_exist_is_utc() -> None:
    block = {"weekday_timezone": "Not/AZone", "hours_utc": "16:00-17:00"}
    windows, zone = write_windows(block)
    assert (windows[0]["hours"], zone) == (["16:00-17:00"], {})
