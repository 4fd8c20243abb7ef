"""Documents: what is valid keeps its digest on every way, what is not is refused and never crashes."""

import json
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.adapters.avro.charge import charge_fields, charge_of, encode_charge
from engine.adapters.avro.tariff import decode_tariff, encode_tariff
from engine.adapters.avro.wire import Decoded, decode, encode
from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.adapters.documents.tariff import TariffDocument, parse_tariff
from engine.rating.account import Account
from engine.rating.charge import Charge
from engine.rating.errors import Refusal
from engine.rating.tariff import TariffVersion
from engine.rating.usage import KINDS
from schemas.loader import latest
from tests.properties.tariffs import MODELS, Document, tariff_documents
from tests.rating.scenario import Scenario, state_of

USES = st.lists(
    st.fixed_dictionaries(
        {
            "day": st.integers(1, 28),
            "quantities": st.dictionaries(
                st.sampled_from(KINDS),
                st.one_of(st.integers(0, 40), st.integers(0, 10**15)),
                min_size=1,
                max_size=4,
            ),
            "words": st.fixed_dictionaries(
                {
                    "model": st.sampled_from(MODELS),
                    "provider": st.sampled_from(["openai", "azure"]),
                    "service_tier": st.sampled_from(["standard", "batch", ""]),
                    "subject": st.sampled_from(["anna", "", "a/b"]),
                    "region": st.sampled_from(["", "eu", "us-east"]),
                    "initiator": st.sampled_from(["user", "agent"]),
                }
            ),
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


FEWER = settings(max_examples=30)
"""Drawing a document takes longer than what these look at."""


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
@FEWER
def test_a_version_and_its_canonical_document_have_the_same_digest(document: Document) -> None:
    version = version_or_none(document)
    if version is not None:
        again = parse_tariff(parse_text(version.document, "canonical"), "canonical")
        assert again.document == version.document
        assert again.digest == version.digest


@given(tariff_documents())
@FEWER
def test_a_version_survives_the_wire(document: Document) -> None:
    version = version_or_none(document)
    if version is not None:
        decoded = decode_tariff(encode_tariff(version), "offset 1")
        assert (decoded.document, decoded.digest) == (version.document, version.digest)


@given(tariff_documents())
@FEWER
def test_yaml_and_json_of_a_document_have_the_same_digest(document: Document) -> None:
    version = version_or_none(document)
    if version is not None:
        for text in (json.dumps(document), yaml.safe_dump(document, default_flow_style=False)):
            assert parse_tariff(parse_text(text, "x"), "x").digest == version.digest


@given(tariff_documents(), st.randoms(use_true_random=False))
@FEWER
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
@FEWER
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
    replayed = Account("acme")
    for event in (scenario.open(version.currency), scenario.assign()):
        replayed.apply(event)
    for number, use in enumerate(uses):
        moment = f"2026-11-{use['day']:02d}T00:00:00Z"
        outcome = scenario.use(f"e{number}", moment, use["quantities"], **use["words"])
        if isinstance(outcome, Refusal):
            assert outcome.code in {"no_quantities", "amount_overflow"}
            continue
        assert isinstance(outcome, Charge)
        assert_adds_up(outcome, use["quantities"])
        assert_survives_the_wire(outcome)
        replayed.apply(outcome)
    assert state_of(replayed) == state_of(scenario.ledger.account("acme"))


def assert_adds_up(charge: Charge, used: dict[str, int]) -> None:
    """Every unit stands in a line, every line is its parts, the charge is its lines."""
    quantities = Counter[str]()
    for line in charge.lines:
        quantities[line.kind] += line.quantity
        assert (line.amount is None) == (line.status == "suspense") == bool(line.reason)
        parts = sum(part.amount for part in line.slices)
        parts += sum(change.amount for change in line.repricings)
        assert parts == (line.amount or 0)
    assert quantities == {kind: quantity for kind, quantity in used.items() if quantity}
    assert charge.amount == sum(line.amount or 0 for line in charge.lines)


def assert_survives_the_wire(charge: Charge) -> None:
    data = encode_charge(charge)
    assert data == encode(latest("charge_event"), charge_fields(charge))
    decoded = decode(data)
    assert isinstance(decoded, Decoded)
    assert charge_of(decoded.fields) == charge


@given(tariff_documents())
def test_defaults_and_decimals_that_are_spelled_out_do_not_change_the_digest(
    document: Document,
) -> None:
    version = version_or_none(document)
    if version is not None:
        assert parse_tariff(spelled_out(document), "plan.yaml").digest == version.digest


def spelled_out(value: Any) -> Any:
    """Return a document with defaults written, decimals lengthened and single texts in a list."""
    if isinstance(value, list):
        return [spelled_out(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    written = {key: _longer(key, spelled_out(entry)) for key, entry in value.items()}
    for mark, defaults in _DEFAULTS.items():
        if mark in value:
            written = {**defaults, **written}
    return dict(reversed(written.items()))


_DECIMALS = {"unit_price", "flat_fee", "amount", "package_price", "maximum", "minimum"}
_DEFAULTS: dict[str, Document] = {
    "tariff_id": {"fallback": {}, "promotions": [], "supplier_for": [], "effective_to": None},
    "package_size": {"free_units": 0, "rounding": "up"},
    "increment": {"increment_rounding": "up"},
    "first_units": {"scope": "account", "period": "lifetime"},
}


def _longer(key: str, value: Any) -> Any:
    if key in _DECIMALS and isinstance(value, str):
        return f"{value}.0" if "." not in value else f"{value}0"
    if key in ("model", "account", "subject") and value in ("gpt-4o", "acme", "anna"):
        return [value]
    return value


@given(tariff_documents(), st.data())
def test_a_document_damaged_in_several_places_is_a_version_or_refused(
    document: Document, data: st.DataObject
) -> None:
    changed = deepcopy(document)
    for _ in range(3):
        container, key = data.draw(st.sampled_from(places_in(changed)))
        if data.draw(st.booleans()) and len(container) > 1:
            del container[key]
        else:
            container[key] = deepcopy(data.draw(st.sampled_from(places_in(changed)))[0])
    version_or_none(changed)


@pytest.mark.parametrize("place", ["components", "match", "price", "weights", "promotions"])
@pytest.mark.parametrize("opened", [{"a": 0}, [0]])
def test_a_document_nested_without_end_is_refused(place: str, opened: Any) -> None:
    nested: Any = "x"
    for _ in range(5_000):
        nested = {"match": nested} if isinstance(opened, dict) else [nested]
    assert version_or_none({**MINIMAL, place: nested}) is None
    component = {**MINIMAL["components"][0], place: nested}
    assert version_or_none({**MINIMAL, "components": [component]}) is None


MINIMAL: Document = {
    "tariff_id": "plan",
    "version": 1,
    "effective_from": "2026-01-01T00:00:00Z",
    "currency": "USD",
    "components": [{"id": "c", "kinds": ["input"], "price": {"model": "unit", "unit_price": "1"}}],
}


@pytest.mark.parametrize("name", ["unit_price", "per", "increment"])
def test_a_number_of_thousands_of_digits_is_refused_with_a_sentence(name: str) -> None:
    price = {"model": "unit", "unit_price": "1", name: 10**5000}
    component = {**MINIMAL["components"][0], "price": price}
    with pytest.raises(InvalidFile) as refused:
        parse_tariff({**MINIMAL, "components": [component]}, "plan")
    assert "digits() to increase the limit" not in str(refused.value)
