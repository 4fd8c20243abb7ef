"""What no tariff document says: the reasons, and which records each is for.

A reason is decided by the fields of a record. docs/reference/other-systems.md lists all of them,
with the closest form.
"""

from collections.abc import Callable
from fractions import Fraction

from tests.vectors.conversions import (
    conversion_of,
    each_event_alone,
    frees_part_of_a_block,
    rounding_of,
    splits_round_alone,
)
from tests.vectors.offline import Vector, charged_amount
from tests.vectors.percentages import promotion_of
from tests.vectors.price_models import fee_of_an_earlier_split, write_price
from tests.vectors.records import Record, number, rounded
from tests.vectors.usages import read_usage, running


def reason(record: Record) -> str:
    """Return why a record can not be expressed, or nothing."""
    return next((name for name, applies in REASONS.items() if applies(record)), "")


def _tier_by_other_units(record: Record) -> bool:
    """Units prorated by the calendar are priced, but the full ones choose the tier."""
    price, usage = record["price"], record["usage"]
    if "full_units" in usage:
        full, priced = number(usage["full_units"]), number(usage["quantity"])
        return _tier(price, full) != _tier(price, priced)
    if price["model"] != "prorated_graduated":
        return False
    full_units = [number(value) for value in usage["event_units"]]
    prorated = [number(value) for value in usage["event_prorated_units"]]
    leaves = any(_tier(price, total) for total in running(full_units))
    return prorated != full_units and leaves


def _tier(price: Record, units: Fraction) -> int:
    bounds = [tier.get("up_to") for tier in price["tiers"]]
    return next(i for i, bound in enumerate(bounds) if bound is None or units <= number(bound))


def _free_by_number_and_amount(record: Record) -> bool:
    """Events are free by their number and their amount, and no one promotion is both."""
    return record["price"]["model"] == "percentage" and promotion_of(record) is None


def _capacity_of_several_units(record: Record) -> bool:
    """More than one unit is beyond the first tier: the highest of the tiers is due, not the sum."""
    if record["price"]["model"] != "capacity":
        return False
    limits = record["price"]["tiers"][0]["limits"]
    used = record["usage"]["quantities"]
    beyond = [
        unit
        for unit, limit in limits.items()
        if limit is not None and number(used.get(unit)) > number(limit)
    ]
    return len(beyond) > 1


def _splits_that_round_alone(record: Record) -> bool:
    """Each split of a period is rounded alone, but the splits share a tier or a free amount."""
    price = record["price"]
    shared = ("usage_discount", "min_amount", "max_amount")
    is_shared = price["model"] != "unit" or any(price.get(name) is not None for name in shared)
    return splits_round_alone(record) and is_shared


def _half_up_in_tiers(record: Record) -> bool:
    """Units are rounded to the nearest, in a price or of a fraction that no package stands for."""
    price = record["price"]
    quantities = [record["usage"].get(name) for name in ("quantity", "prior_quantity")]
    factors = [conversion_of(price)[1], *map(number, quantities)]
    is_simple = price["model"] == "unit" and all(factor.denominator == 1 for factor in factors)
    return rounding_of(price) == "half_up" and (not is_simple or frees_part_of_a_block(price))


def _part_of_a_unit_free(record: Record) -> bool:
    """Part of a unit is free: of money, or after rounding in a volume price."""
    price = record["price"]
    is_part = number(price.get("usage_discount")).denominator != 1
    is_money = price["model"] == "dynamic"
    return is_part and (is_money or (price["model"] == "volume" and frees_part_of_a_block(price)))


def _refused_there(record: Record) -> bool:
    """The other system refuses to rate at all: there is no amount to compare."""
    return set(record.get("expected") or ()) == {"error"}


def _billed_otherwise(record: Record) -> bool:
    """What was billed before is not what this price bills for the usage before."""
    usage = record["usage"]
    bounds = [record["price"].get(name) for name in ("min_amount", "max_amount")]
    if usage.get("prior_billed") is None or bounds == [None, None] or each_event_alone(record):
        return False
    document = {"components": write_price(record)}
    billed = charged_amount(Vector(document).charged(read_usage(record).before))
    billed += fee_of_an_earlier_split(record)
    return rounded(billed, 2) != rounded(number(usage["prior_billed"]), 2)


REASONS: dict[str, Callable[[Record], bool]] = {
    "tier_by_other_units": _tier_by_other_units,
    "free_by_number_and_amount": _free_by_number_and_amount,
    "capacity_of_several_units": _capacity_of_several_units,
    "splits_that_round_alone": _splits_that_round_alone,
    "half_up_in_tiers": _half_up_in_tiers,
    "part_of_a_unit_free": _part_of_a_unit_free,
    "billed_otherwise": _billed_otherwise,
    "refused_there": _refused_there,
}
