"""Spans in the words of each instrumentation: nothing that tells tokens is lost, nor charged twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.gateway.normalise import Context, Unusable, normalise

ACME = Context(account_id="acme")
_FILE = Path(__file__).parent.parent / "data" / "gateway" / "otel.json"
SAMPLES: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
CHARGED = [sample for sample in SAMPLES if "not_charged" not in sample["expected"]]
NOT_CHARGED = [sample for sample in SAMPLES if "not_charged" in sample["expected"]]
_SUMS = {
    "all input": ("input", "cache_read", "audio_cache_read", "cache_write_5m", "audio_input"),
    "cache": ("cache_read", "audio_cache_read", "cache_write_5m"),
    "all output": ("output", "reasoning", "audio_output"),
}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 2,
}
UNTOLD = {name: value for name, value in CHAT.items() if "usage" not in name}


def name(sample: dict[str, Any]) -> str:
    return f"{sample['id']} {sample['format']}"


def span(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a span in OTLP's JSON."""
    held = [{"key": key, "value": _value(value)} for key, value in attributes.items()]
    ids = {"traceId": "1", "spanId": "2", "endTimeUnixNano": "1766000070079350123"}
    return {**ids, "attributes": held, **more}


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def quantities(record: dict[str, Any], form: str = "auto") -> list[dict[str, int]]:
    return [event["quantities"] for event in normalise(record, form, ACME).events]


@pytest.mark.parametrize("sample", CHARGED, ids=name)
def test_a_span_is_charged_in_whatever_words_it_tells_its_tokens(sample: dict[str, Any]) -> None:
    assert sample["source"]
    assert sample["licence_of_source"]
    (event,) = normalise(span(sample["attributes"]), "auto", ACME).events
    expected = dict(sample["expected"])
    for sum_name, tokens in expected.pop("tokens", {}).items():
        kinds = _SUMS.get(sum_name, (sum_name,))
        assert sum(event["quantities"].get(kind, 0) for kind in kinds) == tokens, sum_name
    assert {field: event.get(field) for field in expected} == expected


@pytest.mark.parametrize("sample", NOT_CHARGED, ids=name)
def test_a_span_around_calls_is_not_charged_a_second_time(sample: dict[str, Any]) -> None:
    found = normalise(span(sample["attributes"]), "otel", ACME)
    assert found == ((), sample["expected"]["not_charged"])


@pytest.mark.parametrize("sample", [s for s in CHARGED if "tomorrow" not in s["format"]], ids=name)
def test_bare_attributes_are_known_by_their_names(sample: dict[str, Any]) -> None:
    context = ACME._replace(event_id="call-1", occurred_at="2026-11-24T09:00:00Z")
    (bare,) = normalise(sample["attributes"], "auto", context).events
    (whole,) = normalise(span(sample["attributes"]), "auto", context).events
    assert bare["quantities"] == whole["quantities"]


@pytest.mark.parametrize(
    ("written", "provider"),
    [
        ("Anthropic", "anthropic"),
        ("OpenAI", "openai"),
        ("Cohere", "cohere"),
        ("MistralAI", "mistral"),
        ("Google", "gemini"),
        ("AWS", "bedrock"),
        ("Azure", "azure"),
        ("openai.chat", "openai"),
        ("openai.responses", "openai"),
        ("anthropic.messages", "anthropic"),
        ("google.generative-ai", "gemini"),
        ("google.vertex.chat", "vertex_ai"),
        ("vertex.anthropic.messages", "vertex_ai"),
        ("amazon-bedrock", "bedrock"),
        ("azure-openai.chat", "azure"),
        ("aws.bedrock", "bedrock"),
        ("azure.ai.openai", "azure"),
        ("somebody.else", "somebody.else"),
    ],
)
def test_a_provider_is_spelt_as_price_lists_do(written: str, provider: str) -> None:
    (event,) = normalise(span({**CHAT, "gen_ai.system": written}), "otel", ACME).events
    assert event["provider"] == provider


