"""Worked examples in the pages: rated, and every figure they show compared."""

from pathlib import Path

import pytest

from engine.rating.money import format_pico
from tests.docs.pages import DOCS, ROOT, blocks
from tests.golden.test_tables import CELLS, read, report, scenario_of

EXAMPLES = [
    pytest.param(block.text, id=f"{page.relative_to(ROOT).as_posix()}-{number}")
    for page in sorted(DOCS.rglob("*.md"))
    for number, block in enumerate(blocks(page), 1)
    if block.info == "case"
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_gives_exactly_the_charges_it_shows(text: str, tmp_path: Path) -> None:
    file = tmp_path / "case.txt"
    file.write_text(text, encoding="utf-8")
    case = read(file)
    scenario = scenario_of(case)
    columns = list(case.charges[0])
    rows = [
        {column: CELLS[column](charge, line) for column in columns}
        for charge in (report(scenario, row) for row in case.usage)
        for line in charge.lines
    ]
    assert rows == case.charges
    assert format_pico(scenario.ledger.account("acme").due) == case.due


def test_the_pages_that_promise_examples_have_them() -> None:
    assert len(EXAMPLES) >= 9
