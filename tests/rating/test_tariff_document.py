"""A document that breaks a rule is refused with the place, the value and what was expected."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.documents.reading import InvalidFile, parse_text, read_document
from engine.adapters.documents.tariff import parse_tariff

COMPONENT = {
    "id": "tokens",
    "kinds": ["input"],
    "price": {"model": "unit", "unit_price": "1"},
}
DOCUMENT = {
    "tariff_id": "plan",
    "version": 1,
    "effective_from": "2026-11-01T00:00:00Z",
    "currency": "USD",
    "components": [COMPONENT],
}


def graduated(*tiers: dict[str, Any]) -> dict[str, Any]:
    return {"model": "graduated", "tiers": list(tiers)}


def problem_places(document: object) -> list[str]:
    """Return the places that a document's problems name."""
    with pytest.raises(InvalidFile) as caught:
        parse_tariff(document, "plan.yaml")
    return [problem.place for problem in caught.value.problems]


def test_a_minimal_document_is_a_version() -> None:
    version = parse_tariff(DOCUMENT, "plan.yaml")
    assert (version.tariff_id, version.version, version.rounding) == ("plan", 1, "half_up")
    assert version.effective_to is None


@pytest.mark.parametrize("field", DOCUMENT)
def test_a_required_field_must_be_there(field: str) -> None:
    document = {name: value for name, value in DOCUMENT.items() if name != field}
    assert problem_places(document) == [field]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("tariff_id", ["", "a b", "a\n", "ü", "x" * 129, 7, None, ["plan"]]),
        ("version", [0, -1, 2**31, "1", 1.0, True, None, [1]]),
        ("effective_from", ["2026-11-01", "2026-11-01T00:00:00", "soon", "", None, [], {}]),
        ("effective_to", ["2026-11-01", "soon", [], {}]),
        ("currency", ["usd", "XXX", "", None, 7, [], {}]),
        ("time_zone", ["Mars/Base", "", None, 7, [], "\ud800"]),
        ("rounding", ["", "nearest", None, []]),
        ("fallback", [{"inputs": "input"}, {"input": "x"}, {"input": []}, [], "input", None]),
        ("components", [[], {}, None, "tokens", [None], [[]]]),
        ("surprise", [1]),
    ],
)
def test_a_bad_value_is_refused_at_its_place(field: str, values: list[object]) -> None:
    for value in values:
        places = problem_places({**DOCUMENT, field: value})
        assert all(place.startswith(field) for place in places), (value, places)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("id", ["", "a b", 7, None, [], "x" * 129]),
        ("kinds", [[], {}, ["input", "input"], ["tokens"], [[]], [1], "input", None, ["in put"]]),
        ("kinds", [{"input": 0}, {"input": "-1"}, {"input": "x"}, {"input": None}, {1: 1}]),
        ("kinds", [{"input": "0.0000000000001"}, {"input": True}, {"input": 10**9}]),
        ("scope", ["login", "", None, []]),
        ("period", ["hour", "", None, []]),
        ("match", [{"surprise": "x"}, [], "gpt-4o"]),
        ("match", [{"model": ""}, {"model": []}, {"model": 4}, {"model": {}}, {"model": [4]}]),
        ("match", [{"model": ["a", "b*"]}, {"model": "x" * 257}, {"model": [""]}]),
        ("match", [{"context_above": -1}, {"context_above": "1"}, {"context_above": True}]),
        ("price", [None, {}, [], "1", {"model": "volume"}, {"model": []}, {"model": None}]),
        ("price", [{"model": "unit"}, {"model": "unit", "unit_price": "1", "surprise": 1}]),
        ("surprise", [1]),
    ],
)
def test_a_bad_value_of_a_component_is_refused_at_its_place(
    field: str, values: list[object]
) -> None:
    for value in values:
        places = problem_places({**DOCUMENT, "components": [{**COMPONENT, field: value}]})
        assert all(place.startswith(f"components[0].{field}") for place in places), (value, places)


@pytest.mark.parametrize(
    "price",
    ["", "-1", "1e3", "1,5", "+1", "1.", ".5", "01", "NaN", 1.5, True, None, [], 10**9, -1],
)
def test_a_price_is_a_decimal_string_from_zero_on(price: object) -> None:
    unit = {"model": "unit", "unit_price": price}
    assert problem_places({**DOCUMENT, "components": [{**COMPONENT, "price": unit}]}) == [
        "components[0].price.unit_price"
    ]


@pytest.mark.parametrize("per", [0, -1, "1", 1.0, True, 10**15 + 1, [], 10**30])
def test_a_price_is_for_a_whole_number_of_units(per: object) -> None:
    unit = {"model": "unit", "unit_price": "1", "per": per}
    assert problem_places({**DOCUMENT, "components": [{**COMPONENT, "price": unit}]}) == [
        "components[0].price.per"
    ]


@pytest.mark.parametrize(
    "price",
    [
        graduated(),
        graduated({"up_to": 10, "unit_price": "1"}),
        graduated({"unit_price": "1"}, {"unit_price": "2"}),
        graduated({"unit_price": "1"}, {"up_to": 10, "unit_price": "2"}),
        graduated({"up_to": 0, "unit_price": "1"}, {"unit_price": "2"}),
        graduated({"up_to": 10.5, "unit_price": "1"}, {"unit_price": "2"}),
        graduated(
            {"up_to": 10, "unit_price": "1"}, {"up_to": 10, "unit_price": "1"}, {"unit_price": "2"}
        ),
        graduated(
            {"up_to": 10, "unit_price": "1"}, {"up_to": 9, "unit_price": "1"}, {"unit_price": "2"}
        ),
        graduated({"unit_price": "1", "flat_fee": "-1"}),
        graduated({}),
    ],
)
def test_tiers_ascend_and_only_the_last_is_open(price: dict[str, Any]) -> None:
    places = problem_places({**DOCUMENT, "components": [{**COMPONENT, "price": price}]})
    assert all(place.startswith("components[0].price") for place in places)