@pytest.mark.parametrize(
    ("resources", "scopes", "items"),
    [
        ("resourceSpans", "scopeSpans", "spans"),
        ("resourceSpans", "instrumentationLibrarySpans", "spans"),
        ("resource_spans", "scope_spans", "spans"),
        ("resource_spans", "instrumentation_library_spans", "spans"),
        ("resourceLogs", "scopeLogs", "logRecords"),
        ("resource_logs", "scope_logs", "log_records"),
    ],
)
def test_an_export_is_read_in_every_spelling_it_had(
    resources: str, scopes: str, items: str
) -> None:
    held = {
        scopes: [{"scope": {"name": "a"}, items: [span(CHAT), span({})]}, {items: [span(CHAT)]}]
    }
    export = {resources: [{"resource": {"attributes": []}, **held}, {"resource": {}}]}
    assert quantities(export) == [{"input": 9, "output": 2}] * 2
    assert quantities(held) == [{"input": 9, "output": 2}] * 2


def test_a_span_in_the_words_of_protobuf_is_the_same_span() -> None:
    held = [
        {"key": key, "value": {"int_value": str(value)} if type(value) is int else {"string_value": value}}
        for key, value in CHAT.items()
    ]  # fmt: skip
    snake = {"trace_id": "1", "span_id": "2", "end_time_unix_nano": "1766000070079350123",
             "attributes": [*held, {"key": "empty"}, {"key": "null", "value": None}]}  # fmt: skip
    assert normalise(snake, "auto", ACME) == normalise(span(CHAT), "auto", ACME)


@pytest.mark.parametrize(
    "export",
    [
        {"resourceSpans": [{"somethingSpans": [{"spans": [span(CHAT)]}]}]},
        {"resourceSpans": [{"scopeSpans": [{"somethings": [span(CHAT)]}]}]},
        {"resourceSpans": [{"scopeSpans": ["a"]}]},
    ],
)
def test_spans_in_a_place_that_is_not_known_are_refused_and_not_lost(
    export: dict[str, Any],
) -> None:
    with pytest.raises(Unusable, match="resourceSpans"):
        normalise(export, "auto", ACME)


def log(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return a log record, as the event that tells the details of a call."""
    record = span(attributes, eventName="gen_ai.client.inference.operation.details")
    record["timeUnixNano"] = record.pop("endTimeUnixNano")
    return record


def test_an_event_that_repeats_a_span_is_the_same_call() -> None:
    told = CHAT | {"gen_ai.response.id": "chatcmpl-1"}
    assert normalise(log(told), "otel", ACME) == normalise(span(told), "otel", ACME)


def test_an_event_that_tells_no_usage_is_not_a_call_beside_its_span() -> None:
    assert normalise(log(UNTOLD), "otel", ACME) == ((), "no_model_call")
    assert quantities(span(UNTOLD)) == [{"unexplained": 1}]


@pytest.mark.parametrize(
    ("attributes", "more"),
    [
        ({"error.type": "429"}, {}),
        ({}, {"status": {"code": 2}}),
        ({}, {"status": {"code": "STATUS_CODE_ERROR"}}),
        ({"error.type": "timeout", "gen_ai.usage.input_tokens": 9}, {}),
        ({"error.type": "timeout", "gen_ai.usage.output_tokens": 0}, {}),
    ],
)
def test_an_error_is_not_charged(attributes: dict[str, Any], more: dict[str, Any]) -> None:
    assert normalise(span(UNTOLD | attributes, **more), "otel", ACME) == ((), "error_response")


def test_a_response_whose_output_was_told_was_served_though_its_span_ended_in_an_error() -> None:
    broken = span(CHAT | {"error.type": "LengthFinishReasonError"}, status={"code": 2})
    assert quantities(broken) == [{"input": 9, "output": 2}]


def test_a_providers_own_words_that_are_cut_off_are_refused() -> None:
    cut = CHAT | {"ai.response.providerMetadata": '{"anthropic":{"usage":{"input_tok'}
    with pytest.raises(Unusable, match=r"providerMetadata.*a whole JSON object"):
        normalise(span(cut), "otel", ACME)
