"""For any record: events that the engine takes, or Unusable; and no token is lost or made up."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.documents.usage import parse_usage
from engine.gateway.normalise import FORMATS, Normalised, Unusable, normalise
from engine.gateway.normalise.tokens import Reported, disjoint
from engine.rating.errors import Refusal
from engine.rating.usage import UsageEvent, check_usage
from tests.gateway.samples import CONTEXT, Sample, curated, inclusive, more, recorded

COUNTS = st.integers(0, 10**6)
PAYLOADS = [sample.payload for sample in (*curated(), *recorded())]
PAYLOADS += [sample["payload"] for sample in more() if "unusable" not in sample]
WITH_MODEL = [sample for sample in recorded() if {"model", "modelVersion"} & sample.payload.keys()]
BODIES = [body for body in PAYLOADS if body.keys() & {"usage", "usageMetadata"}]

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (holder, key) of every value in a record."""
    held: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        held.append((value, key))
        if isinstance(item, dict | list):
            held += places(item)
    return held


@given(payload=st.sampled_from(PAYLOADS), data=st.data())
def test_a_record_with_odd_values_gives_events_that_the_engine_takes_or_is_unusable(
    payload: dict[str, Any], data: st.DataObject
) -> None:
    record = json.loads(json.dumps(payload))
    for _ in range(data.draw(st.integers(1, 3))):
        held = places(record)
        if held:
            holder, key = data.draw(st.sampled_from(held))
            holder[key] = data.draw(ODD)
    told: list[Unusable] = []
    for form in ("auto", data.draw(st.sampled_from(FORMATS))):
        try:
            found = normalise(record, form, CONTEXT)
        except Unusable as unusable:
            told.append(unusable)
            continue
        assert bool(found.events) != bool(found.not_charged)
        for event in found.events:
            fields = parse_usage(event)
            assert not isinstance(fields, Refusal)
            assert isinstance(check_usage(fields, frozenset()), UsageEvent)
    assert all(unusable.place and unusable.expected for unusable in told)


@given(record=st.dictionaries(st.sampled_from(
    ["usage", "id", "model", "object", "specversion", "ai", "response", "type", "attributes",
     "usageMetadata", "llm_summary", "call_type", "startTime", "data", "meta", "error", "message",
     "detail", "predictions", "interaction", "promptFeedback", "usage_metadata", "candidates",
     "x_groq", "choices", "delta", "result", "custom_id", "generation_token_count", "processed_time",
     "amazon-bedrock-invocationMetrics", "inputTextTokenCount", "event_type", "status"]), ODD))  # fmt: skip
def test_any_object_at_all_is_understood_or_unusable(record: dict[str, Any]) -> None:
    for form in ("auto", *FORMATS):
        with suppress(Unusable):
            normalise(record, form, CONTEXT)


@given(st.builds(Reported, input=COUNTS, output=COUNTS, cache_read=COUNTS, cache_write_5m=COUNTS,
                 cache_write_1h=COUNTS, audio_input=COUNTS, image_input=COUNTS, cached_audio=COUNTS,
                 cached_image=COUNTS, reasoning=COUNTS, audio_output=COUNTS, image_output=COUNTS,
                 tool_input=COUNTS, unexplained=COUNTS, total=st.none()))  # fmt: skip
def test_disjoint_kinds_add_up_to_their_wholes_whatever_the_parts_claim(reported: Reported) -> None:
    kinds = disjoint(reported)
    assert all(quantity > 0 for quantity in kinds.values())
    found = inclusive(kinds)
    assert found.get("input_tokens", 0) == reported.input
    assert found.get("output_tokens", 0) == reported.output


@given(read=COUNTS, written=COUNTS, total=COUNTS)
def test_a_total_without_parts_leaves_exactly_its_difference_unexplained(
    read: int, written: int, total: int
) -> None:
    kinds = disjoint(Reported(input=read, output=written, total=total))
    assert kinds.get("unexplained", 0) == abs(total - read - written)


@given(whole=COUNTS, data=st.data())
def test_parts_that_fit_leave_nothing_unexplained(whole: int, data: st.DataObject) -> None:
    read = data.draw(st.integers(0, whole))
    written = data.draw(st.integers(0, whole - read))
    reasoning = data.draw(st.integers(0, whole))
    reported = Reported(input=whole, output=whole, cache_read=read, cache_write_1h=written,
                        reasoning=reasoning, total=2 * whole)  # fmt: skip
    kinds = disjoint(reported)
    assert "unexplained" not in kinds
    assert kinds.get("cache_read", 0) == read
    assert kinds.get("cache_write_1h", 0) == written
    assert kinds.get("reasoning", 0) == reasoning


