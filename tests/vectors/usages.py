"""Usage of the records, as usage events: what was used before, what is rated now, and the close."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from engine.rating.money import PICO
from tests.vectors.price_models import COUNT, MONEY, kind_of, named_units
from tests.vectors.records import Record, number, source, text, whole

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
    if _is_billed_at_the_end(record) and not closes:
        return Usage([], [], closes)
    kind = kind_of(record)
    if "buckets" in usage:
        return Usage(
            [], [event for q in usage["buckets"] for event in events(kind, number(q))], closes
        )
    before = events(kind, number(usage.get("prior_quantity")))
    return Usage(before, events(kind, abs(number(usage.get("quantity")))), closes)


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


def percentage_events(record: Record) -> list[Fraction]:
    """Return the money of each event; what the record gives as a sum is shared evenly."""
    usage = record["usage"]
    if usage.get("events"):
        return [number(amount) for amount in usage["events"]]
    totals = [number(t) for t in usage.get("running_totals_of_free_candidates") or []]
    amounts = [after - before for before, after in pairwise([Fraction(0), *totals])]
    rest = number(usage["quantity"]) - sum(amounts)
    count = int(number(usage.get("event_count", "1"))) - len(amounts)
    if rest <= 0 or count <= 0:
        return amounts
    share = Fraction(int(rest / count * PICO), PICO)
    return [*amounts, *[share] * (count - 1), rest - share * (count - 1)]


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
