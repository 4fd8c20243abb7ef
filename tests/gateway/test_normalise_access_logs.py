"""What gateways write in their access logs: Envoy AI Gateway, Kong, APISIX."""

from typing import Any

import pytest

from engine.gateway.normalise import Context, normalise

NOTHING = Context()
ACME = Context(account_id="acme")


def event_of(record: dict[str, Any], context: Context = ACME, form: str = "auto") -> dict[str, Any]:
    (event,) = normalise(record, form, context).events
    return event


def envoy(**more: Any) -> dict[str, Any]:
    return {
        "start_time": "2025-08-30T16:51:37.894Z",
        "duration": 1526,
        "response_code": 200,
        "x-request-id": "83b6",
        "x-envoy-origin-path": "/v1/chat/completions",
        "genai_model_name": "gpt-4o",
        "genai_model_name_override": "gpt-4o-mini",
        "genai_backend_name": "openai",
        "genai_tokens_input": "15",
        "genai_tokens_output": "7",
        "genai_tokens_total": "22",
        **more,
    }


def test_an_envoy_line_is_known_by_its_request_and_when_that_began() -> None:
    assert event_of(envoy()) == {
        "account_id": "acme",
        "source": "envoy",
        "event_id": "83b6@1756572697894000",
        "occurred_at": "2025-08-30T16:51:39.420000Z",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "operation": "chat",
        "quantities": {"input": 15, "output": 7},
    }


def test_envoy_errors_are_not_charged_and_calls_that_clients_left_are() -> None:
    none = dict.fromkeys(("genai_tokens_input", "genai_tokens_output", "genai_tokens_total"))
    assert normalise(envoy(response_code=503), context=ACME) == ((), "error_response")
    assert event_of(envoy(response_code=499))["quantities"] == {"input": 15, "output": 7}
    assert event_of(envoy(response_code=0, **none))["quantities"] == {"unexplained": 1}
    other = {"response_code": 200, "x-request-id": "83b6", "genai_tokens_input": None}
    assert normalise(other, "envoy", ACME) == ((), "no_model_call")


def kong(**section: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 28, "completion_tokens": 20, "total_tokens": 48, "cost": 0.0038}
    meta = {"request_model": "command", "provider_name": "cohere", "response_model": "command-r"}
    return {
        "started_at": 1766000068284,
        "latencies": {"request": 1500},
        "request": {"id": "abc", "uri": "/chat", "headers": {"x-account": "somebody-else"}},
        "response": {"status": 200},
        "consumer": {"id": "c-1", "username": "shop", "custom_id": "account-4"},
        "ai": {"payload": {}, "proxy": {"usage": usage, "meta": meta, **section}},
    }


def test_kong_is_charged_to_its_consumer() -> None:
    event = event_of(kong(), NOTHING)
    assert (event["account_id"], event["event_id"]) == ("account-4", "abc/proxy")
    assert event["occurred_at"] == "2025-12-17T19:34:29.784000Z"
    assert (event["provider"], event["model"]) == ("cohere", "command-r")
    assert event["quantities"] == {"input": 28, "output": 20}


def test_kong_answers_from_its_cache_and_other_requests_are_not_charged() -> None:
    hit = kong(cache={"cache_status": "Hit"})
    assert normalise(hit, context=ACME) == ((), "cache_hit_of_gateway")
    assert normalise({**kong(), "ai": None}, "kong", ACME) == ((), "no_model_call")
    failed = {**kong(), "response": {"status": 500}}
    assert normalise(failed, context=ACME) == ((), "error_response")


def kong_usage(**usage: Any) -> dict[str, int]:
    kinds: dict[str, int] = event_of(kong(usage=usage))["quantities"]
    return kinds


def test_kong_without_usage_or_with_its_guess_of_a_stream_is_one_unexplained_call() -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert kong_usage(**nothing) == {"unexplained": 1}
    assert kong_usage(**{**nothing, "completion_tokens": 7}) == {"unexplained": 1}
    guess = {"prompt_tokens": 0, "completion_tokens": 7, "total_tokens": 7}
    assert kong_usage(**guess) == {"unexplained": 1}
    assert kong_usage(prompt_token=0, completion_token=7, total_tokens=7) == {"unexplained": 1}


def test_kong_writes_0_for_what_it_did_not_count() -> None:
    assert kong_usage(prompt_tokens=28, completion_tokens=20, total_tokens=0) == {
        "input": 28,
        "output": 20,
    }
    assert kong_usage(prompt_tokens=8, completion_tokens=0, total_tokens=8) == {"input": 8}
    assert kong_usage(
        prompt_tokens=0, completion_tokens=0, input_tokens=9, output_tokens=4, total_tokens=13
    ) == {"input": 9, "output": 4}
    assert kong_usage(prompt_tokens=28, completion_tokens=20, total_tokens=50)["unexplained"] == 2


def test_kong_enterprise_tells_cached_and_reasoning_tokens() -> None:
    kinds = kong_usage(
        prompt_tokens=1200,
        prompt_tokens_details={"cached_tokens": 1024, "audio_tokens": 0},
        completion_tokens=85,
        completion_tokens_details={"reasoning_tokens": 64, "rejected_prediction_tokens": 0},
        total_tokens=1285,
        time_per_token=30.142857142857,
        cost=0,
    )
    assert kinds == {"input": 176, "cache_read": 1024, "output": 21, "reasoning": 64}