@given(read=COUNTS, heard=COUNTS)
def test_audio_of_the_cache_is_all_of_it_at_most(read: int, heard: int) -> None:
    kinds = disjoint(Reported(input=read, cache_read=read, cached_audio=heard))
    assert kinds.get("audio_cache_read", 0) == min(read, heard)
    assert kinds.get("cache_read", 0) == read - min(read, heard)


@given(payload=st.sampled_from(PAYLOADS))
def test_normalising_twice_gives_the_same_events(payload: dict[str, Any]) -> None:
    before = json.dumps(payload)
    try:
        first = normalise(payload, context=CONTEXT)
    except Unusable:
        return
    assert normalise(payload, context=CONTEXT) == first
    assert json.dumps(payload) == before


def usage_of(record: dict[str, Any]) -> dict[str, Any]:
    usage: dict[str, Any] = record.get("usage") or record["usageMetadata"]
    return usage


def with_counts(value: Any, change: Callable[[int], Any]) -> Any:
    """Return a usage object with every count changed."""
    if isinstance(value, dict):
        return {key: with_counts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [with_counts(item, change) for item in value]
    return change(value) if type(value) is int else value


def with_usage(record: dict[str, Any], usage: Any) -> dict[str, Any]:
    return {**record, "usage" if "usage" in record else "usageMetadata": usage}


def with_unknown(value: Any) -> Any:
    """Return a record with fields that nobody knows in each of its objects."""
    if isinstance(value, list):
        return [with_unknown(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = {key: with_unknown(item) for key, item in value.items()}
    return {**known, "x_new": {"a": [1]}, "x_text": "t", "x_null": None, "x_count": None}


def normalised(record: dict[str, Any]) -> Normalised | str:
    try:
        return normalise(record, context=CONTEXT)
    except Unusable as unusable:
        return unusable.place


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:60])
def test_what_a_body_says_does_not_depend_on_how_it_spells_it(body: dict[str, Any]) -> None:
    expected = normalised(body)
    usage = usage_of(body)
    assert normalised(with_unknown(body)) == expected
    assert normalised(with_usage(body, with_counts(usage, float))) == expected
    assert normalised(with_usage(body, with_counts(usage, str))) == expected


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:60])
def test_a_count_of_zero_may_be_null(body: dict[str, Any]) -> None:
    nulls = with_usage(body, with_counts(usage_of(body), lambda count: count or None))
    assert normalised(nulls) == normalised(body)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:60])
def test_a_million_times_the_tokens_are_a_million_times_the_usage(body: dict[str, Any]) -> None:
    counted = body.keys() & {"usage", "usageMetadata", "tool_usage"}
    more_of_it = {name: with_counts(body[name], lambda count: count * 10**6) for name in counted}
    larger = normalised({**body, **more_of_it})
    expected = normalised(body)
    assert isinstance(expected, Normalised)
    assert isinstance(larger, Normalised)
    for event, small in zip(larger.events, expected.events, strict=True):
        scaled = {kind: quantity * 10**6 for kind, quantity in small["quantities"].items()}
        assert event["quantities"] == scaled


def wrapped(body: dict[str, Any]) -> dict[str, Any]:
    """Return the line of a batch's results that holds a body."""
    if "usageMetadata" in body:
        return {"key": "mine", "response": body}
    if normalise(body, context=CONTEXT).events[0]["source"] == "anthropic":
        return {"custom_id": "mine", "result": {"type": "succeeded", "message": body}}
    answer = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": "mine", "response": answer, "error": None}


@pytest.mark.parametrize("sample", WITH_MODEL, ids=lambda sample: sample.name)
def test_a_body_in_a_line_of_a_batch_is_the_same_usage_in_the_batch_tier(sample: Sample) -> None:
    expected = normalise(sample.payload, context=CONTEXT).events
    found = normalise(wrapped(sample.payload), context=CONTEXT).events
    for event, alone in zip(found, expected, strict=True):
        assert event["quantities"] == alone["quantities"]
        assert event["service_tier"] == "batch"
