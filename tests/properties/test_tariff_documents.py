"""Documents: what is valid keeps its digest on every way, what is not is refused and never crashes."""

import json
from contextlib import suppress
from copy import deepcopy
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.adapters.avro.tariff import decode_tariff, encode_tariff
from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.adapters.documents.tariff import TariffDocument, parse_tariff
from engine.rating.charge import Charge
from engine.rating.errors import Refusal
from engine.rating.tariff import TariffVersion
from tests.properties.tariffs import COUNTED_KINDS, Document, tariff_documents
from tests.rating.scenario import Scenario

USES = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(1, 28),
            "quantities": st.dictionaries(
                st.sampled_from(COUNTED_KINDS), st.integers(0, 10**15), min_size=1, max_size=4
            ),
            "model": st.sampled_from(["gpt-4o", "gpt-5", "o3", "meta/llama"]),
            "provider": st.sampled_from(["openai", "azure"]),
            "service_tier": st.sampled_from(["standard", "batch", ""]),
            "subject": st.sampled_from(["anna", "", "a/b"]),
        }
    ),
    max_size=6,
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        [
            *("1.5", "-1", "0", "USD", "input", "*", "unit", "graduated", "account", "event"),
            *("2026-11-01T00:00:00Z", "2026-11-01", "0001-01-01T00:00:00+14:00", "UTC"),
            *(2**31, 2**63, 10**15, 10**40, "9999-12-31T23:59:59-14:00", "\ud800"),
        ]
    ),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def version_or_none(document: object) -> TariffVersion | None:
    """Return the version, or None where the document is refused."""
    try:
        return parse_tariff(document, "plan.yaml")
    except InvalidFile:
        return None


def places_in(document: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a document, so that any value can be replaced."""
    pairs = list(document.items()) if isinstance(document, dict) else list(enumerate(document))
    found = []
    for key, value in pairs:
        found.append((document, key))
        if isinstance(value, dict | list):
            found += places_in(value)
    return found


@given(tariff_documents())
def test_a_version_and_its_canonical_document_have_the_same_digest(document: Document) -> None:
    version = version_or_none(document)
    if version is not None:
        again = parse_tariff(parse_text(version.document, "canonical"), "canonical")
        assert again.document == version.document
        assert again.digest == version.digest


@given(tariff_documents())
def test_a_version_survives_the_wire(document: Document) -> None:
    version = version_or_none(document)
    if version is not None:
        decoded = decode_tariff(encode_tariff(version), "offset 1")
        assert (decoded.document, decoded.digest) == (version.document, version.digest)


@given(tariff_documents())
def test_yaml_and_json_of_a_document_have_the_same_digest(document: Document) -> None:
    version = version_or_none(document)
    if version is not None:
        for text in (json.dumps(document), yaml.safe_dump(document, default_flow_style=False)):
            assert parse_tariff(parse_text(text, "x"), "x").digest == version.digest


@given(tariff_documents(), st.randoms(use_true_random=False))
def test_the_order_of_components_and_kinds_does_not_change_the_digest(
    document: Document, random: Any
) -> None:
    version = version_or_none(document)
    if version is None:
        return
    shuffled = deepcopy(document)
    random.shuffle(shuffled["components"])
    for component in shuffled["components"]:
        if isinstance(component["kinds"], list):
            random.shuffle(component["kinds"])
        else:
            component["kinds"] = dict(reversed(component["kinds"].items()))
    assert parse_tariff(dict(reversed(shuffled.items())), "x").digest == version.digest


@given(tariff_documents())
def test_a_valid_document_fits_the_json_schema_that_editors_use(document: Document) -> None:
    if version_or_none(document) is not None:
        Draft202012Validator(TariffDocument.model_json_schema()).validate(document)


@given(JSON)
def test_a_document_of_any_shape_is_refused_and_never_crashes(document: Any) -> None:
    assert version_or_none(document) is None


@given(tariff_documents(), st.data())
def test_a_document_with_one_value_replaced_is_a_version_or_refused(
    document: Document, data: st.DataObject
) -> None:
    changed = deepcopy(document)
    container, key = data.draw(st.sampled_from(places_in(changed)))
    container[key] = data.draw(JSON)
    version = version_or_none(changed)
    if version is not None:
        again = parse_tariff(json.loads(version.document), "canonical")
        assert again.document == version.document


@given(st.text(max_size=30) | st.text("{}[]:,-&*!'\"\n 01aé", max_size=30))
def test_a_text_of_any_kind_is_read_or_refused(text: str) -> None:
    with suppress(InvalidFile):
        parse_text(text, "plan.yaml")


@given(tariff_documents(), USES)
def test_no_valid_tariff_makes_rating_crash_and_nothing_is_lost(
    document: Document, uses: list[dict[str, Any]]
) -> None:
    version = version_or_none(document)
    if version is None:
        return
    scenario = Scenario()
    scenario.publish(version)
    scenario.open(version.currency)
    scenario.assign()
    for number, use in enumerate(uses):
        words = {name: use[name] for name in ("model", "provider", "service_tier", "subject")}
        moment = f"2026-11-{use['day']:02d}T00:00:00Z"
        outcome = scenario.use(f"e{number}", moment, use["quantities"], **words)
        if isinstance(outcome, Refusal):
            assert outcome.code in {"no_quantities", "amount_overflow"}
            continue
        assert isinstance(outcome, Charge)
        used = {kind: quantity for kind, quantity in use["quantities"].items() if quantity}
        assert {line.kind: line.quantity for line in outcome.lines} == used
        for line in outcome.lines:
            assert (line.amount is None) == (line.status == "suspense") == bool(line.reason)