def test_kong_names_no_model_and_no_provider_where_it_knows_none() -> None:
    unknown = dict.fromkeys(("provider_name", "request_model", "response_model"), "UNSPECIFIED")
    event = event_of(kong(meta=unknown))
    assert (event["provider"], event["model"]) == ("unknown", "unknown")
    asked = event_of(kong(meta={**unknown, "request_model": "gpt-4o"}))
    assert asked["model"] == "gpt-4o"


def test_kong_counts_each_plugin_that_called_a_model() -> None:
    record = kong()
    record["ai"]["ai-request-transformer"] = record["ai"]["proxy"]
    events = normalise(record, context=ACME).events
    assert [event["event_id"] for event in events] == ["abc/proxy", "abc/ai-request-transformer"]
    given = normalise(record, context=ACME._replace(event_id="mine")).events
    assert [event["event_id"] for event in given] == ["mine", "mine/1"]


def apisix(**summary: Any) -> dict[str, Any]:
    usage = {"model": "claude", "prompt_tokens": "10", "completion_tokens": 5, **summary}
    return {
        "start_time": 1766000068284,
        "latency": 1500.5,
        "route_id": "1",
        "apisix_request_id": "r-1",
        "consumer": {"username": "shop"},
        "request": {"uri": "/v1/messages"},
        "response": {"status": 200},
        "llm_summary": usage,
    }


def test_apisix_is_charged_to_its_consumer() -> None:
    event = event_of(apisix(end_user_id="somebody-else"), NOTHING)
    assert event["account_id"] == "shop"
    assert event["event_id"] == "r-1@1766000068284000"
    assert event["quantities"] == {"input": 10, "output": 5}
    assert "subject" not in event


LOG_FORMAT: dict[str, Any] = {
    "request_id": "nginx-1",
    "apisix_request_id": "chosen-by-the-caller",
    "consumer_name": "shop",
    "provider": "openai",
    "uri": "/v1/embeddings",
    "status": "200",
    "start_time": 1766000068284,
    "latency": 1500.5,
    "version": "3.19.0",
    "route_id": "1",
    "llm_summary": {"model": "gpt-4o", "prompt_tokens": 12, "completion_tokens": 3},
}


def test_an_apisix_log_format_says_the_same_in_fields_of_its_own() -> None:
    assert event_of(LOG_FORMAT, NOTHING) == {
        "account_id": "shop",
        "source": "apisix",
        "event_id": "nginx-1@1766000068284000",
        "occurred_at": "2025-12-17T19:34:29.784500Z",
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "embedding",
        "quantities": {"input": 12, "output": 3},
    }
    context = NOTHING._replace(provider="azure")
    assert event_of(LOG_FORMAT, context)["provider"] == "azure"


def test_apisix_answers_from_its_cache_and_failures_are_not_charged() -> None:
    hit = ((), "cache_hit_of_gateway")
    assert normalise({**LOG_FORMAT, "cache": "HIT-L1"}, context=NOTHING) == hit
    full = apisix()
    full["response"]["headers"] = {"x-ai-cache-status": "HIT-L2"}
    assert normalise(full, context=NOTHING) == hit
    assert event_of({**LOG_FORMAT, "cache": "MISS"})["quantities"] == {"input": 12, "output": 3}
    assert normalise({**LOG_FORMAT, "status": "429"}, context=ACME) == ((), "error_response")


@pytest.mark.parametrize(
    ("version", "provider", "prompt", "kinds"),
    [
        ("3.19.1", "anthropic", 100, {"input": 100, "cache_read": 70, "cache_write_5m": 20}),
        ("3.20.0", "anthropic", 100, {"input": 10, "cache_read": 70, "cache_write_5m": 20}),
        ("3.19.0", "openai", 100, {"input": 10, "cache_read": 70, "cache_write_5m": 20}),
        ("", "anthropic", 100, {"input": 10, "cache_read": 70, "cache_write_5m": 20}),
        ("dev", "anthropic", 100, {"input": 10, "cache_read": 70, "cache_write_5m": 20}),
        ("3.20.0", "openai", 10, {"input": 10, "cache_read": 70, "cache_write_5m": 20}),
        ("3.18.0", "", 100, {"input": 100, "cache_read": 70, "cache_write_5m": 20}),
    ],
)
def test_apisix_counts_anthropics_cache_beside_the_prompt_through_3_19_and_within_it_later(
    version: str, provider: str, prompt: int, kinds: dict[str, int]
) -> None:
    cached = {"cache_read_input_tokens": 70, "cache_creation_input_tokens": 20}
    record = apisix(prompt_tokens=prompt, total_tokens=prompt + 5, **cached)
    record["server"] = {"version": version}
    assert event_of({**record, "provider": provider})["quantities"] == {**kinds, "output": 5}


def test_apisix_totals_that_nothing_explains_stay_unexplained() -> None:
    record = {**apisix(total_tokens=40), "server": {"version": "3.18.0"}, "provider": "anthropic"}
    assert event_of(record)["quantities"] == {"input": 10, "output": 5, "unexplained": 25}


def test_apisix_totals_explain_that_the_cache_stands_beside_the_prompt() -> None:
    cached = {"cache_read_input_tokens": 70, "cache_creation_input_tokens": 20}
    kinds = event_of(apisix(**cached, total_tokens=105))["quantities"]
    assert kinds == {"input": 10, "cache_read": 70, "cache_write_5m": 20, "output": 5}


def test_apisix_variables_in_an_access_log_are_read_too() -> None:
    line = {"llm_model": "gpt-4o", "llm_prompt_tokens": "12", "llm_completion_tokens": "3",
            "request_id": "r-2", "status": "200", "time_iso8601": "2025-12-17T19:34:28+00:00"}  # fmt: skip
    assert event_of(line)["quantities"] == {"input": 12, "output": 3}
