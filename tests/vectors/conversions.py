"""Units that are priced, from the units that are metered: OpenMeter's conversions, billing units.

Division by a whole number is a price *per* so many units, anything else a *weight*. Where a bound
or what is free is no whole number of units, both are multiplied until it is.
"""

from collections.abc import Callable
from fractions import Fraction
from math import lcm
from typing import Any

from tests.vectors.records import Record, number, whole

ROUND: dict[str, Callable[[Fraction], int]] = {
    "ceiling": lambda value: -(-value.numerator // value.denominator),
    "floor": lambda value: value.numerator // value.denominator,
    "half_up": lambda value: int(value + Fraction(1, 2)),
}


def conversion_of(price: Record) -> tuple[int, Fraction]:
    """Return metered units per converted unit, and the weight of a unit."""
    conversion = price.get("unit_conversion") or {"op": "multiply", "factor": "1"}
    factor = number(conversion["factor"])
    scale, weight = 1, factor
    if conversion["op"] != "multiply":
        scale, weight = (whole(factor), Fraction(1)) if factor.denominator == 1 else (1, 1 / factor)
    bounds = [tier.get("up_to") for tier in price.get("tiers") or []]
    bounds += [price.get(name) for name in ("usage_discount", "allowance", "free_units")]
    finer = lcm(*((number(bound) * scale).denominator for bound in bounds))
    return scale * finer, weight * finer


def rounding_of(price: Record) -> str:
    """Return how converted units are rounded: "none" is not at all."""
    return str((price.get("unit_conversion") or {}).get("rounding") or "none")


def block_of(price: Record) -> dict[str, Any]:
    """Return `per` and `increment`: prices per block of units, begun blocks counted whole."""
    block = whole(number(price.get("billing_units") or 1)) * conversion_of(price)[0]
    found: dict[str, Any] = {"per": block} if block > 1 else {}
    rounding = rounding_of(price)
    if price.get("billing_units") is not None or rounding != "none":
        found["increment"] = block
    if rounding == "floor":
        found["increment_rounding"] = "down"
    return found


def converted(price: Record, units: Fraction) -> Fraction:
    """Return units converted and rounded, as they are priced."""
    scale, weight = conversion_of(price)
    exact = units * weight / scale
    rounding = rounding_of(price)
    return Fraction(ROUND[rounding](exact)) if rounding in ROUND else exact


def frees_part_of_a_block(price: Record) -> bool:
    """Say whether units are rounded first and then a part of a unit is free, as OpenMeter does.

    An `allowance` is taken off before rounding; whole units are the same before and after.
    """
    free = number(price.get("usage_discount"))
    return rounding_of(price) != "none" and free.denominator != 1


def splits_round_alone(record: Record) -> bool:
    """Say whether rounding each split to whole converted units is not rounding their sum."""
    price, usage = record["price"], record["usage"]
    before, now = number(usage.get("prior_quantity")), number(usage.get("quantity"))
    if not before:
        return False
    return converted(price, before) + converted(price, now) != converted(price, before + now)


def each_event_alone(record: Record) -> bool:
    """Say whether usage is priced from zero each time: buckets, and splits that round alone."""
    return bool(record["usage"].get("buckets")) or splits_round_alone(record)
