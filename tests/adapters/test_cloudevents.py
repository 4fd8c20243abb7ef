"""CloudEvents: three ways to send one usage event, and every way to get it wrong.

EVENT is the whole event of structured mode; the other modes are made from it.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.usage import Fields, decode_usage, encode_usage
from engine.adapters.cloudevents import Headers, decode_cloudevents, is_cloudevents
from engine.adapters.documents.usage import parse_usage
from engine.rating.errors import Refusal
from engine.rating.usage import UsageEvent, check_usage

DATA: dict[str, Any] = {
    "account_id": "acme",
    "provider": "openai",
    "model": "gpt-4o",
    "quantities": {"input": 1200, "output": 310, "pass_through_cost": "0.02"},
}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "tollbook.usage.v1",
    "source": "gateway-eu",
    "id": "req-1",
    "time": "2026-11-24T09:15:02.120000Z",
    "subject": "login-17",
    "datacontenttype": "application/json",
    "traceparent": "00-ab-cd-01",
    "data": DATA,
}
WHOLE: dict[str, Any] = {
    **DATA,
    "source": "gateway-eu",
    "event_id": "req-1",
    "occurred_at": "2026-11-24T09:15:02.120000Z",
    "subject": "login-17",
}
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def body(data: Any) -> bytes:
    return json.dumps(data).encode()


def binary(event: dict[str, Any]) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the value and headers of an event in binary mode."""
    attributes = {name: text for name, text in event.items() if name != "data"}
    content_type = attributes.pop("datacontenttype", "application/json")
    headers = [(f"ce_{name}", str(text).encode()) for name, text in attributes.items()]
    return body(event["data"]), [*headers, ("content-type", content_type.encode())]


def changed(**changes: Any) -> dict[str, Any]:
    """Return the event with changes; None takes an attribute out."""
    event = {**EVENT, **changes}
    return {name: value for name, value in event.items() if value is not None}


def decoded(value: bytes, headers: Headers = ()) -> list[Fields | Refusal]:
    """Decode a record that can be read as a whole."""
    found = decode_cloudevents(value, headers)
    assert isinstance(found, list), found
    return found


def refused(value: bytes, headers: Headers = ()) -> tuple[str, str]:
    """Return code and explanation for a record, or its only event, that must be refused."""
    found = decode_cloudevents(value, headers)
    if isinstance(found, list):
        (only,) = found
        assert isinstance(only, Refusal), only
        return only.code, only.explanation
    return found.code, found.explanation


def test_the_three_modes_carry_the_same_event() -> None:
    expected = parse_usage(WHOLE)
    assert isinstance(expected, dict)
    assert decoded(*binary(EVENT)) == [expected]
    assert decoded(body(EVENT), STRUCTURED) == [expected]
    assert decoded(body(EVENT)) == [expected]
    assert decoded(body([EVENT]), [("content-type", b"application/cloudevents-batch+json")]) == [
        expected
    ]


def test_an_event_has_one_digest_in_avro_and_in_cloudevents() -> None:
    (fields,) = decoded(*binary(EVENT))
    assert isinstance(fields, dict)
    other = decode_usage(encode_usage(fields))
    assert isinstance(other, list)
    events = [check_usage(form, frozenset()) for form in (fields, *other)]
    assert isinstance(events[0], UsageEvent)
    assert isinstance(events[1], UsageEvent)
    assert events[0].digest == events[1].digest


def test_a_structured_event_may_repeat_its_attributes_in_headers() -> None:
    headers = [*STRUCTURED, ("ce_specversion", b"1.0"), ("ce_id", b"req-1")]
    assert decoded(body(EVENT), headers) == decoded(body(EVENT))


def test_a_batch_keeps_its_good_events_when_one_is_bad() -> None:
    bad = changed(data={**DATA, "quantities": {"inputs": 1}})
    found = decoded(body([EVENT, bad, 7, changed(id="req-2")]))
    codes = [event.code if isinstance(event, Refusal) else event["event_id"] for event in found]
    assert codes == ["req-1", "unknown_kind", "invalid_cloudevent", "req-2"]


def test_what_the_data_and_the_envelope_both_say_must_agree() -> None:
    assert decoded(body(changed(data=WHOLE))) == decoded(body(EVENT))
    for name, value in {"source": "x", "event_id": "x", "subject": "x"}.items():
        code, explanation = refused(body(changed(data={**DATA, name: value})))
        assert code == "invalid_cloudevent"
        assert explanation.startswith(f"data.{name}: got 'x', expected as the envelope's ")


def test_times_agree_as_instants_and_not_as_texts() -> None:
    here = {**DATA, "occurred_at": "2026-11-24T17:15:02.12+08:00"}
    assert decoded(body(changed(data=here))) == decoded(body(EVENT))
    later = {**DATA, "occurred_at": "2026-11-24T09:15:03Z"}
    assert refused(body(changed(data=later)))[0] == "invalid_cloudevent"


def test_the_data_may_say_what_the_envelope_leaves_out() -> None:
    event = changed(time=None, subject=None, data=WHOLE)
    assert decoded(body(event)) == decoded(body(EVENT))
    assert refused(body(changed(time=None))) == (
        "missing_field",
        "occurred_at: got nothing, expected a value",
    )


