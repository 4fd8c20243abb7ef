"""Worked examples in the pages: rated, and every figure they show compared."""

import pytest

from tests.docs.pages import DOCS, ROOT, blocks
from tests.golden.tables import check, read

EXAMPLES = [
    pytest.param(block.text, id=f"{page.relative_to(ROOT).as_posix()}-{number}")
    for page in sorted(DOCS.rglob("*.md"))
    for number, block in enumerate(blocks(page), 1)
    if block.info == "case"
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_gives_exactly_what_it_shows(text: str) -> None:
    check(read(text))


def test_the_pages_that_promise_examples_have_them() -> None:
    assert len(EXAMPLES) >= 36
