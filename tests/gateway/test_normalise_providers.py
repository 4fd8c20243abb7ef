"""What providers say of a call, case by case: each fact is counted once, and nothing is lost."""

from typing import Any

import pytest

from engine.gateway.normalise import FORMATS, Context, Unusable, normalise
from tests.gateway.samples import CONTEXT

ACME = Context(account_id="acme")


def kinds(record: dict[str, Any], form: str = "auto") -> dict[str, Any]:
    (event,) = normalise(record, form, CONTEXT).events
    quantities: dict[str, Any] = event["quantities"]
    return quantities


def chat(**usage: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1764000000,
            "model": "gpt-4o", "usage": usage}  # fmt: skip


def message(**usage: Any) -> dict[str, Any]:
    counts = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "usage": {**counts, **usage}}  # fmt: skip


def test_a_chat_says_its_id_time_model_and_served_tier() -> None:
    body = {**chat(prompt_tokens=3, completion_tokens=2, total_tokens=5), "service_tier": "flex"}
    assert normalise(body, context=ACME).events == (
        {
            "account_id": "acme",
            "source": "openai_chat",
            "event_id": "chatcmpl-1",
            "occurred_at": "2025-11-24T16:00:00Z",
            "provider": "openai",
            "model": "gpt-4o",
            "operation": "chat",
            "service_tier": "flex",
            "quantities": {"input": 3, "output": 2},
        },
    )


def test_audio_that_came_from_the_cache_is_counted_once() -> None:
    details = {
        "cached_tokens": 60,
        "audio_tokens": 50,
        "cached_tokens_details": {"audio_tokens": 40},
    }
    body = chat(prompt_tokens=100, completion_tokens=0, prompt_tokens_details=details)
    assert kinds(body) == {
        "input": 30,
        "cache_read": 20,
        "audio_cache_read": 40,
        "audio_input": 10,
    }


def test_a_realtime_session_tells_what_of_the_cache_was_audio() -> None:
    usage = {
        "total_tokens": 253, "input_tokens": 132, "output_tokens": 121,
        "input_token_details": {
            "text_tokens": 119, "audio_tokens": 13, "image_tokens": 0, "cached_tokens": 64,
            "cached_tokens_details": {"text_tokens": 53, "audio_tokens": 11, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
    }  # fmt: skip
    response = {"object": "realtime.response", "id": "r1", "status": "completed", "usage": usage}
    assert kinds({"type": "response.done", "event_id": "e1", "response": response}) == {
        "input": 66, "cache_read": 53, "audio_cache_read": 11, "audio_input": 2,
        "output": 30, "audio_output": 91,
    }  # fmt: skip


def test_reasoning_beside_the_completion_is_explained_by_the_total() -> None:
    details = {"reasoning_tokens": 30}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": details}
    assert kinds(chat(**usage, total_tokens=45)) == {"input": 10, "output": 5, "reasoning": 30}
    usage["completion_tokens"] = 35
    assert kinds(chat(**usage, total_tokens=45)) == {"input": 10, "output": 5, "reasoning": 30}


@pytest.mark.parametrize(("total", "unexplained"), [(20, 5), (12, 3)])
def test_a_total_that_differs_is_unexplained_by_the_difference(
    total: int, unexplained: int
) -> None:
    body = chat(prompt_tokens=10, completion_tokens=5, total_tokens=total)
    assert kinds(body) == {"input": 10, "output": 5, "unexplained": unexplained}


def test_parts_beyond_their_whole_are_unexplained_and_not_charged_as_tokens() -> None:
    body = chat(prompt_tokens=10, completion_tokens=5, prompt_tokens_details={"cached_tokens": 25})
    assert kinds(body) == {"cache_read": 10, "output": 5, "unexplained": 15}


def test_cache_writes_are_told_apart_by_their_age() -> None:
    ages = {"ttl_30m_tokens": 20, "ttl_12h_tokens": 10}
    details = {"cache_write_tokens": 30, "cache_write_tokens_details": ages}
    body = {"object": "response", "id": "resp_1", "model": "gpt-5.6", "usage": {
        "input_tokens": 50, "input_tokens_details": details, "output_tokens": 1,
        "total_tokens": 51}}  # fmt: skip
    assert kinds(body) == {"input": 20, "cache_write_5m": 20, "cache_write_1h": 10, "output": 1}


def test_a_prompt_that_is_said_twice_and_differs_is_unexplained() -> None:
    body = chat(prompt_tokens=100, completion_tokens=1, total_tokens=101,
                prompt_cache_hit_tokens=60, prompt_cache_miss_tokens=30)  # fmt: skip
    assert kinds(body) == {"input": 40, "cache_read": 60, "output": 1, "unexplained": 10}


def test_a_stream_that_ended_without_usage_is_one_unexplained_call() -> None:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764000000,
             "model": "gpt-4o", "choices": [{"finish_reason": "stop"}]}  # fmt: skip
    assert kinds(chunk) == {"unexplained": 1}


@pytest.mark.parametrize(
    "more", [{"choices": [{"finish_reason": None}]}, {"choices": [{"finish_reason": "stop"}], "usage": None}]
)  # fmt: skip
def test_a_chunk_in_the_middle_of_a_stream_is_no_call(more: dict[str, Any]) -> None:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764000000, **more}
    with pytest.raises(Unusable, match="the last chunk of the stream"):
        normalise(chunk, context=CONTEXT)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "overloaded", "code": 529}},
        {"type": "error", "error": {"type": "overloaded_error"}, "request_id": "req_1"},
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}},
        {"object": "response", "id": "resp_1", "status": "failed", "error": {"code": "x"}},
        {"custom_id": "a", "response": {"status_code": 400, "body": {"error": {"code": "x"}}}},
    ],
)
def test_an_error_response_is_not_charged(body: dict[str, Any]) -> None:
    assert normalise(body, context=CONTEXT) == ((), "error_response")


