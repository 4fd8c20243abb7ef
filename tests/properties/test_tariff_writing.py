"""A version written as YAML is the same version, whatever texts and figures it holds."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from engine.adapters.documents.reading import parse_text
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.documents.writing import tariff_yaml
from engine.rating.tariff import TariffVersion
from tests.properties.tariffs import Document, tariff_documents
from tests.properties.test_tariff_documents import version_or_none

DOCUMENT = {
    "tariff_id": "plan",
    "version": 1,
    "effective_from": "2026-11-01T00:00:00Z",
    "currency": "USD",
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).filter(
    lambda text: text.isprintable() and len(text) <= 256
)


def assert_survives(version: TariffVersion) -> None:
    """Write, read, and write again: the digest and the text stay."""
    text = tariff_yaml(version)
    again = parse_tariff(parse_text(text, "plan.yaml"), "plan.yaml")
    assert again.digest == version.digest
    assert tariff_yaml(again) == text


@given(tariff_documents())
def test_a_version_written_as_yaml_and_read_again_has_the_same_digest(document: Document) -> None:
    version = version_or_none(document)
    if version is not None:
        assert_survives(version)


@given(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
@example(["yes", "~", "0x1F", "1_000", "2026-11-01T00:00:00.000000Z", "16:30", "=", "<<", "a: b #"])
def test_a_match_is_written_so_that_every_text_stays_the_text_it_is(texts: list[str]) -> None:
    def component(number: int, model: Any) -> Document:
        price = {"model": "unit", "unit_price": "1"}
        return {"id": f"c{number}", "kinds": ["input"], "match": {"model": model}, "price": price}

    for model in (texts[0], [text for text in texts if not {"*", "?"} & set(text)] or "one"):
        document = {**DOCUMENT, "components": [component(1, model)]}
        assert_survives(parse_tariff(document, "plan.yaml"))
