"""What no tariff document says: the reasons, and which records each is for.

A reason is decided by the fields of a record. docs/reference/other-systems.md lists all of them,
with the closest form.
"""

from collections.abc import Callable
from fractions import Fraction

from tests.vectors.offline import Vector, charged_amount
from tests.vectors.price_models import (
    conversion_of,
    counts_free_events,
    each_event_alone,
    free_amount,
    free_events,
    splits_round_alone,
    write_price,
)
from tests.vectors.records import Record, number, rounded
from tests.vectors.usages import percentage_events, read_usage, running


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
    """Events are free by their number and their amount, and no one promotion is both.

    What is free is decided as the README of the vectors says.
    """
    price, usage = record["price"], record["usage"]
    if price["model"] != "percentage" or "events" in usage:
        return False
    totals = [number(t) for t in usage.get("running_totals_of_free_candidates") or []]
    events, amount = free_events(price), free_amount(price)
    last = totals[-1] if totals else Fraction(0)
    all_counted = 0 < events < len(totals)
    free = totals[events - 1] if all_counted else min(last, amount or last)
    under = len([total for total in totals if total < amount])
    free_of_fee = min([n for n in (events, under) if n], default=0)
    sums = [*running(percentage_events(record))]
    if counts_free_events(record):
        ours_of_fee = min(events, len(sums))
        ours = sums[ours_of_fee - 1] if sums else Fraction(0)
    else:
        ours = min(sums[-1] if sums else Fraction(0), amount)
        ours_of_fee = len([total for total in sums if total <= amount])
    same_fees = not number(price.get("fixed_per_event")) or ours_of_fee == free_of_fee
    return not (ours == free and same_fees)


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
    """Converted units are rounded to the nearest, in a price that no package stands for."""
    price = record["price"]
    conversion = price.get("unit_conversion") or {}
    is_fraction = conversion_of(price)[1].denominator != 1
    return conversion.get("rounding") == "half_up" and (price["model"] != "unit" or is_fraction)


def _billed_otherwise(record: Record) -> bool:
    """What was billed before is not what this price bills for the usage before."""
    usage = record["usage"]
    bounds = [record["price"].get(name) for name in ("min_amount", "max_amount")]
    if usage.get("prior_billed") is None or bounds == [None, None] or each_event_alone(record):
        return False
    document = {"components": write_price(record)}
    billed = charged_amount(Vector(document).charged(read_usage(record).before))
    return rounded(billed, 2) != rounded(number(usage["prior_billed"]), 2)


REASONS: dict[str, Callable[[Record], bool]] = {
    "tier_by_other_units": _tier_by_other_units,
    "free_by_number_and_amount": _free_by_number_and_amount,
    "capacity_of_several_units": _capacity_of_several_units,
    "splits_that_round_alone": _splits_that_round_alone,
    "half_up_in_tiers": _half_up_in_tiers,
    "billed_otherwise": _billed_otherwise,
}
