"""What a Collector really sent, and spans by the names that the conventions had over time.

The recorded export is of a Collector 0.161.0 with the how-to's configuration; the calls were made with
the SDKs of OpenAI 3.57.0 and Anthropic 2.14.0 (which has spans of its own) under OpenLLMetry 0.62.4,
at the fake provider of the LiteLLM tests.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.gateway.normalise import Context, normalise

ACME = Context(account_id="acme")
_EXPORT = Path(__file__).parents[2] / "data" / "gateway" / "otel_collector_export.json"


def test_a_recorded_export_becomes_the_usage_that_the_provider_told() -> None:
    export = json.loads(_EXPORT.read_text(encoding="utf-8"))
    events = normalise(export, "auto", ACME).events
    assert [
        (event["event_id"], event["provider"], event["model"], event["operation"])
        for event in events
    ] == [
        ("chatcmpl-1", "openai", "gpt-4o", "chat"),
        ("chatcmpl-2", "openai", "gpt-4o", "chat"),
        ("chatcmpl-3", "openai", "silent", "chat"),
        ("2c88d8be8d46fc7abdc71a408c4bb28c/566e7bdaf818948e", "openai", "text-embedding-3-small",
         "embedding"),
        ("resp_4", "openai", "gpt-4o", "chat"),
        ("msg_5", "anthropic", "claude-sonnet-4-5", "chat"),
        ("msg_5", "anthropic", "claude-sonnet-4-5", "chat"),
    ]  # fmt: skip
    with_cache = {"input": 60, "cache_read": 40, "output": 20}
    with_reasoning = {"input": 60, "cache_read": 40, "output": 15, "reasoning": 5}
    assert [event["quantities"] for event in events] == [
        with_reasoning,
        with_cache,  # its instrumentation does not tell the reasoning of a stream
        {"unexplained": 1},
        {"input": 7},
        with_reasoning,
        with_cache,
        with_cache,
    ]


def attributes(**usage: int) -> dict[str, Any]:
    """Return a span's attributes with usage, `__` for a dot, and ids of the span."""
    named = {
        f"gen_ai.usage.{name.replace('__', '.')}": value
        for name, value in {"input_tokens": 100, "output_tokens": 20, **usage}.items()
    }
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", **named}
    return {"spanId": "2", "traceId": "1", "end_time": "2026-11-24T09:00:00Z", "attributes": told}


@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        ({"cache_write__input_tokens": 30}, {"input": 70, "cache_write_5m": 30, "output": 20}),
        ({"cache_creation__input_tokens": 30}, {"input": 70, "cache_write_5m": 30, "output": 20}),
        ({"cache_write_input_tokens": 30}, {"input": 70, "cache_write_5m": 30, "output": 20}),
        (
            {"cache_write__input_tokens": 0, "cache_creation__input_tokens": 30},
            {"input": 70, "cache_write_5m": 30, "output": 20},
        ),
        (
            {"image__input_tokens": 50, "image__cache_read__input_tokens": 50,
             "cache_read__input_tokens": 50},
            {"input": 50, "cache_read": 50, "output": 20},
        ),
    ],
)  # fmt: skip
def test_parts_of_the_input_are_found_under_every_name_they_had(
    usage: dict[str, int], kinds: dict[str, int]
) -> None:
    (event,) = normalise(attributes(**usage), "otel", ACME).events
    assert event["quantities"] == kinds


def test_audio_that_was_read_from_the_cache_is_not_fresh_audio_too() -> None:
    span = attributes(
        cache_read__input_tokens=40,
        audio__input_tokens=50,
        audio__cache_read__input_tokens=40,
        text__input_tokens=50,
    )
    (event,) = normalise(span, "otel", ACME).events
    kinds = event["quantities"]
    assert (kinds["audio_input"], kinds["input"], kinds["output"]) == (10, 50, 20)
    assert (kinds["audio_cache_read"], kinds.get("cache_read", 0)) == (40, 0)
    assert sum(kinds.values()) == 120


def test_a_span_without_operation_is_a_call_only_if_it_names_a_model_or_usage() -> None:
    span = attributes()
    span["attributes"] = {"gen_ai.system": "openai", "gen_ai.conversation.id": "c"}
    assert normalise(span, "otel", ACME) == ((), "no_model_call")
    span["attributes"]["gen_ai.request.model"] = "gpt-4o"
    (event,) = normalise(span, "otel", ACME).events
    assert event["quantities"] == {"unexplained": 1}
