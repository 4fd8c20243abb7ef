"""Rating the same service period again and again: each phase books the difference to what stands.

Every phase is a rating of the quantity known by then; while usage only grows, one rating that is
told the growth charges the same.
"""

from fractions import Fraction
from itertools import pairwise

import pytest

from tests.vectors.inexpressible import reason
from tests.vectors.offline import Vector, charged_amount
from tests.vectors.outcomes import outcome_of
from tests.vectors.price_models import kind_of, parts_of, write_price
from tests.vectors.records import Record, cases, number, records
from tests.vectors.usages import events

SEQUENCES = cases(records("rerate_sequence"))


def snapshots(record: Record) -> list[Record]:
    """Return a `pricing` record per phase; a minimum is owed by the one that ends the period."""
    found: list[Record] = []
    for position, phase in enumerate(record["phases"], 1):
        price = dict(record["price"])
        if position < len(record["phases"]):
            price.pop("min_amount", None)
        usage = {"quantity": phase["cumulative_quantity"], "line": "single"}
        found.append({**record, "price": price, "usage": usage})
    return found


@pytest.mark.parametrize("record", SEQUENCES)
def test_each_rating_of_a_period_differs_by_what_the_other_system_books(record: Record) -> None:
    phases = snapshots(record)
    for why in filter(None, map(reason, phases)):
        pytest.skip(why)  # as in test_pricing: the page on other systems has each reason
    totals = [Fraction(0), *(outcome_of(phase).total for phase in phases)]
    deltas = [after - before for before, after in pairwise(totals)]
    assert deltas == [number(phase["expected_delta_total"]) for phase in record["phases"]]


def only_grows(record: Record) -> bool:
    """Say whether each phase knows more usage than the one before, and no minimum ends them."""
    quantities = [number(phase["cumulative_quantity"]) for phase in record["phases"]]
    return quantities == sorted(quantities) and record["price"].get("min_amount") is None


GROWING = [record for record in records("rerate_sequence") if only_grows(record)]


@pytest.mark.parametrize("record", cases(GROWING))
def test_usage_that_grows_is_charged_the_same_as_it_comes(record: Record) -> None:
    phases = snapshots(record)
    for why in filter(None, map(reason, phases)):
        pytest.skip(why)  # as in test_pricing: the page on other systems has each reason
    quantities = [number(phase["usage"]["quantity"]) for phase in phases]
    document = {"components": write_price(phases[0])}
    growing, standing = Vector(document), Fraction(0)
    for phase, before, quantity in zip(
        phases, [Fraction(0), *quantities], quantities, strict=False
    ):
        kind, parts = kind_of(phase), parts_of(phase)
        standing += charged_amount(growing.charged(events(kind, (quantity - before) * parts)))
        assert standing == charged_amount(Vector(document).charged(events(kind, quantity * parts)))
