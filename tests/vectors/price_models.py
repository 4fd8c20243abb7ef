"""Price models of other systems, written as components of a tariff document.

Each writer turns the fields of `price` into components; nothing looks at a record's id. What a
system calls by another name is said at its writer, and docs/reference/other-systems.md shows it.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import lcm
from typing import Any

from tests.vectors.conversions import (
    block_of,
    conversion_of,
    converted,
    each_event_alone,
    frees_part_of_a_block,
    rounding_of,
)
from tests.vectors.percentages import write_percentage
from tests.vectors.records import COUNT, MONEY, Record, number, source, text, whole
from tests.vectors.tiers import capped, exclusive, shifted, tier_row

Component = dict[str, Any]

MONEY_MODELS = ("dynamic", "event_amount", "graduated_percentage", "percentage")
FREE: dict[str, Any] = {"model": "unit", "unit_price": "0"}

OWES_ITS_FIRST_FEE = ("openmeterio/openmeter", "getlago/lago-api")
"""These systems charge the first tier's flat fee without usage as well."""

UPPER_TIER_AT_THE_BOUND = ("meteroid-oss/meteroid",)
"""With these systems a volume that reaches a bound is in the tier behind it."""


def write_price(record: Record) -> list[Component]:
    """Return the components of the tariff that charges the price of a `pricing` record."""
    return _WRITERS[record["price"]["model"]](record)


def kind_of(record: Record) -> str:
    """Return the kind that stands for the quantity: a fraction is money, which has no weight."""
    if record["price"]["model"] in MONEY_MODELS:
        return MONEY
    is_whole = _denominator(record) == 1 or conversion_of(record["price"])[1] != 1
    return COUNT if is_whole else MONEY


def parts_of(record: Record) -> int:
    """Return in how many parts a unit is reported; more than one where fractions have a weight."""
    return _denominator(record) if kind_of(record) == COUNT else 1


def _denominator(record: Record) -> int:
    usage = record["usage"]
    names = ("quantity", "prior_quantity")
    quantities = [usage.get(name) for name in names] + list(usage.get("buckets", []))
    quantities += list(usage.get("event_prorated_units", []))
    return lcm(*(number(value).denominator for value in quantities))


def _single(record: Record, price: dict[str, Any], kinds: object = None) -> list[Component]:
    """Return the one component of a price with the modifiers that the record has."""
    component = {
        "id": "price",
        "kinds": kinds or [kind_of(record)],
        "period": "event" if each_event_alone(record) else "calendar_month",
        "price": price,
        **_modifiers(record),
    }
    return [component]


def _modifiers(record: Record) -> dict[str, Any]:
    price = record["price"]
    found: dict[str, Any] = {}
    if number(price.get("usage_discount")) and not frees_part_of_a_block(price):
        free = number(price["usage_discount"]) * conversion_of(price)[0]
        found["allowance"] = whole(free)
    if number(price.get("percent_discount")):
        found["markup_percent"] = text(-number(price["percent_discount"]))
    if price.get("max_amount") is not None:
        found["maximum"] = text(number(price["max_amount"]))
    minimum = max(number(price.get("min_amount")), first_fee(record))
    if minimum:
        found["minimum"] = text(minimum)
    return found


def first_fee(record: Record) -> Fraction:
    """Return the fee that is due without usage, which is a minimum.

    A graduated price never falls below its first fee, so the minimum says the same with usage; a
    volume price may, so there it stands for the month without usage alone.
    """
    price, usage = record["price"], record["usage"]
    tiers = price.get("tiers") or [{}]
    if source(record) not in OWES_ITS_FIRST_FEE or usage.get("buckets"):
        return Fraction(0)
    used = _used(record)
    if used < 0 or (price["model"] == "volume" and _paid_units(record) > 0):
        return Fraction(0)
    kept = 1 - number(price.get("percent_discount")) / 100
    fee = number(tiers[0].get("flat_fee")) * kept
    return fee if price.get("max_amount") is None else min(fee, number(price["max_amount"]))


