from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rating.money import (
    LIMIT_PICO,
    MINOR_UNITS,
    PICO,
    format_decimal,
    format_pico,
    parse_decimal,
    to_pico,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("-0", Fraction(0)),
        ("2.50", Fraction(5, 2)),
        ("-0.000000000001", Fraction(-1, PICO)),
        ("0.000000000000000001", Fraction(1, 10**18)),
        ("9" * 26, Fraction(10**26 - 1)),
    ],
)
def test_a_decimal_string_has_its_exact_value(text: str, value: Fraction) -> None:
    assert parse_decimal(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1 ", " 1", "+1", "--1", "1.", ".5", "01", "00", "1e3", "1E3", "1,5", "1_000"),
        *("0x1", "NaN", "Infinity", "1/3", "1\n", "١", "1" * 27, "0." + "1" * 19),
    ],
)
def test_anything_but_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal"):
        parse_decimal(text)


def test_pico_is_exact_or_refused() -> None:
    assert to_pico(Fraction(-5, 2)) == -2_500_000_000_000
    with pytest.raises(ValueError, match="more than 12 decimals"):
        to_pico(Fraction(1, 3))
    with pytest.raises(ValueError, match="more than 12 decimals"):
        to_pico(Fraction(1, 10**13))


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (10 * PICO, "10"),
        (-100 * PICO, "-100"),
        (1_500_000_000_000, "1.5"),
        (LIMIT_PICO - 1, "9" * 26 + "." + "9" * 12),
    ],
)
def test_pico_is_written_as_the_shortest_decimal(pico: int, text: str) -> None:
    assert format_pico(pico) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(10), "10"),
        (Fraction(5, 2), "2.5"),
        (Fraction(-1, 8), "-0.125"),
        (Fraction(1, 10**18), "0.000000000000000001"),
    ],
)
def test_a_price_is_written_as_the_shortest_decimal(value: Fraction, text: str) -> None:
    assert format_decimal(value) == text


def test_a_value_without_an_end_has_no_decimal_form() -> None:
    with pytest.raises(ValueError, match="no decimal form"):
        format_decimal(Fraction(1, 3))


@given(st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1))
def test_every_amount_survives_being_written_and_read(pico: int) -> None:
    assert to_pico(parse_decimal(format_pico(pico))) == pico


@given(st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1))
def test_both_ways_of_writing_agree(pico: int) -> None:
    assert format_decimal(Fraction(pico, PICO)) == format_pico(pico)


def test_currencies_know_the_decimals_of_their_minor_unit() -> None:
    assert (MINOR_UNITS["JPY"], MINOR_UNITS["USD"], MINOR_UNITS["KWD"]) == (0, 2, 3)
    assert all(len(code) == 3 and code.isupper() for code in MINOR_UNITS)
    assert "XXX" not in MINOR_UNITS
