"""Usage events as JSON: strict types, one form, and the same event as in Avro."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.usage import (
    DEFAULTS,
    NO_QUANTITIES,
    Fields,
    decode_usage,
    encode_usage,
)
from engine.adapters.documents.usage import parse_time, parse_usage, read_json, usage_json
from engine.rating.errors import Refusal
from engine.rating.money import PICO
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT
from engine.rating.usage import ACTIONS, INITIATORS, MONEY_KINDS, UsageEvent, check_usage
from tests.rating.scenario import at

EVENT: dict[str, Any] = {
    "account_id": "acme",
    "source": "gateway-eu",
    "event_id": "req-81c1/1",
    "subject": "login-17",
    "occurred_at": "2026-11-24T09:15:02.120000Z",
    "provider": "openai",
    "model": "gpt-4o",
    "quantities": {"input": 1200, "cache_read": 4096, "output": 310},
    "trace_id": "t-9",
    "initiator": "user",
}


def parsed(**changes: Any) -> Fields | Refusal:
    """Parse the example with changes; None takes a field out."""
    data = {**EVENT, **changes}
    return parse_usage({name: value for name, value in data.items() if value is not None})


def fields_of(**changes: Any) -> Fields:
    """Return the fields of the example with changes, which must be fine."""
    fields = parsed(**changes)
    assert not isinstance(fields, Refusal), fields
    return fields


def refusal_of(**changes: Any) -> tuple[str, str]:
    """Return code and explanation of the refusal that the changes must cause."""
    refusal = parsed(**changes)
    assert isinstance(refusal, Refusal), refusal
    return refusal.code, refusal.explanation


def test_the_example_becomes_the_fields_of_its_schema_with_defaults() -> None:
    assert fields_of() == {
        **DEFAULTS,
        **EVENT,
        "occurred_at": at("2026-11-24T09:15:02.120000Z"),
        "quantities": {**NO_QUANTITIES, "input": 1200, "cache_read": 4096, "output": 310},
    }


def test_no_two_events_share_what_can_be_changed() -> None:
    first, second = fields_of(), fields_of()
    for name in ("attributes", "quantities"):
        first[name]["x"] = 1
    assert second == fields_of()


def test_the_json_form_leaves_defaults_out() -> None:
    fields = fields_of(operation="chat", region="", action="record", attributes={})
    assert usage_json(fields) == EVENT


def test_an_event_has_one_digest_in_json_and_in_avro() -> None:
    fields = fields_of(attributes={"team": "search"})
    decoded = decode_usage(encode_usage(fields))
    assert isinstance(decoded, list)
    events = [check_usage(form, frozenset({"team"})) for form in (fields, *decoded)]
    assert isinstance(events[0], UsageEvent)
    assert events[0] == events[1]


def test_money_is_a_decimal_text_and_becomes_pico() -> None:
    quantities = {"pass_through_cost": "0.0125"}
    fields = fields_of(quantities=quantities)
    assert fields["quantities"]["pass_through_cost"] == PICO // 80
    assert usage_json(fields)["quantities"] == quantities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T09:15:02Z", "2026-11-24T09:15:02+00:00"),
        ("2026-11-24t09:15:02z", "2026-11-24T09:15:02+00:00"),
        ("2026-11-24T09:15:02.5+08:00", "2026-11-24T01:15:02.500000+00:00"),
        ("2026-11-24T00:15:02.000001-00:30", "2026-11-24T00:45:02.000001+00:00"),
        ("2026-11-24T09:15:02.123456000Z", "2026-11-24T09:15:02.123456+00:00"),
    ],
)
def test_a_time_is_rfc_3339_with_its_zone(text: str, expected: str) -> None:
    assert parse_time("occurred_at", text) == at(expected)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-24T09:15:02",
        "2026-11-24 09:15:02Z",
        "2026-11-24T09:15Z",
        "2026-11-24T09:15:02.1234567Z",
        "2026-11-24T09:15:02.Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T09:15:60Z",
        "2026-11-24T09:15:02+0800",
        "2026-11-24T09:15:02+24:00",
        "2026-02-30T09:15:02Z",
        "0000-01-01T00:00:00Z",
        "20261124T091502Z",
        "2026-W48-2T09:15:02Z",
        "٢٠٢٦-11-24T09:15:02Z",
        "",
        1795511702120000,
        1.5,
        True,
        [],
    ],
)
def test_what_is_no_such_time_is_refused(value: Any) -> None:
    code, explanation = refusal_of(occurred_at=value)
    assert code == "invalid_time"
    assert explanation.startswith("occurred_at: got ")


@pytest.mark.parametrize("name", ["account_id", "source", "event_id", "occurred_at", "quantities"])
def test_a_field_that_has_no_default_must_be_there(name: str) -> None:
    explanation = f"{name}: got nothing, expected a value"
    assert refusal_of(**{name: None}) == ("missing_field", explanation)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"qantities": {}}, "unknown_field", "'qantities': expected one of account_id, source"),
        ({"quantities": {"inputs": 1}}, "unknown_kind", "quantities: got 'inputs', expected one"),
        ({"quantities": {"*": 1}}, "unknown_kind", "quantities: got '*', expected one of input"),
        ({"quantities": []}, "invalid_field", "quantities: got a list, expected an object"),
        ({"quantities": {"input": True}}, "invalid_field", "quantities.input: got true"),
        ({"quantities": {"input": 1.0}}, "invalid_field", "quantities.input: got 1.0"),
        ({"quantities": {"input": "1"}}, "invalid_field", "quantities.input: got '1'"),
        ({"quantities": {"input": None}}, "invalid_field", "quantities.input: got null"),
        ({"quantities": {"input": 2**63}}, "quantity_too_large", "quantities.input: got 922337"),
        ({"quantities": {"input": 1 << 99_999}}, "quantity_too_large", "a number of 100000 bits"),
        ({"quantities": {"input": -(1 << 99_999)}}, "quantity_too_large", "of 100000 bits"),
        ({"quantities": {"pass_through_cost": 1}}, "invalid_field", "pass_through_cost: got 1, "),
        (
            {"quantities": {"pass_through_cost": 0.5}},
            "invalid_field",
            "got 0.5, expected a decimal",
        ),
        ({"quantities": {"pass_through_cost": "1e-3"}}, "invalid_field", "got '1e-3'"),
        ({"quantities": {"pass_through_cost": "0.0000000000001"}}, "invalid_field", "12 decimals"),
        ({"account_id": 7}, "invalid_field", "account_id: got 7, expected a text"),
        ({"subject": ["x"]}, "invalid_field", "subject: got a list, expected a text"),
        ({"model": "\ud800"}, "invalid_field", r"model: got '\ud800', expected a text"),
        ({"initiator": "robot"}, "invalid_field", "initiator: got 'robot', expected one of unkno"),
        ({"action": {}}, "invalid_field", "action: got an object, expected one of record, amend"),
        ({"attributes": "team"}, "invalid_field", "attributes: got 'team', expected an object"),
        ({"attributes": {"team": 1}}, "invalid_field", "attributes.'team': got 1, expected a te"),
        ({"attributes": {"\udfff": "x"}}, "invalid_field", r"got '\udfff', expected a text"),
        ({"publisher_sequence": -1}, "invalid_field", "publisher_sequence: got -1, expected"),
        ({"publisher_sequence": 2**63}, "invalid_field", "publisher_sequence: got 9223372036"),
        ({"publisher_sequence": "1"}, "invalid_field", "publisher_sequence: got '1', expected"),
        ({"trace_id": float("nan")}, "invalid_field", "trace_id: got NaN, expected a text"),
    ],
)
def test_a_field_of_another_type_is_refused_with_place_value_and_expectation(
    changes: dict[str, Any], code: str, message: str
) -> None:
    found, explanation = refusal_of(**changes)
    assert found == code
    assert message in explanation
    assert explanation.isascii()


def test_null_is_a_value_and_not_the_absence_of_a_field() -> None:
    refusal = parse_usage({**EVENT, "subject": None})
    assert refusal == Refusal("invalid_field", "subject: got null, expected a text")


@pytest.mark.parametrize("data", [None, True, 7, 1.5, "usage", [], [EVENT]])
def test_only_an_object_is_a_usage_event(data: Any) -> None:
    refusal = parse_usage(data)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_field"
    assert refusal.explanation.startswith("usage event: got ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"a": 1, "a": 2}', "key 'a' stands twice"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"-Infinity", "-Infinity is no JSON number"),
        (b'"\xff"', "invalid start byte"),
        ('{"a": 1}'.encode("utf-16"), "can't decode byte"),
        (b"[" * 100_000, "expected JSON"),
        (b"1" * 100_000, "Exceeds the limit"),
    ],
)
def test_what_is_no_json_in_utf8_is_refused(text: bytes, message: str) -> None:
    refusal = read_json(text)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_json"
    assert message in refusal.explanation


def test_a_line_may_be_text_or_bytes() -> None:
    assert read_json('{"a": "ü"}') == read_json('{"a": "ü"}'.encode()) == {"a": "ü"}


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
FIELDS = st.fixed_dictionaries(
    {
        **{name: TEXTS for name, default in DEFAULTS.items() if isinstance(default, str)},
        **dict.fromkeys(("account_id", "source", "event_id", "provider", "model"), TEXTS),
        "occurred_at": st.integers(FIRST_INSTANT, LAST_INSTANT - 1),
        "quantities": st.fixed_dictionaries(
            {
                kind: st.just(0) | st.integers(-(2**63), 2**63 - 1)
                for kind in NO_QUANTITIES
                if kind not in MONEY_KINDS
            }
            | {kind: st.just(0) | st.integers(-(10**37), 10**37) for kind in MONEY_KINDS}
        ),
        "initiator": st.sampled_from(INITIATORS),
        "action": st.sampled_from(ACTIONS),
        "attributes": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "publisher_sequence": st.integers(0, 2**63 - 1),
    }
)


@given(FIELDS)
def test_fields_survive_the_way_through_json_and_through_avro(fields: Fields) -> None:
    assert parse_usage(read_json(json.dumps(usage_json(fields)))) == fields
    assert decode_usage(encode_usage(fields)) == [fields]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted({*EVENT, *DEFAULTS})) | st.text()


@given(st.dictionaries(NAMES, ANY_JSON) | ANY_JSON)
def test_any_data_is_fields_or_a_refusal(data: Any) -> None:
    assert isinstance(parse_usage(data), dict | Refusal)


@given(st.dictionaries(NAMES, ANY_JSON))
def test_whatever_is_accepted_can_be_written_as_avro_and_be_checked(changes: Any) -> None:
    fields = parse_usage({**EVENT, **changes})
    if not isinstance(fields, Refusal):
        encode_usage(fields)
        check_usage(fields, frozenset())


VOID: dict[str, Any] = {
    "account_id": "acme",
    "source": "gateway-eu",
    "event_id": "void-1",
    "occurred_at": "2026-11-25T09:15:02Z",
    "action": "void",
    "corrects": "req-81c1/1",
}


def test_a_void_says_what_it_takes_back_and_no_more() -> None:
    fields = parse_usage(VOID)
    assert not isinstance(fields, Refusal), fields
    event = check_usage(fields, frozenset())
    assert isinstance(event, UsageEvent), event
    assert (event.corrects, event.provider, event.model, event.quantities) == (
        "req-81c1/1",
        "",
        "",
        (),
    )
    decoded = decode_usage(encode_usage(fields))
    assert isinstance(decoded, list)
    assert check_usage(decoded[0], frozenset()) == event
    assert parse_usage(usage_json(fields)) == fields


@pytest.mark.parametrize("name", ["account_id", "source", "event_id"])
def test_a_void_needs_its_identity(name: str) -> None:
    fields = parse_usage({**VOID, name: ""})
    assert not isinstance(fields, Refusal)
    refusal = check_usage(fields, frozenset())
    assert refusal == Refusal("missing_field", f"{name}: got nothing, expected a text")
    rest = {key: value for key, value in VOID.items() if key != name}
    assert parse_usage(rest) == Refusal("missing_field", f"{name}: got nothing, expected a value")


@pytest.mark.parametrize("action", ["record", "amend"])
@pytest.mark.parametrize("name", ["provider", "model", "quantities"])
def test_what_is_rated_says_what_was_used(name: str, action: str) -> None:
    changes = {"action": action, **({"corrects": "req-0"} if action == "amend" else {})}
    assert refusal_of(**changes, **{name: None}) == (
        "missing_field",
        f"{name}: got nothing, expected a value",
    )
    if name != "quantities":
        fields = fields_of(**changes, **{name: ""})
        assert check_usage(fields, frozenset()) == Refusal(
            "missing_field", f"{name}: got nothing, expected a text"
        )
