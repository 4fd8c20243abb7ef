"""Every price model with every modifier costs what a second, naive implementation says."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from engine.adapters.documents.tariff import parse_tariff
from engine.rating.amount import BOUND_TIER, AmountFunction
from engine.rating.money import PICO
from tests.properties.second_opinion import Document, total_so_far
from tests.properties.tariffs import ALL_PRICES, MODIFIERS, Documents, decimals

OWED: Documents = st.one_of(st.just({}), st.fixed_dictionaries({"minimum": decimals(20_000)}))
OFFERS = st.one_of(
    st.none(),
    st.fixed_dictionaries({"percent_off": st.sampled_from(["0", "12.5", "33.3333", "100"])}),
    st.fixed_dictionaries({"price": ALL_PRICES}),
)
AMOUNTS = st.one_of(
    st.integers(0, 90).map(lambda units: units * PICO),
    st.integers(0, 90 * PICO),
    st.builds(
        lambda units, off: max(0, units * PICO + off), st.integers(0, 61), st.integers(-1, 1)
    ),
)
UNITS = st.lists(AMOUNTS, min_size=2, max_size=6, unique=True).map(sorted)


def amounts_of(component: Document, offer: Document | None) -> AmountFunction | None:
    """Return the amounts of a component by the way of its document; None if it is refused."""
    if Fraction(component.get("minimum", "0")) > Fraction(component.get("maximum", "1000000")):
        return None
    document = {
        "tariff_id": "plan",
        "version": 1,
        "effective_from": "2026-01-01T00:00:00Z",
        "currency": "USD",
        "components": [{"id": "c", "kinds": ["pass_through_cost"], **component}],
    }
    if offer is not None:
        document["promotions"] = [{"id": "p", "kinds": ["pass_through_cost"], **offer}]
    return parse_tariff(document, "plan").amounts("c", "" if offer is None else "p")


def written(price: Document, modifiers: Document, owed: Document) -> Document:
    return {"price": price, **modifiers, **owed}


COMPONENTS = st.builds(written, ALL_PRICES, MODIFIERS, OWED)


@given(COMPONENTS, OFFERS, UNITS)
def test_amounts_are_those_of_the_second_opinion(
    component: Document, offer: Document | None, units: list[int]
) -> None:
    amounts = amounts_of(component, offer)
    if amounts is not None:
        for x in units:
            assert amounts.amount(x) == total_so_far(component, offer, Fraction(x, PICO))


@given(COMPONENTS, OFFERS, UNITS)
def test_slices_come_to_the_change_of_the_amount(
    component: Document, offer: Document | None, units: list[int]
) -> None:
    amounts = amounts_of(component, offer)
    if amounts is not None:
        for before, after in pairwise([0, *units]):
            change = amounts.amount(after) - amounts.amount(before)
            assert sum(part.amount for part in amounts.slices(before, after)) == change


@given(ALL_PRICES, st.sampled_from(["0", "20", "-12.5", "33.3333"]), OFFERS, UNITS)
@example({"model": "flat", "amount": "3"}, "0", None, [PICO, 2 * PICO])
def test_each_slice_shows_the_price_and_the_fee_that_make_its_amount(
    price: Document, markup: str, offer: Document | None, units: list[int]
) -> None:
    amounts = amounts_of({"price": price, "markup_percent": markup, "allowance": 5}, offer)
    assert amounts is not None
    for before, after in pairwise([0, *units]):
        for part in amounts.slices(before, after):
            exact = part.quantity * Fraction(part.unit_price) / part.per
            fee = Fraction(part.flat_fee or "0") * PICO
            exact += -fee if part.amount < 0 else fee  # taken back where a volume price changes
            assert abs(part.amount - exact) < 1


@given(ALL_PRICES, UNITS)
def test_a_cost_of_nothing_else_than_a_minimum_per_event_is_a_slice_of_its_own(
    price: Document, units: list[int]
) -> None:
    amounts = amounts_of({"price": price, "markup_percent": "-100", "minimum": "2"}, None)
    assert amounts is not None
    for x in units:
        if x:
            assert [(p.tier, p.amount) for p in amounts.slices(0, x) if p.amount] == [
                (BOUND_TIER, 2 * PICO)
            ]


@given(ALL_PRICES.filter(lambda price: price["model"] != "volume"), MODIFIERS, UNITS)
def test_amounts_of_all_models_but_volume_never_fall(
    price: Document, modifiers: Document, units: list[int]
) -> None:
    amounts = amounts_of({"price": price, **modifiers}, None)
    assert amounts is not None
    costs = [amounts.amount(x) for x in units]
    assert costs == sorted(costs)


@given(COMPONENTS, OFFERS, UNITS)
@example({"price": {"model": "graduated", "tiers": [{"flat_fee": "1"}]}}, None, [0, PICO])
def test_no_units_are_no_slice(
    component: Document, offer: Document | None, units: list[int]
) -> None:
    """What the supplier takes for a kind may be nothing: no fee stands on its line then."""
    amounts = amounts_of(component, offer)
    if amounts is not None:
        assert all(amounts.slices(x, x) == () for x in units)
