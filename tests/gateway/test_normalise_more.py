"""Records of the known formats in the shapes in which providers and gateways also send them."""

import json
from typing import Any

import pytest

from engine.gateway.normalise import Unusable, normalise
from tests.gateway.samples import CONTEXT, curated, more

MORE = more()
CHARGED = [sample for sample in MORE if "expected_events" in sample]
NOT_CHARGED = [sample for sample in MORE if "not_charged" in sample]
UNUSABLE = [sample for sample in MORE if "unusable" in sample]


def name(sample: dict[str, Any]) -> str:
    return f"{sample['id']} {sample['format']}"


def test_every_sample_says_where_it_is_from_and_what_is_expected_of_it() -> None:
    for sample in MORE:
        assert sample["source"]
        assert sample["licence_of_source"]
    assert len({sample["id"] for sample in MORE}) == len(MORE)
    assert len(CHARGED) + len(NOT_CHARGED) + len(UNUSABLE) == len(MORE)


@pytest.mark.parametrize("sample", CHARGED, ids=name)
def test_a_record_becomes_the_events_that_are_billed(sample: dict[str, Any]) -> None:
    events = normalise(sample["payload"], context=CONTEXT).events
    expected = sample["expected_events"]
    assert len(events) == len(expected)
    for event, wanted in zip(events, expected, strict=True):
        assert {field: event.get(field) for field in wanted} == wanted


@pytest.mark.parametrize("sample", NOT_CHARGED, ids=name)
def test_an_error_is_not_charged_however_it_is_told(sample: dict[str, Any]) -> None:
    assert normalise(sample["payload"], context=CONTEXT) == ((), sample["not_charged"])


@pytest.mark.parametrize("sample", UNUSABLE, ids=name)
def test_a_part_of_an_answer_is_named_as_such(sample: dict[str, Any]) -> None:
    with pytest.raises(Unusable) as raised:
        normalise(sample["payload"], context=CONTEXT)
    assert sample["unusable"] in str(raised.value)


@pytest.mark.parametrize("form", ["bedrock", "cohere", "mistral", "gemini", "openai_chat"])
def test_an_error_is_not_charged_where_the_format_is_named(form: str) -> None:
    body = {"message": "Too many requests"}
    assert normalise(body, form, CONTEXT) == ((), "error_response")


def test_words_that_may_be_of_anything_are_no_error() -> None:
    for body in (
        {"message": "started", "level": "info"},
        {"message": {"role": "user"}},
        {"id": "1"},
    ):
        with pytest.raises(Unusable, match="the marks of one of"):
            normalise(body, context=CONTEXT)


def test_the_log_of_an_unknown_gateway_is_not_taken_for_an_answer() -> None:
    answer = {"usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}
    assert normalise({"model": "m", "response": answer}, context=CONTEXT).events
    with pytest.raises(Unusable, match="the marks of one of"):
        normalise({"cached": True, "response": answer}, context=CONTEXT)


def litellm_with_iterations(**usage: Any) -> dict[str, Any]:
    (sample,) = [sample for sample in MORE if "with iterations" in sample["format"]]
    record: dict[str, Any] = json.loads(json.dumps(sample["payload"]))
    record["response"]["usage"] |= usage
    record |= {name: value for name, value in usage.items() if name in record}
    return record


def test_iterations_that_litellm_did_not_add_up_are_billed_beside_its_counts() -> None:
    record = litellm_with_iterations(prompt_tokens=2482, completion_tokens=166, total_tokens=2648)
    main, advisor = normalise(record, context=CONTEXT).events
    assert main["quantities"] == {"input": 2482, "output": 95, "reasoning": 71}
    assert (advisor["model"], advisor["quantities"]) == (
        "claude-fable-5",
        {"input": 2564, "output": 99},
    )


def test_iterations_that_do_not_fit_into_litellms_counts_leave_these_as_they_are() -> None:
    record = litellm_with_iterations(prompt_tokens=2000, total_tokens=2265)
    (main,) = normalise(record, context=CONTEXT).events
    assert main["quantities"] == {"input": 2000, "output": 194, "reasoning": 71}


def test_a_transcription_without_usage_is_one_unexplained_call_where_the_format_is_named() -> None:
    body = {"text": "hm", "x_groq": {"id": "req_1"}}
    (event,) = normalise(body, "openai_audio", CONTEXT).events
    assert event["quantities"] == {"unexplained": 1}


def test_a_time_with_a_zone_and_one_without_are_both_understood() -> None:
    (sample,) = [sample for sample in MORE if "times as texts" in sample["format"]]
    context = CONTEXT._replace(occurred_at="", event_id="")
    (event,) = normalise(sample["payload"], context=context).events
    assert event["occurred_at"] == "2025-01-24T09:20:46.851954Z"
    assert event["event_id"].endswith("@1737710446847371")
    zoned = {**sample["payload"], "startTime": "2025-01-24T10:20:46.847371+01:00"}
    assert normalise(zoned, context=context).events[0]["event_id"] == event["event_id"]


@pytest.mark.parametrize("error", ["-", "", "upstream was slow"])
def test_a_log_line_that_has_room_for_an_error_is_charged_by_its_status(error: str) -> None:
    (sample,) = [sample for sample in curated() if sample.name == "gw-s30"]
    (event,) = normalise({**sample.payload, "error": error}, context=CONTEXT).events
    assert event["quantities"] == {"input": 15, "output": 7}
