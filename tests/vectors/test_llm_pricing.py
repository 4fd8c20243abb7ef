"""Prices of models: contexts, service tiers, cache, reasoning, off-peak, markups, dates, windows."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from engine.rating.charge import Charge
from engine.rating.money import PICO
from engine.rating.usage import CONTEXT_KINDS
from tests.vectors.llm_prices import KINDS, write_llm_price
from tests.vectors.llm_usages import cost, disjoint, is_cost
from tests.vectors.offline import Vector
from tests.vectors.records import Record, cases, number, records
from tests.vectors.windows import hold_always, write_windows

MILLION = 10**6


def call_fields(usage: Record) -> dict[str, Any]:
    """Return the fields of the call besides its quantities."""
    fields: dict[str, Any] = {}
    if usage.get("at") is not None:
        fields["occurred_at"] = moment(usage["at"])
    if usage.get("service_tier"):
        fields["service_tier"] = usage["service_tier"]
    return fields


def moment(at: str) -> str:
    """Return a time as usage events have it; one without a zone is UTC."""
    parsed = datetime.fromisoformat(at)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).isoformat()


def charged(vector: Vector, quantities: dict[str, int], usage: Record) -> Charge:
    """Return the charge of one call."""
    (charge,) = vector.charged([quantities], **call_fields(usage))
    return charge


@pytest.mark.parametrize("record", cases(records("llm_pricing")))
def test_a_call_costs_what_the_other_system_says(record: Record) -> None:
    quantities = disjoint(record["price"], record["usage"])
    vector = Vector(write_llm_price(record["price"]), since_the_month=False)
    charge = charged(vector, quantities, record["usage"])
    for name, value in record["expected"].items():
        found = cost(charge, name)
        assert is_cost(found, number(value), charge), (name, found, value)


@pytest.mark.parametrize("record", cases(records("dated_tariff")))
def test_the_rates_valid_at_a_date_are_charged(record: Record) -> None:
    documents = [
        {**write_llm_price(version), "version": position, **effective(version)}
        for position, version in enumerate(record["price"]["versions"], 1)
    ]
    vector = Vector(*documents, since_the_month=False)
    rates = {KINDS[name]: number(rate) for name, rate in record["expected"]["rates"].items()}
    context = int(number(record["usage"].get("input_tokens")))
    quantities = dict.fromkeys(rates, 1000)
    beside = [kind for kind in rates if kind in CONTEXT_KINDS and kind != "input"]
    quantities["input"] = max(1000, context - 1000 * len(beside))
    charge = charged(vector, quantities, record["usage"])
    per_million = {
        line.kind: Fraction((line.amount or 0) * MILLION, PICO * quantities[line.kind])
        for line in charge.lines
        if line.kind in rates
    }
    assert per_million == rates


def effective(version: Record) -> dict[str, str]:
    """Return since when a version is in force."""
    since = version.get("effective_from")
    return {"effective_from": moment(since).replace("+00:00", "Z")} if since else {}


@pytest.mark.parametrize("record", cases(records("time_window")))
def test_a_window_holds_at_the_times_it_should(record: Record) -> None:
    windows, zone = write_windows(record["price"]["off_peak"])
    off_peak: dict[str, Any] = {**priced("off-peak"), "match": {"time": windows}}
    if hold_always(windows):
        components = [priced("off-peak")]
    else:
        components = [priced("peak"), *([off_peak] if windows else [])]
    vector = Vector({"components": components, **zone}, since_the_month=False)
    (line,) = charged(vector, {"request": 1}, record["usage"]).lines
    assert (line.component == "off-peak") == record["expected"]["off_peak"]


def priced(name: str) -> dict[str, Any]:
    """Return a component for requests."""
    return {"id": name, "kinds": ["request"], "price": {"model": "unit", "unit_price": "1"}}