@pytest.mark.parametrize(
    "change",
    [
        {"effective_to": "2026-11-01T00:00:00Z"},
        {"effective_to": "2026-10-01T00:00:00Z"},
        {"fallback": {"*": "input"}},
        {"fallback": {"output": "*"}},
        {"fallback": {"output": "output"}},
        {"fallback": {"output": "input", "input": "output"}},
        {"components": [COMPONENT, COMPONENT]},
        {"components": [COMPONENT, {**COMPONENT, "id": "other"}]},
    ],
)
def test_a_document_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    assert problem_places({**DOCUMENT, **change})


@pytest.mark.parametrize("value", [2026, 20261101, 1.5, True, "20261101", "1793491200"])
def test_a_time_is_never_taken_for_a_number_of_seconds(value: object) -> None:
    """`effective_from: 20261101` would otherwise begin in 1970 and reprice everything."""
    assert problem_places({**DOCUMENT, "effective_from": value}) == ["effective_from"]


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"],
)
def test_a_time_at_the_end_of_the_calendar_is_refused_or_survives_publication(
    moment: str,
) -> None:
    for change in ({"effective_from": moment}, {"effective_to": moment}):
        try:
            version = parse_tariff({**DOCUMENT, **change}, "plan.yaml")
        except InvalidFile:
            continue
        again = parse_tariff(json.loads(version.document), "plan.yaml")
        assert again.document == version.document


@pytest.mark.parametrize(
    "transitions",
    [
        [["2026-11-01T00:00:00Z", 0], ["2026-10-01T00:00:00Z", 3600]],
        [["2026-11-01T00:00:00Z", 0], ["2026-11-01T00:00:00Z", 3600]],
        [["2026-11-01T00:00:00Z", 10**30]],
        [["0001-01-01T00:00:00+10:00", 0]],
        [["2026-11-01T00:00:00Z"]],
        [["soon", 0]],
    ],
)
def test_frozen_transitions_ascend_and_stay_within_a_day(transitions: list[Any]) -> None:
    document = {
        **DOCUMENT,
        "time_zone": "Europe/Berlin",
        "time_zone_transitions": transitions,
    }
    assert problem_places(document)


def test_a_text_that_is_no_unicode_is_refused() -> None:
    match = json.loads(r'{"model": "\ud800"}')
    assert problem_places({**DOCUMENT, "components": [{**COMPONENT, "match": match}]})


@pytest.mark.parametrize("field", ["version", "effective_from", "tariff_id", "components"])
def test_a_number_of_thousands_of_digits_is_refused(field: str) -> None:
    assert problem_places({**DOCUMENT, field: 10**5000}) == [field]


def test_a_value_nested_without_end_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(50_000):
        nested = [nested]
    assert problem_places({**DOCUMENT, "version": nested}) == ["version"]


@pytest.mark.parametrize("document", [None, [], "plan", 7, True, {}, [DOCUMENT]])
def test_a_document_is_a_mapping(document: object) -> None:
    assert problem_places(document)


def test_every_problem_is_named_with_place_value_and_expectation() -> None:
    document = {**DOCUMENT, "version": 0, "currency": "usd"}
    with pytest.raises(InvalidFile) as caught:
        parse_tariff(document, "plan.yaml")
    assert str(caught.value).splitlines() == [
        "plan.yaml: version: got 0, expected greater than or equal to 1",
        "plan.yaml: currency: got 'usd', expected an ISO 4217 currency code",
    ]


def test_decimals_and_times_keep_their_text() -> None:
    text = "price: 2.50\nwhen: 2026-11-01T00:00:00Z\nday: 2026-11-01\ncount: 10\n"
    assert parse_text(text, "x") == {
        "price": "2.50",
        "when": "2026-11-01T00:00:00Z",
        "day": "2026-11-01",
        "count": 10,
    }
    assert parse_text('{"price": 2.50}', "x") == {"price": "2.50"}


@pytest.mark.parametrize("text", ["count: 010", "count: 1:30", "count: 0x10", "count: 0b11"])
def test_a_number_in_yaml_means_what_it_says_or_is_no_number(text: str) -> None:
    """YAML 1.1 reads 010 as eight and 1:30 as ninety; a price page must not."""
    assert not isinstance(parse_text(text, "x")["count"], int)


def test_yaml_may_begin_with_a_brace() -> None:
    assert parse_text("{tariff_id: plan, version: 1}", "x") == {"tariff_id": "plan", "version": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        '{"a": 1, "a": 2}',
        "a: [",
        '{"a": ',
        "a: !!python/object:os.system x",
        "? [a]\n: b",
        "\0",
        "{" * 100_000,
        "[" * 100_000,
        "a: !!int ''",
        "a: !!bool maybe",
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_a_text_that_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile):
        parse_text(text, "plan.yaml")


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="a readable UTF-8 file"):
        read_document(tmp_path / "missing.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"tariff_id: caf\xe9")
    with pytest.raises(InvalidFile, match="a readable UTF-8 file"):
        read_document(latin)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(json.dumps(DOCUMENT))
    assert read_document(file) == DOCUMENT
