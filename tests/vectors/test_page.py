"""The page about other systems: its documents are sound, and it names what can not be written."""

import pytest

from engine.adapters.documents.grants import parse_grant
from engine.adapters.documents.reading import parse_text
from tests.docs.pages import DOCS, Block, blocks, documented_codes
from tests.vectors.inexpressible import REASONS
from tests.vectors.offline import Vector
from tests.vectors.prepaid_records import PREPAID_REASONS

PAGE = DOCS / "reference" / "other-systems.md"
WRITTEN = [block for block in blocks(PAGE) if block.language == "yaml"]
GRANTS = [block for block in WRITTEN if block.text.startswith("grant_id: ")]
DOCUMENTS = [block for block in WRITTEN if block not in GRANTS]


def vector(block: Block) -> Vector:
    data = parse_text(block.text, "page")
    assert isinstance(data, dict)
    return Vector(data)


@pytest.mark.parametrize(
    "block", DOCUMENTS, ids=lambda block: block.text.split("id: ")[1].split()[0]
)
def test_a_document_of_the_page_is_a_tariff(block: Block) -> None:
    vector(block)


@pytest.mark.parametrize("block", GRANTS, ids=lambda block: block.text.split()[1])
def test_a_grant_of_the_page_is_a_grant(block: Block) -> None:
    parse_grant(parse_text(block.text, "page"), "page")


def test_the_page_names_every_reason_and_no_other() -> None:
    assert documented_codes(PAGE, "What can not be written") == set(REASONS)
    assert documented_codes(PAGE, "What balances mean otherwise") == PREPAID_REASONS
