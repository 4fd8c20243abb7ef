"""Calls priced by other projects' released packages: litellm (floats) and genai-prices (exact)."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

import pytest

from engine.rating.charge import Charge
from tests.vectors.llm_prices import write_llm_price
from tests.vectors.llm_usages import cost, disjoint, is_cost
from tests.vectors.offline import Vector
from tests.vectors.price_lists import (
    from_genai_prices,
    from_litellm,
    genai_usage,
    litellm_usage,
)
from tests.vectors.records import Record, cases, number, price_entries, records

CALLS = records("llm_oracle")
FLOATS = Fraction(1, 10**9)
PARTS = {"prompt": "input", "completion": "output"}
ENTRIES = price_entries()


@cache
def document_of(entry: str, provider: str) -> dict[str, Any]:
    """Return the tariff of an entry of LiteLLM's list."""
    return write_llm_price(from_litellm(ENTRIES[entry], provider))


def charge_of(record: Record, document: dict[str, Any], quantities: Mapping[str, int]) -> Charge:
    """Return the charge of one call at its time, in its service tier."""
    tier = {"service_tier": record["service_tier"]} if record.get("service_tier") else {}
    vector = Vector(document, since_the_month=False)
    (charge,) = vector.charged([quantities], occurred_at=record["at"], **tier)
    return charge


@pytest.mark.parametrize("record", cases([row for row in CALLS if "price_ref" in row]))
def test_a_call_costs_what_litellm_calculates(record: Record) -> None:
    document = document_of(record["price_ref"], record["provider"])
    quantities = disjoint({}, litellm_usage(record["usage"]))
    charge = charge_of(record, document, quantities)
    for name, value in record["expected"].items():
        part = PARTS[name.removesuffix("_cost")]
        assert abs(cost(charge, part) - number(value)) <= number(value) * FLOATS, name


@pytest.mark.parametrize("record", cases([row for row in CALLS if "resolved_price" in row]))
def test_a_call_costs_what_genai_prices_calculates(record: Record) -> None:
    price = from_genai_prices(record["resolved_price"])
    quantities = disjoint(price, genai_usage(record["usage"]))
    charge = charge_of(record, write_llm_price(price), quantities)
    for name, value in record["expected"].items():
        found = cost(charge, name.removesuffix("_price"))
        assert is_cost(found, number(value), charge), (name, found, value)