def test_a_line_of_a_batch_is_served_in_the_batch_tier() -> None:
    line = {"id": "batch_req_1", "custom_id": "mine", "error": None, "response": {
        "status_code": 200, "body": chat(prompt_tokens=1, completion_tokens=1)}}  # fmt: skip
    (event,) = normalise(line, context=ACME).events
    assert (event["event_id"], event["service_tier"]) == ("chatcmpl-1", "batch")
    result = {"custom_id": "mine", "result": {"type": "succeeded", "message": message()}}
    (event,) = normalise(result, context=CONTEXT).events
    assert event["service_tier"] == "batch"


def test_searches_of_a_response_are_counted_and_opened_pages_are_not() -> None:
    output = [
        {"type": "web_search_call", "status": "completed", "action": {"type": "search"}},
        {"type": "web_search_call", "status": "completed", "action": {"type": "open_page"}},
        {"type": "web_search_call", "status": [], "action": {"type": {}}},
        {"type": "file_search_call"},
        {"type": "message"},
    ]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    body = {"object": "response", "id": "resp_1", "output": output, "usage": usage}
    assert kinds(body) == {"input": 1, "output": 1, "search": 1, "tool_call": 1}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"created": 1, "data": [{"url": "a"}, {"b64_json": "b"}]}, {"image": 2}),
        (
            {"created": 1, "data": [{"b64_json": "b"}], "usage": {
                "input_tokens": 60, "output_tokens": 200, "total_tokens": 260,
                "input_tokens_details": {"image_tokens": 50, "text_tokens": 10}}},
            {"input": 10, "image_input": 50, "image_output": 200},
        ),
        ({"text": "hm", "usage": {"type": "duration", "seconds": 9}}, {"millisecond": 9000}),
        ({"task": "transcribe", "text": "hm", "duration": 2.345}, {"millisecond": 2345}),
        (
            {"text": "hm", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 4,
             "total_tokens": 18, "input_token_details": {"audio_tokens": 12, "text_tokens": 2}}},
            {"input": 2, "audio_input": 12, "output": 4},
        ),
        (
            {"type": "speech.audio.done",
             "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
            {"input": 14, "audio_output": 101},
        ),
        (
            {"object": "list", "data": [{"embedding": []}], "model": "m",
             "usage": {"prompt_tokens": 8, "total_tokens": 8}},
            {"input": 8},
        ),
        ({"model": "voyage-3.5", "usage": {"total_tokens": 4}}, {"input": 4}),
        ({"embedding": [], "inputTextTokenCount": 8}, {"input": 8}),
        ({"inputTextTokenCount": 8, "results": [{"tokenCount": 3}]}, {"input": 8, "output": 3}),
    ],
)  # fmt: skip
def test_images_audio_and_embeddings_are_counted_as_they_are_billed(
    body: dict[str, Any], expected: dict[str, int]
) -> None:
    assert kinds(body) == expected


