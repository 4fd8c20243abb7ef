"""Prices of OpenMeter, Lago, Kill Bill, Flexprice, Autumn, CGRateS and Meteroid, as documents."""

from fractions import Fraction
from typing import Any

import pytest

from tests.vectors.inexpressible import reason
from tests.vectors.outcomes import expected_lines, outcome_of, shown
from tests.vectors.records import Record, cases, number, records

FLOATS = Fraction(1, 10**9)


@pytest.mark.parametrize("record", cases(records("pricing")))
def test_usage_costs_what_the_other_system_says(record: Record) -> None:
    check(record)


STAND_INS: dict[str, Any] = {
    "package_count": {"package_price": "1"},
    "tier_lookup": {},
    "unit_conversion": {"model": "unit", "unit_price": "1"},
    "max_spend_discount": {"model": "dynamic", "multiplier": "1"},
}
"""Kinds that test a part of a price, and the rest of a price that makes it one."""


@pytest.mark.parametrize("record", cases(records(*STAND_INS)))
def test_a_part_of_a_price_gives_what_the_other_system_says(record: Record) -> None:
    usage = record["usage"]
    if record["kind"] == "max_spend_discount":
        usage = {"quantity": usage["line_amount"], "prior_quantity": usage["prior_billed"]}
    price = {**STAND_INS[record["kind"]], **record["price"]}
    precision = {"currency_decimals": "2"} if record["kind"] == "max_spend_discount" else None
    check({**record, "price": price, "usage": usage, "precision": precision})


def check(record: Record) -> None:
    why = reason(record)
    if why:  # not to be said in the language: docs/reference/other-systems.md has each reason
        pytest.skip(why)
    outcome = outcome_of(record)
    compared = 0
    for name, value in record["expected"].items():
        found = shown(outcome, name)
        if found is None:
            continue
        compared += 1
        if name == "lines":
            assert found == expected_lines(value)
        elif isinstance(value, list):
            assert found == [number(item) for item in value]
        elif "float" in record.get("note", ""):
            assert isinstance(found, Fraction)
            assert abs(found - number(value)) <= abs(number(value)) * FLOATS
        else:
            assert found == number(value), name
    assert compared, record["expected"]
