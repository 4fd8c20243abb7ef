"""Usage of the records, as usage events: what was used before, what is rated now, and the close."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from tests.vectors.percentages import percentage_events
from tests.vectors.price_models import kind_of, named_units, parts_of
from tests.vectors.records import COUNT, MONEY, Record, number, source, text, whole

Quantities = dict[str, Any]
"""Quantities of one event as its JSON form has them."""

MOST_MONEY = 10**6
"""One event holds a million currency units at most."""


class Usage(NamedTuple):
    """Events `before` the line of the record, those of the line, and whether it ends the period."""

    before: list[Quantities]
    now: list[Quantities]
    closes: bool


def read_usage(record: Record) -> Usage:
    """Return the usage of a `pricing` record."""
    usage = record["usage"]
    closes = usage.get("line", "single") in ("single", "last")
    special = _SPECIAL.get(record["price"]["model"])
    if special is not None:
        return Usage([], special(record), closes)
    if record["price"]["model"] == "flat":
        return Usage(
            [] if usage.get("line", "single") == "single" else [{COUNT: 1}], [{COUNT: 1}], closes
        )
    kind, parts = kind_of(record), parts_of(record)
    if _is_billed_at_the_end(record) and usage.get("prior_billed") is None:
        whole_period = number(usage.get("prior_quantity")) + number(usage.get("quantity"))
        return Usage([], events(kind, whole_period * parts) if closes else [], closes)
    if "buckets" in usage:
        return Usage(
            [],
            [event for q in usage["buckets"] for event in events(kind, number(q) * parts)],
            closes,
        )
    before = events(kind, number(usage.get("prior_quantity")) * parts)
    return Usage(before, events(kind, abs(number(usage.get("quantity"))) * parts), closes)


def _is_billed_at_the_end(record: Record) -> bool:
    """OpenMeter bills a volume price only on the line that ends the period."""
    return source(record) == "openmeterio/openmeter" and record["price"]["model"] == "volume"


def events(kind: str, quantity: Fraction) -> list[Quantities]:
    """Return the events that report a quantity: none for nothing."""
    if kind != MONEY:
        return [{kind: whole(quantity)}] if quantity else []
    found = []
    while quantity > 0:
        part = min(quantity, Fraction(MOST_MONEY))
        found.append({kind: text(part)})
        quantity -= part
    return found


def _event_amount(record: Record) -> list[Quantities]:
    usage = record["usage"]
    if not number(usage["quantity"]):
        return []
    return events(MONEY, number(usage["precise_total_amount_cents"]) / 100)


def _percentage(record: Record) -> list[Quantities]:
    return [{MONEY: text(amount)} for amount in percentage_events(record) if amount]


def _prorated(record: Record) -> list[Quantities]:
    units = [number(value) for value in record["usage"]["event_prorated_units"]]
    return events(kind_of(record), sum(units, Fraction(0)))


def _units(record: Record) -> list[Quantities]:
    """Return one event with every named unit, and one request: the report itself."""
    kinds = named_units(record)
    quantities = record["usage"]["quantities"]
    used = {kinds[unit]: whole(number(quantity)) for unit, quantity in quantities.items()}
    return [{COUNT: 1, **{kind: quantity for kind, quantity in used.items() if quantity}}]


def _interval(record: Record) -> list[Quantities]:
    return events("millisecond", number(record["usage"]["duration_s"]) * 1000)


_SPECIAL: dict[str, Callable[[Record], list[Quantities]]] = {
    "event_amount": _event_amount,
    "percentage": _percentage,
    "prorated_graduated": _prorated,
    "capacity": _units,
    "interval": _interval,
}


def running(values: list[Fraction]) -> Iterator[Fraction]:
    """Yield the sums so far."""
    total = Fraction(0)
    for value in values:
        total += value
        yield total