def test_what_openrouter_charged_is_usage_only_on_request() -> None:
    body = chat(prompt_tokens=3, completion_tokens=2, total_tokens=5, cost=9.25e-06, is_byok=False)
    assert kinds(body) == {"input": 3, "output": 2}
    asked = CONTEXT._replace(pass_through_cost=True)
    (event,) = normalise(body, context=asked).events
    assert event["quantities"] == {"input": 3, "output": 2, "pass_through_cost": "0.00000925"}


def test_anthropic_counts_the_cache_beside_its_input() -> None:
    writes = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20}
    body = message(
        cache_read_input_tokens=70,
        cache_creation_input_tokens=50,
        cache_creation=writes,
        output_tokens_details={"thinking_tokens": 2},
        server_tool_use={"web_search_requests": 3, "web_fetch_requests": 1},
        service_tier="priority",
        inference_geo="us",
    )
    (event,) = normalise(body, context=CONTEXT).events
    assert event["quantities"] == {
        "input": 10, "cache_read": 70, "cache_write_5m": 30, "cache_write_1h": 20,
        "output": 3, "reasoning": 2, "search": 3,
    }  # fmt: skip
    assert (event["service_tier"], event["region"]) == ("priority", "us")


def test_cache_writes_of_unknown_age_are_unexplained() -> None:
    writes = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 0}
    body = message(cache_creation_input_tokens=50, cache_creation=writes)
    assert kinds(body) == {"input": 10, "cache_write_5m": 30, "output": 5, "unexplained": 20}


def test_messages_of_iterations_must_add_up_to_the_top() -> None:
    parts = [{"type": "message", "input_tokens": 4, "output_tokens": 5}]
    assert kinds(message(iterations=parts))["unexplained"] == 6


def test_gemini_counts_thoughts_and_tools_beside_its_prompt_and_answer() -> None:
    body = {"modelVersion": "gemini-3-pro", "responseId": "r1", "usageMetadata": {
        "promptTokenCount": 100, "toolUsePromptTokenCount": 40, "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30, "totalTokenCount": 190, "cachedContentTokenCount": 60,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 50},
                                {"modality": "TEXT", "tokenCount": 50}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 45}],
        "trafficType": "ON_DEMAND_PRIORITY"}}  # fmt: skip
    (event,) = normalise(body, context=CONTEXT).events
    assert event["quantities"] == {
        "input": 75, "cache_read": 15, "audio_cache_read": 45, "audio_input": 5, "output": 20,
        "reasoning": 30,
    }  # fmt: skip
    assert event["service_tier"] == "priority"


def test_a_chunk_of_gemini_in_the_middle_of_a_stream_is_no_call() -> None:
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
    chunk = {"candidates": [{"content": {}}], "modelVersion": "m", "usageMetadata": counts}
    with pytest.raises(Unusable, match="the last chunk"):
        normalise(chunk, context=CONTEXT)
    last = {**chunk, "candidates": [{"finishReason": "STOP"}]}
    assert kinds(last) == {"input": 3, "output": 1}


def test_searches_of_gemini_are_billed_by_the_query_and_by_older_models_by_the_prompt() -> None:
    found = [{"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b"]}}]
    counts = {"promptTokenCount": 3, "totalTokenCount": 3}
    body = {"candidates": found, "usageMetadata": counts}
    assert kinds({**body, "modelVersion": "gemini-3-pro"}) == {"input": 3, "search": 2}
    assert kinds({**body, "modelVersion": "gemini-2.5-pro"}) == {"input": 3, "search": 1}


def test_one_amount_of_money_is_a_mark_of_openrouter() -> None:
    (event,) = normalise(
        chat(prompt_tokens=1, completion_tokens=1, cost=0.1), context=CONTEXT
    ).events
    assert event["provider"] == "openrouter"


