"""The table cases: text files that finance can read, each worked out by hand."""

from pathlib import Path

import pytest

from engine.rating.money import PICO
from tests.golden.tables import check, quantities, read, table

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_a_table_case_gives_exactly_the_charges_it_shows(name: str) -> None:
    check(read((FOLDER / name).read_text(encoding="utf-8")))


def test_a_column_of_a_table_is_set_apart_by_two_blanks() -> None:
    rows = table(["  event  quantities", "", "  a      input 1, output 2"])
    assert rows == [{"event": "a", "quantities": "input 1, output 2"}]


def test_quantities_of_money_are_metered_in_pico_and_those_of_tokens_in_tokens() -> None:
    assert quantities("input 1,200, pass_through_cost 0.5") == {
        "input": 1200,
        "pass_through_cost": PICO // 2,
    }
