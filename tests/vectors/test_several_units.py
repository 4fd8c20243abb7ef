"""Kill Bill's blocks of several units, and periods of which a part is billed already."""

from fractions import Fraction

import pytest

from engine.rating.money import PICO
from tests.vectors.offline import Vector, charged_amount
from tests.vectors.price_models import block_component, named_units, write_price
from tests.vectors.records import COUNT, Record, cases, number, records, whole


@pytest.mark.parametrize("record", cases(records("multi_unit_pricing")))
def test_each_unit_is_counted_in_blocks_of_its_own(record: Record) -> None:
    price, kinds = record["price"], named_units(record)
    vector = Vector(
        {
            "components": [
                block_component(unit, kinds[unit], tiers, price["policy"])
                for unit, tiers in price["units"].items()
            ]
        }
    )
    used = record["usage"]["quantities"]
    quantities = {kinds[unit]: whole(number(used[unit])) for unit in used}
    charges = vector.charged([quantities] if any(quantities.values()) else [])
    assert charged_amount(charges) == number(record["expected"]["total"])
    detail = [
        (line.component, part.tier + 1, Fraction(part.quantity, PICO), Fraction(part.amount, PICO))
        for charge in charges
        for line in charge.lines
        for part in line.slices
    ]
    expected = [
        (unit, int(tier), number(quantity), number(amount))
        for unit, tier, quantity, amount in record["expected"].get("detail", [])
    ]
    assert sorted(detail) == sorted(expected)


@pytest.mark.parametrize("record", cases(records("incremental_pricing")))
def test_a_period_owes_what_its_usage_costs_beyond_what_is_billed(record: Record) -> None:
    deltas = []
    for period in record["usage"]["periods"]:
        vector = Vector({"components": write_price({**record, "usage": {}})})
        quantities = [whole(number(quantity)) for quantity in period["quantities"]]
        charges = vector.charged({COUNT: quantity} for quantity in quantities if quantity)
        deltas.append(charged_amount(charges) - number(period["already_billed_amount"]))
    assert deltas == [number(delta) for delta in record["expected"]["delta_totals"]]