def fee_of_an_earlier_split(record: Record) -> Fraction:
    """Return the first fee that OpenMeter has billed with the first split of a period.

    Without usage a later split owes it no more; only its volume prices wait for the last one.
    """
    price, usage = record["price"], record["usage"]
    is_later = usage.get("line", "single") != "single" and _paid_units(record) <= 0
    return first_fee(record) if is_later and price["model"] == "graduated" else Fraction(0)


def _used(record: Record) -> Fraction:
    usage = record["usage"]
    names = ("quantity", "prior_quantity")
    values = [usage.get(name) for name in names] + list(usage.get("event_prorated_units", []))
    return sum(map(number, values), Fraction(0))


def _paid_units(record: Record) -> Fraction:
    """Return the units that are priced: converted, rounded, and behind the free ones."""
    price = record["price"]
    return converted(price, _used(record)) - number(price.get("usage_discount"))


def _converted_kinds(record: Record) -> object:
    """Return the kinds; a unit that is multiplied has a weight."""
    weight = conversion_of(record["price"])[1] / parts_of(record)
    return [kind_of(record)] if weight == 1 else {kind_of(record): text(weight)}


def _unit(record: Record) -> list[Component]:
    price = record["price"]
    if price.get("allowance") is not None or frees_part_of_a_block(price):
        return _graduated({**record, "price": {**price, "tiers": [price]}})
    if rounding_of(price) == "half_up":
        block = conversion_of(price)[0]
        written: dict[str, Any] = {
            "model": "package",
            "package_size": block,
            "package_price": text(number(price["unit_price"])),
            "free_units": (block - 1) // 2,
        }
        return _single(record, written, _converted_kinds(record))
    unit_price = text(number(price["unit_price"]))
    written = {"model": "unit", "unit_price": unit_price, **block_of(price)}
    return _single(record, written, _converted_kinds(record))


def _graduated(record: Record) -> list[Component]:
    return _tiered(record, "graduated")


def _volume(record: Record) -> list[Component]:
    return _tiered(record, "volume")


def _tiered(record: Record, model: str) -> list[Component]:
    price = record["price"]
    rows, is_volume = price["tiers"], model == "volume"
    if is_volume and source(record) in UPPER_TIER_AT_THE_BOUND:
        rows = exclusive(rows)
    free = number(price.get("allowance"))
    if frees_part_of_a_block(price):
        free += number(price["usage_discount"])
    scale = conversion_of(price)[0]
    tiers = shifted(capped(rows, volume=is_volume), free)
    written = [tier_row(tier, "unit_price", scale) for tier in tiers]
    return _single(
        record, {"model": model, "tiers": written, **block_of(price)}, _converted_kinds(record)
    )


def _package(record: Record) -> list[Component]:
    price = record["price"]
    scale = conversion_of(price)[0]
    written = {
        "model": "package",
        "package_size": whole(number(price["package_size"]) * scale),
        "package_price": text(number(price["package_price"])),
    }
    free = number(price.get("free_units")) + number(price.get("allowance"))
    if free:
        written["free_units"] = whole(free * scale)
    if price.get("rounding"):
        written["rounding"] = price["rounding"]
    return _single(record, written, _converted_kinds(record))


def _flat(record: Record) -> list[Component]:
    """In advance: due with the first use. In arrears: due when the period closes, a minimum."""
    price = record["price"]
    if price.get("payment_term") != "in_arrears":
        return _single(record, {"model": "flat", "amount": text(number(price["amount"]))}, [COUNT])
    kept = 1 - number(price.get("percent_discount")) / 100
    (component,) = _single(record, FREE, [COUNT])
    component.pop("markup_percent", None)
    return [{**component, "minimum": text(number(price["amount"]) * kept)}]


def _dynamic(record: Record) -> list[Component]:
    """OpenMeter's dynamic price: a multiple of the money that is metered."""
    rate = text(number(record["price"]["multiplier"]) * 100)
    return _single(record, {"model": "percentage", "rate_percent": rate})


def _event_amount(record: Record) -> list[Component]:
    """Lago's dynamic charge: each event carries its amount."""
    return _single(record, {"model": "percentage", "rate_percent": "100"})


def _graduated_percentage(record: Record) -> list[Component]:
    rows = [tier_row(tier, "rate_percent", 1) for tier in record["price"]["tiers"]]
    return _single(record, {"model": "graduated_percentage", "tiers": rows})


