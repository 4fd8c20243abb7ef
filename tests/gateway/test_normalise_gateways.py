"""What gateways log of a call: who pays, which call it was and when, and what it used."""

from typing import Any

import pytest

from engine.gateway.normalise import Context, Unusable, normalise

NOTHING = Context()
ACME = Context(account_id="acme")


def event_of(record: dict[str, Any], context: Context = ACME, form: str = "auto") -> dict[str, Any]:
    (event,) = normalise(record, form, context).events
    return event


def litellm(**more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": "call-9",
        "trace_id": "trace-3",
        "call_type": "acompletion",
        "status": "success",
        "cache_hit": None,
        "custom_llm_provider": "openai",
        "model": "openai/gpt-4o",
        "startTime": 1766000068.28466,
        "endTime": 1766000070.07935,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "response_cost": 0.00022500000000000002,
        "end_user": "i-am-somebody-else",
        "request_tags": ["account:somebody-else"],
        "metadata": {
            "user_api_key_hash": "88dc28",
            "user_api_key_alias": "somebody-else",
            "user_api_key_team_id": "team-7",
            "user_api_key_user_id": "user-5",
            "requester_metadata": {"account_id": "somebody-else"},
        },
        "response": {
            "id": "chatcmpl-1",
            "service_tier": "priority",
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "total_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        },
        **more,
    }


def test_litellm_is_charged_to_the_team_of_the_key_and_to_nothing_that_a_caller_sends() -> None:
    assert event_of(litellm(), NOTHING) == {
        "account_id": "team-7",
        "source": "litellm",
        "event_id": "call-9@1766000068284660",
        "subject": "user-5",
        "occurred_at": "2025-12-17T19:34:30.079350Z",
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat",
        "service_tier": "priority",
        "quantities": {"input": 6, "cache_read": 4, "output": 20},
        "trace_id": "trace-3",
    }


@pytest.mark.parametrize(
    ("metadata", "account"),
    [
        ({"user_api_key_org_id": "org-1", "user_api_key_team_id": "team-7"}, "org-1"),
        ({"user_api_key_hash": "88dc28", "user_api_key_alias": "acme"}, "88dc28"),
    ],
)
def test_litellm_takes_the_organisation_before_the_team_and_the_hash_of_a_key_with_neither(
    metadata: dict[str, str], account: str
) -> None:
    assert event_of(litellm(metadata=metadata), NOTHING)["account_id"] == account


def test_a_call_id_that_is_used_twice_makes_two_events() -> None:
    again = litellm(startTime=1766000071.0)
    assert event_of(litellm())["event_id"] != event_of(again)["event_id"]


def test_litellm_without_a_known_key_needs_the_account_of_the_context() -> None:
    with pytest.raises(Unusable, match="account_id"):
        normalise(litellm(metadata={}), context=NOTHING)


def test_litellm_failures_and_answers_from_its_cache_are_not_charged() -> None:
    assert normalise(litellm(status="failure"), context=ACME) == ((), "error_response")
    assert normalise(litellm(cache_hit=True), context=ACME) == ((), "cache_hit_of_gateway")
    files = litellm(call_type="acreate_file", response={}, total_tokens=0, prompt_tokens=0)
    assert normalise(files, context=ACME) == ((), "no_model_call")


def test_litellm_without_usage_is_one_unexplained_call() -> None:
    stream = litellm(prompt_tokens=0, completion_tokens=0, total_tokens=0, response={}, stream=True)
    assert event_of(stream)["quantities"] == {"unexplained": 1}


def test_litellm_where_the_answer_is_redacted_uses_the_counts_at_the_top() -> None:
    redacted = litellm(response="redacted-by-litellm")
    assert event_of(redacted)["quantities"] == {"input": 10, "output": 20}


def test_litellm_totals_that_differ_are_unexplained() -> None:
    kinds = event_of(litellm(total_tokens=37))["quantities"]
    assert kinds == {"input": 6, "cache_read": 4, "output": 20, "unexplained": 7}


def test_litellm_passes_anthropics_own_usage_on() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 70,
             "cache_creation_input_tokens": 0, "service_tier": "standard"}  # fmt: skip
    record = litellm(call_type="anthropic_messages", response={"usage": usage}, total_tokens=85)
    assert event_of(record)["quantities"] == {"input": 10, "cache_read": 70, "output": 5}


