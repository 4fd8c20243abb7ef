"""The reference of the tariff language leaves nothing out that a document can say."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from engine.adapters.documents.tariff import TariffDocument
from engine.rating.price import MODELS
from engine.rating.usage import INITIATORS, KINDS
from engine.rating.window import WEEKDAYS
from tests.docs.pages import DOCS, blocks
from tests.golden.tables import read

PAGES = [
    DOCS / "reference" / f"{name}.md" for name in ("tariff", "prices", "matching", "promotions")
]
EXAMPLES = [read(block.text) for page in PAGES for block in blocks(page) if block.info == "case"]
NOT_WRITTEN = {"time_zone_transitions"}
"""Frozen at publication: documented, but left out by people."""


def fields() -> set[str]:
    """Return the name of every field in a tariff document."""

    def names(schema: Any) -> Iterator[str]:
        yield from schema.get("properties", ())
        for part in schema.get("$defs", {}).values():
            yield from names(part)

    return set(names(TariffDocument.model_json_schema()))


def test_the_schema_names_more_than_the_top_of_the_document() -> None:
    assert {
        "tariff_id",
        "first_units",
        "increment_rounding",
        "weekdays",
        "rate_percent",
    } <= fields()


@pytest.mark.parametrize("field", sorted(fields()))
def test_a_field_of_the_document_stands_in_the_reference(field: str) -> None:
    named = {
        name
        for page in PAGES
        for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        for name in re.findall(r"\w+", code)
    }
    assert field in named


@pytest.mark.parametrize("field", sorted(fields() - NOT_WRITTEN - {"rounding"}))
def test_a_field_of_the_document_is_shown_in_an_example(field: str) -> None:
    written = "\n".join(text for example in EXAMPLES for text in example.versions)
    assert re.search(rf"\b{field}:", written)


@pytest.mark.parametrize("model", MODELS)
def test_a_price_model_is_shown_in_an_example_that_is_rated(model: str) -> None:
    rated = [text for example in EXAMPLES if example.charges for text in example.versions]
    assert any(re.search(rf"model: {model}\b", text) for text in rated)


def test_kinds_weekdays_and_initiators_are_listed() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
    assert [name for name in INITIATORS if f"`{name}`" not in text] == []
    assert f"`{' '.join(WEEKDAYS)}`" in text