def _blocks(record: Record) -> list[Component]:
    """Kill Bill's blocks of a unit: begun blocks count whole, inside each tier.

    ALL_TIERS is graduated, TOP_TIER volume; above the last tier the last one goes on.
    """
    price = record["price"]
    return [block_component("price", COUNT, price["tiers"], price["policy"])]


def block_component(name: str, kind: str, tiers: Sequence[Record], policy: str) -> Component:
    """Return the component for the blocks of one unit."""
    sizes = [whole(number(tier["block_size"])) for tier in tiers]
    per, up_to, rows = lcm(*sizes), 0, []
    for tier, size in zip(tiers, sizes, strict=True):
        row = {"unit_price": text(number(tier["block_price"]) * per / size), "increment": size}
        if tier is not tiers[-1]:
            up_to += size * whole(number(tier["max_blocks"]))
            row["up_to"] = up_to
        rows.append(row)
    model = {"ALL_TIERS": "graduated", "TOP_TIER": "volume"}[policy]
    return {
        "id": name,
        "kinds": [kind],
        "period": "calendar_month",
        "price": {"model": model, "per": per, "tiers": rows},
    }


UNIT_KINDS = ("tool_call", "search", "page", "image", "character")
"""Kinds that stand for the named units of a record, in their order."""


def named_units(record: Record) -> dict[str, str]:
    """Return the kind that stands for each unit that a price names."""
    price = record["price"]
    names = price["units"] if "units" in price else price["tiers"][0]["limits"]
    return dict(zip(names, UNIT_KINDS, strict=False))


def _capacity(record: Record) -> list[Component]:
    """Kill Bill's capacity: one price for the lowest tier whose limits hold for all units.

    The first tier's price is due with the first report (a request); each unit adds what the tier
    it reaches costs beyond that. So it is exact while one unit at most is beyond the first tier.
    """
    tiers = record["price"]["tiers"]
    base = number(tiers[0]["price"])
    first: Component = {
        "id": "first-tier",
        "kinds": [COUNT],
        "period": "calendar_month",
        "price": {"model": "flat", "amount": text(base)},
    }
    components = [first]
    for unit, kind in named_units(record).items():
        rows: list[dict[str, Any]] = []
        for tier in tiers:
            row: dict[str, Any] = {"flat_fee": text(number(tier["price"]) - base)}
            if tier is not tiers[-1]:
                row["up_to"] = whole(number(tier["limits"][unit]))
            rows.append(row)
        rows[0] = {**rows[0], "unit_price": "0"}
        price = {"model": "volume", "tiers": rows}
        components.append({"id": unit, "kinds": [kind], "period": "calendar_month", "price": price})
    return components


_MILLISECONDS = 1000


def _interval(record: Record) -> list[Component]:
    """CGRateS rates: per time, in increments, another rate from some second on."""
    groups = sorted(record["price"]["groups"], key=lambda group: number(group["start_s"]))
    units = [whole(number(group["rate_unit_s"]) * _MILLISECONDS) for group in groups]
    per, rows = lcm(*units), []
    for position, (group, unit) in enumerate(zip(groups, units, strict=True), 1):
        row: dict[str, Any] = {
            "unit_price": text(number(group["rate"]) * per / unit),
            "increment": whole(number(group["increment_s"]) * _MILLISECONDS),
        }
        if position < len(groups):
            row["up_to"] = whole(number(groups[position]["start_s"]) * _MILLISECONDS)
        rows.append(row)
    if number(record["price"].get("connect_fee")):
        rows[0]["flat_fee"] = text(number(record["price"]["connect_fee"]))
    return _single(record, {"model": "graduated", "per": per, "tiers": rows}, ["millisecond"])


_WRITERS: dict[str, Callable[[Record], list[Component]]] = {
    "unit": _unit,
    "flat": _flat,
    "package": _package,
    "graduated": _graduated,
    "prorated_graduated": _graduated,
    "volume": _volume,
    "dynamic": _dynamic,
    "event_amount": _event_amount,
    "percentage": lambda record: [write_percentage(record)],
    "graduated_percentage": _graduated_percentage,
    "blocks": _blocks,
    "capacity": _capacity,
    "interval": _interval,
}
