"""Prices of OpenMeter, Lago, Kill Bill, Flexprice, Autumn, CGRateS and Meteroid, as documents."""

from fractions import Fraction
from typing import Any

import pytest

from engine.rating.money import PICO
from tests.vectors.inexpressible import reason
from tests.vectors.outcomes import expected_lines, outcome_of, shown
from tests.vectors.records import Record, cases, number, records, text

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


@pytest.mark.parametrize("record", cases(records("single_tier")))
def test_one_tier_costs_what_the_other_system_says(record: Record) -> None:
    """Tiers count whole units there, the first one of a tier is one of its own."""
    tier, usage = record["price"]["tier"], record["usage"]
    last = tier.get("to_inclusive")
    rows: list[dict[str, Any]] = [
        {"up_to": last, "rate_percent": tier["rate_percent"], "flat_fee": tier["flat_fee"]}
    ]
    before = number(tier["from_inclusive"]) - 1
    if before > 0:
        rows.insert(0, {"up_to": text(before), "rate_percent": "0"})
    if last is not None:
        rows.append({"up_to": None, "rate_percent": "0"})
    price = {"model": "graduated_percentage", "tiers": rows}
    outcome = outcome_of({**record, "price": price, "usage": {"quantity": usage["total_quantity"]}})
    in_tier = [part.quantity for part in outcome.net.slices if part.tier == (before > 0)]
    assert outcome.total == number(record["expected"]["total"])
    assert Fraction(sum(in_tier), PICO) == number(record["expected"]["tier_quantity"])


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
