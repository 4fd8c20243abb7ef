from fractions import Fraction

import pytest

from engine.rating.amount import AmountFunction, Slice
from engine.rating.money import PICO
from engine.rating.price import Increment, Price, Tier, unit_price

LADDER = AmountFunction(
    Price(
        "graduated",
        (
            Tier(10, Fraction(1), Fraction(2)),
            Tier(20, Fraction(1, 2)),
            Tier(None, Fraction(1, 4), Fraction(3)),
        ),
    )
)
"""1 up to 10 (entering costs 2), 0.50 up to 20, then 0.25 (entering costs 3)."""


@pytest.mark.parametrize(
    ("units", "amount"),
    [(0, "0"), (1, "3"), (10, "12"), (11, "12.5"), (20, "17"), (21, "20.25"), (40, "25")],
)
def test_the_upper_bound_belongs_to_the_lower_tier_and_a_fee_is_due_on_entering(
    units: int, amount: str
) -> None:
    assert Fraction(LADDER.amount(units * PICO), PICO) == Fraction(amount)


def test_nothing_costs_nothing_even_where_entering_has_a_fee() -> None:
    assert LADDER.amount(0) == 0


def test_a_fraction_of_a_unit_enters_a_tier() -> None:
    assert LADDER.amount(1) == 2 * PICO + 1
    assert LADDER.amount(20 * PICO + 1) == 20 * PICO  # a quarter of a pico is floored


def test_an_amount_is_floored_as_a_whole_and_unit_prices_never() -> None:
    third = AmountFunction(unit_price(Fraction(1), per=3))
    assert [third.amount(units * PICO) for units in (1, 2, 3)] == [
        333_333_333_333,
        666_666_666_666,
        PICO,
    ]


def test_fees_and_prices_are_floored_together() -> None:
    tiers = (Tier(None, Fraction(1), Fraction(1, 2 * PICO)),)
    price = Price("graduated", tiers, per=2 * PICO)
    assert AmountFunction(price).amount(PICO) == 1  # half a pico of fee and half a pico of price


def test_slices_run_through_the_tiers_in_order() -> None:
    assert LADDER.slices(8 * PICO, 24 * PICO) == (
        Slice(0, 2 * PICO, "1", 1, "", 2 * PICO),
        Slice(1, 10 * PICO, "0.5", 1, "", 5 * PICO),
        Slice(2, 4 * PICO, "0.25", 1, "3", 4 * PICO),
    )


def test_a_slice_that_starts_a_tier_shows_its_fee() -> None:
    (first,) = LADDER.slices(0, PICO)
    (later,) = LADDER.slices(PICO, 10 * PICO)
    (just_inside,) = LADDER.slices(1, PICO)
    assert just_inside.flat_fee == ""
    assert (first.flat_fee, first.amount) == ("2", 3 * PICO)
    assert (later.flat_fee, later.amount) == ("", 9 * PICO)


def test_a_slice_from_a_bound_lies_in_the_upper_tier() -> None:
    (only,) = LADDER.slices(10 * PICO, 11 * PICO)
    assert (only.tier, only.amount) == (1, PICO // 2)


def test_units_that_end_on_a_bound_do_not_enter_the_next_tier() -> None:
    assert [part.tier for part in LADDER.slices(15 * PICO, 20 * PICO)] == [1]


def test_a_unit_price_is_one_open_tier() -> None:
    price = unit_price(Fraction(5, 2), per=1_000_000)
    assert price.tiers == (Tier(None, Fraction(5, 2)),)
    assert AmountFunction(price).amount(1200 * PICO) == 3_000_000_000


def test_prices_beyond_machine_integers_stay_exact() -> None:
    price = AmountFunction(unit_price(Fraction(10**9 - 1, 1) + Fraction(1, 10**18)))
    units = 10**24
    assert price.amount(units * PICO) == (10**9 - 1) * units * PICO + units * PICO // 10**18


def test_a_volume_slice_shows_the_units_that_are_billed_in_increments() -> None:
    tens = AmountFunction(Price("volume", (Tier(None, Fraction(1), increment=Increment(10)),)))
    assert tens.slices(5 * PICO, 12 * PICO) == (Slice(0, 10 * PICO, "1", 1, "", 10 * PICO),)
    assert tens.slices(12 * PICO, 18 * PICO) == (Slice(0, 0, "1", 1, "", 0),)


def test_a_tier_increment_is_rounded_inside_its_tier() -> None:
    price = Price(
        "graduated",
        (Tier(15, Fraction(1), increment=Increment(10)), Tier(None, Fraction(2))),
    )
    amounts = AmountFunction(price)
    units = (1, 10, 11, 15, 16)
    assert [amounts.amount(count * PICO) // PICO for count in units] == [10, 10, 20, 20, 22]