def test_attributes_that_are_null_or_unknown_are_left_alone() -> None:
    event = {**EVENT, "dataschema": None, "partitionkey": "acme", "comexample": 7}
    assert decoded(body(event)) == decoded(body(EVENT))


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"specversion": None}, "invalid_cloudevent", "specversion: got null, expected a text"),
        ({"specversion": "0.3"}, "invalid_cloudevent", "specversion: got '0.3', expected 1.0"),
        ({"id": None}, "invalid_cloudevent", "id: got null, expected a text"),
        ({"id": ""}, "invalid_cloudevent", "id: got '', expected a text"),
        ({"id": 7}, "invalid_cloudevent", "id: got 7, expected a text"),
        ({"source": None}, "invalid_cloudevent", "source: got null, expected a text"),
        ({"type": None}, "invalid_cloudevent", "type: got null, expected a text"),
        ({"type": "a.b"}, "unknown_event_type", "type: got 'a.b', expected tollbook.usage.v1"),
        ({"datacontenttype": "text/xml"}, "invalid_cloudevent", "got 'text/xml', expected appl"),
        ({"data": None}, "invalid_cloudevent", "data: got null, expected a usage event in JSON"),
        ({"data": "{}"}, "invalid_cloudevent", "data: got '{}', expected a usage event in JSON"),
        ({"data": None, "data_base64": "e30="}, "invalid_cloudevent", "data: got null"),
        ({"time": "yesterday"}, "invalid_time", "time: got 'yesterday', expected an RFC 3339"),
        ({"time": 5}, "invalid_time", "time: got 5, expected an RFC 3339"),
        ({"subject": 5}, "invalid_field", "subject: got 5, expected a text"),
        ({"id": "\ud800"}, "invalid_field", r"event_id: got '\ud800', expected a text"),
        ({"data": {**DATA, "source": None}}, "invalid_cloudevent", "data.source: got null"),
    ],
)
def test_an_event_that_is_wrong_is_refused_with_place_value_and_expectation(
    changes: dict[str, Any], code: str, message: str
) -> None:
    found, explanation = refused(body(changed(**changes)))
    assert found == code
    assert message in explanation


@pytest.mark.parametrize(
    ("value", "headers", "code", "message"),
    [
        (b"{", [], "invalid_json", "expected JSON in UTF-8"),
        (b'{"id": "\xff"}', [], "invalid_json", "invalid start byte"),
        (b'{"id": "a", "id": "b"}', [], "invalid_json", "key 'id' stands twice"),
        (b'{"id": NaN}', [], "invalid_json", "NaN is no JSON number"),
        (b'{"id": ' + b"9" * 100_000 + b"}", [], "invalid_json", "Exceeds the limit"),
        (b'{"id": ' + b"[" * 100_000, [], "invalid_json", "expected JSON"),
        (b"", STRUCTURED, "invalid_json", "Expecting value"),
        (b"[]", [], "empty_batch", "got no event, expected at least one"),
        (b"7", [], "invalid_cloudevent", "event: got 7, expected an object"),
        (
            b"\xc3\x01",
            [("content-type", b"application/cloudevents+avro")],
            "invalid_cloudevent",
            "+avro",
        ),
        (
            b"\xc3\x01",
            [("ce_specversion", b"1.0"), ("content-type", b"avro")],
            "invalid_cloudevent",
            "avro",
        ),
        (b"{}", [("ce_id", b"\xff")], "invalid_cloudevent", "'ce_id': got bytes, expected UTF-8"),
        (
            b"{}",
            [("ce_id", b"a"), ("CE_ID", b"b")],
            "invalid_cloudevent",
            "'CE_ID': got it twice, expected",
        ),
        (b"{}", [("ce_specversion", None)], "invalid_cloudevent", "specversion: got '', expected"),
    ],
)
def test_a_record_that_can_not_be_read_is_refused_as_a_whole(
    value: bytes, headers: Headers, code: str, message: str
) -> None:
    found, explanation = refused(value, headers)
    assert found == code
    assert message in explanation


def test_plain_usage_without_an_envelope_is_no_cloudevent() -> None:
    code, explanation = refused(body(WHOLE))
    assert (code, explanation) == (
        "invalid_cloudevent",
        "specversion: got null, expected a text",
    )


def test_a_record_is_known_as_cloudevents_by_its_headers_or_by_being_json() -> None:
    avro = encode_usage(parse_usage(WHOLE))  # type: ignore[arg-type]  # it is fields
    assert not is_cloudevents(avro, [("traceparent", b"00-ab")])
    assert not is_cloudevents(b"", ())
    assert is_cloudevents(b" \n{", ())
    assert is_cloudevents(b"[", ())
    assert is_cloudevents(avro, [("ce_specversion", b"1.0")])
    assert is_cloudevents(avro, [("Content-Type", b"application/cloudevents+avro")])


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted({*EVENT, *WHOLE})) | st.text()
EVENTS = st.dictionaries(NAMES, ANY_JSON).map(lambda changes: {**EVENT, **changes})
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "ce_specversion", "ce_id", "ce_time", "x"]) | st.text(),
        st.sampled_from([b"1.0", b"application/cloudevents"]) | st.binary() | st.none(),
    ),
    max_size=5,
)


@given(st.binary() | EVENTS.map(body) | st.lists(EVENTS | ANY_JSON).map(body), HEADERS)
def test_any_record_is_events_and_refusals(value: bytes, headers: Headers) -> None:
    is_cloudevents(value, headers)
    found = decode_cloudevents(value, headers)
    events = [found] if isinstance(found, Refusal) else found
    for event in events:
        if not isinstance(event, Refusal):
            encode_usage(event)
            check_usage(event, frozenset())
        else:
            assert event.explanation.encode()


def test_a_void_leaves_what_was_used_to_the_event_that_it_takes_back() -> None:
    data = {"account_id": "acme", "action": "void", "corrects": "req-1"}
    (fields,) = decoded(body(changed(id="void-1", data=data)), STRUCTURED)
    assert not isinstance(fields, Refusal)
    event = check_usage(fields, frozenset())
    assert isinstance(event, UsageEvent), event
    assert (event.event_id, event.corrects, event.quantities) == ("void-1", "req-1", ())