def test_bedrock_tells_cache_writes_apart_and_takes_its_model_from_the_context() -> None:
    usage = {"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 10, "totalTokens": 72,
             "cacheWriteInputTokens": 50, "cacheDetails": [{"ttl": "1h", "inputTokens": 20},
                                                           {"ttl": "5m", "inputTokens": 30}]}  # fmt: skip
    expected = {
        "input": 5,
        "cache_read": 10,
        "cache_write_5m": 30,
        "cache_write_1h": 20,
        "output": 7,
    }
    (event,) = normalise({"usage": usage}, context=CONTEXT._replace(model="nova")).events
    assert (event["model"], event["quantities"]) == ("nova", expected)
    stream = {"metadata": {"usage": usage, "metrics": {"latencyMs": 9}}}
    (event,) = normalise(stream, context=CONTEXT).events
    assert (event["model"], event["quantities"]) == ("unknown", expected)


def test_cohere_reranking_is_billed_by_searches() -> None:
    body = {"id": "c1", "results": [], "meta": {"billed_units": {"search_units": 2}}}
    (event,) = normalise(body, context=CONTEXT).events
    assert (event["operation"], event["quantities"]) == ("rerank", {"search": 2})


def test_mistral_bills_audio_by_its_length_and_documents_by_the_page() -> None:
    heard = chat(prompt_tokens=3, completion_tokens=2, total_tokens=5, prompt_audio_seconds=7)
    assert kinds(heard) == {"input": 3, "output": 2, "millisecond": 7000}
    assert kinds({"model": "ocr", "usage_info": {"pages_processed": 4}}) == {"page": 4}


def test_a_plain_chat_is_of_the_provider_whose_format_is_named() -> None:
    body = chat(prompt_tokens=1, completion_tokens=1)
    for form in ("mistral", "deepseek", "openrouter"):
        (event,) = normalise(body, form, CONTEXT).events
        assert event["provider"] == form


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "no fields"),
        ({"hello": 1}, "the marks of one of"),
        ({**chat(prompt_tokens=1, completion_tokens=1, is_byok=True, num_cached_tokens=1)},
         "it fits mistral, openrouter: name one"),
        (chat(prompt_tokens=-1, completion_tokens=1), "usage.prompt_tokens: got -1, expected a whole"),
        (chat(prompt_tokens=1.5, completion_tokens=1), "usage.prompt_tokens: got 1.5"),
        (chat(prompt_tokens=True, completion_tokens=1), "usage.prompt_tokens: got true"),
        ({**message(), "usage": {"input_tokens": 1, "cache_creation": 3}},
         "usage.cache_creation: got 3, expected an object"),
    ],
)  # fmt: skip
def test_what_can_not_be_understood_is_named_with_its_place(
    body: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unusable) as raised:
        normalise(body, context=CONTEXT)
    assert words in str(raised.value)


@pytest.mark.parametrize("missing", ["account_id", "event_id", "occurred_at"])
def test_what_neither_the_record_nor_the_context_says_is_told(missing: str) -> None:
    body = {"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    said = {"account_id": "acme", "event_id": "1", "occurred_at": "2025-11-06T12:00:00Z"}
    del said[missing]
    with pytest.raises(Unusable, match=f"{missing}: got null"):
        normalise(body, context=Context(said.get("account_id", ""), event_id=said.get("event_id", ""),
                                        occurred_at=said.get("occurred_at", "")))  # fmt: skip


def test_a_format_that_there_is_not_is_refused_and_so_is_a_record_of_another() -> None:
    with pytest.raises(Unusable, match="form: got 'gpt'"):
        normalise({}, "gpt", CONTEXT)
    with pytest.raises(Unusable, match="a record of format anthropic"):
        normalise(chat(prompt_tokens=1, completion_tokens=1), "anthropic", CONTEXT)


def test_all_formats_are_named() -> None:
    assert FORMATS == (
        "openai_chat", "openai_responses", "openai_embedding", "openai_image", "openai_audio",
        "deepseek", "mistral", "openrouter", "anthropic", "gemini", "bedrock", "cohere",
        "litellm", "otel", "envoy", "kong", "apisix", "cloudevents", "autumn", "usage",
    )  # fmt: skip