@pytest.mark.parametrize(
    ("call_type", "more", "operation", "kinds"),
    [
        ("aimage_generation", {"response": {"data": [{"url": "a"}]}}, "image", {"image": 1}),
        ("atranscription", {"response": {"text": "a", "duration": 1.5}}, "audio",
         {"millisecond": 1500}),
        ("aspeech", {"response": None, "messages": "Hello"}, "audio", {"character": 5}),
        ("arerank", {"response": {"meta": {"billed_units": {"search_units": 1}}}}, "rerank",
         {"search": 1}),
        ("asearch", {"response": {}}, "search", {"search": 1}),
        ("aocr", {"response": {"usage_info": {"pages_processed": 3}}}, "ocr", {"page": 3}),
    ],
)  # fmt: skip
def test_litellm_counts_calls_that_have_no_tokens(
    call_type: str, more: dict[str, Any], operation: str, kinds: dict[str, int]
) -> None:
    none = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    event = event_of(litellm(call_type=call_type, **none, **more))
    assert (event["operation"], event["quantities"]) == (operation, kinds)


SPAN: dict[str, Any] = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "endTimeUnixNano": "1766000070079350123",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.provider.name", "value": {"stringValue": "aws.bedrock"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "nova"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 7}},
        {"key": "gen_ai.input.messages", "value": {"arrayValue": {"values": []}}},
        {"key": "account_id", "value": {"stringValue": "somebody-else"}},
    ],
}


def with_attribute(key: str, value: str) -> dict[str, Any]:
    return {
        **SPAN,
        "attributes": [*SPAN["attributes"], {"key": key, "value": {"stringValue": value}}],
    }


def test_a_span_of_a_model_call_is_known_by_its_ids_and_ends_when_it_ends() -> None:
    assert event_of(SPAN) == {
        "account_id": "acme",
        "source": "otel",
        "event_id": "5b8efff798038103d269b633813fc60c/eee19b7ec3c1b174",
        "occurred_at": "2025-12-17T19:34:30.079350Z",
        "provider": "bedrock",
        "model": "nova",
        "operation": "chat",
        "quantities": {"input": 100, "output": 7},
        "trace_id": "5b8efff798038103d269b633813fc60c",
    }


def test_an_export_of_spans_gives_an_event_for_each_model_call_that_was_served() -> None:
    agent = {**SPAN, "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100"}}]}  # fmt: skip
    plain = {**SPAN, "attributes": []}
    failed = with_attribute("error.type", "timeout")
    failed["attributes"] = [held for held in failed["attributes"] if "usage" not in held["key"]]
    answered = with_attribute("gen_ai.response.id", "chatcmpl-1")
    export = {
        "resourceSpans": [{"scopeSpans": [{"spans": [agent, plain, failed, answered, SPAN]}]}]
    }
    events = normalise(export, context=ACME).events
    assert [event["event_id"] for event in events] == [
        "chatcmpl-1",
        "5b8efff798038103d269b633813fc60c/eee19b7ec3c1b174",
    ]
    assert normalise(agent, context=ACME) == ((), "no_model_call")
    assert normalise(failed, context=ACME) == ((), "error_response")


def cloudevent(**data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": "prompt", "id": "1", "source": "shop", "data": data,
            "subject": "customer-1", "time": "2026-01-01T00:00:00Z"}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        ({"tokens": "5", "type": "output"}, {"output": 5}),
        ({"tokens": 5, "type": "cache_read"}, {"cache_read": 5}),
        ({"tokens": 5, "type": "what"}, {"unexplained": 5}),
        ({"prompt_tokens": 5, "completion_tokens": "6"}, {"input": 5, "output": 6}),
        ({"duration": "12"}, {"request": 1}),
    ],
)
def test_cloudevents_are_charged_to_their_subject(
    data: dict[str, Any], kinds: dict[str, int]
) -> None:
    event = event_of(cloudevent(**data), NOTHING)
    assert (event["account_id"], event["source"], event["event_id"]) == ("customer-1", "shop", "1")
    assert event["quantities"] == kinds


def test_usage_of_our_own_is_taken_as_it_is_but_for_the_context() -> None:
    event = event_of(cloudevent(tokens=5, type="input"), NOTHING)
    assert event_of(event, NOTHING) == event
    assert event_of(event) == {**event, "account_id": "acme"}
    with pytest.raises(Unusable, match="colour: got 'red', expected one of account_id"):
        normalise({**event, "colour": "red"}, context=ACME)
