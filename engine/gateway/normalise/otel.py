"""OpenTelemetry GenAI: spans, or bare attributes, by the semantic conventions of `gen_ai`.

`gen_ai.usage.input_tokens` includes what came from and went to the cache, `output_tokens` includes
reasoning; the other usage attributes are parts of these. A span of an agent, a workflow or a tool sums
up or surrounds model calls that have spans of their own, so only model calls count. Who pays is never
read from a span, because applications write those.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.gateway.normalise.call import ERROR_RESPONSE, NO_MODEL_CALL, Call, Form, Reading
from engine.gateway.normalise.record import Context, Part, Unusable
from engine.gateway.normalise.tokens import Reported, disjoint

_OPERATIONS = {
    "": "chat",
    "chat": "chat",
    "generate_content": "chat",
    "text_completion": "completion",
    "embeddings": "embedding",
    "embedding": "embedding",
    "image_generation": "image",
    "transcription": "audio",
    "speech": "audio",
    "rerank": "rerank",
}
_PROVIDERS = {
    "aws.bedrock": "bedrock",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure_ai",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "vertex_ai": "vertex_ai",
    "mistral_ai": "mistral",
    "x_ai": "xai",
    "ibm.watsonx.ai": "watsonx",
    "moonshot_ai": "moonshot",
}
"""Names of the conventions, as price lists spell them."""

_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_READ = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
_WRITTEN = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
)
_REASONING = ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens")
_TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
_MODEL = ("gen_ai.response.model", "gen_ai.request.model")
_ERROR_STATUS = (2, "STATUS_CODE_ERROR", "ERROR", "Error")


def _is_gen_ai(attributes: Mapping[str, Any]) -> bool:
    return any(name.startswith("gen_ai.") for name in attributes)


def _fits(record: Part) -> bool:
    data = record.data
    if "resourceSpans" in data or "scopeSpans" in data:
        return True
    if "response_code" in data or "upstream_cluster" in data:
        return False  # an access log of Envoy
    if "attributes" in data and ("spanId" in data or "span_id" in data or "context" in data):
        return True
    return _is_gen_ai(data)


def _value(place: str, value: object) -> Any:
    """Return the value of an OTLP attribute; those that are lists or objects are not usage."""
    if not isinstance(value, Mapping):
        raise Unusable(place, value, "an object such as {'intValue': '12'}")
    for name in ("stringValue", "intValue", "doubleValue", "boolValue"):
        if name in value:
            return value[name]
    return None


def _attributes(span: Part) -> Part:
    """Return a span's attributes as an object: in OTLP they are a list of key and value."""
    held = span.data.get("attributes")
    if isinstance(held, list):
        found = {
            item.text("key"): _value(item.path("value"), item.data.get("value"))
            for item in span.parts("attributes")
        }
        return Part(found, span.path("attributes"))
    return span.part("attributes")


def _spans(record: Part) -> Iterator[tuple[Part, Part]]:
    """Yield (span, attributes) of a record: an export of many, one span, or bare attributes."""
    if record.has("resourceSpans", "scopeSpans"):
        resources = record.parts("resourceSpans") or [record]
        for resource in resources:
            for scope in resource.parts("scopeSpans"):
                for span in scope.parts("spans"):
                    yield span, _attributes(span)
    elif record.has("attributes"):
        yield record, _attributes(record)
    else:
        yield record, record


def _is_model_call(attributes: Part) -> bool:
    """Say whether a span is a model call: by its operation, in older spans by model or usage."""
    operation = attributes.text("gen_ai.operation.name")
    if not operation:
        return attributes.has(*_MODEL, *_INPUT, *_OUTPUT)
    return operation in _OPERATIONS


def _is_error(span: Part, attributes: Part) -> bool:
    status = span.data.get("status")
    code = status.get("code", status.get("status_code")) if isinstance(status, Mapping) else None
    return attributes.has("error.type") or code in _ERROR_STATUS


def _read(record: Part, context: Context) -> Reading:
    """Read the model calls among the spans of a record."""
    del context
    model_calls = [pair for pair in _spans(record) if _is_model_call(pair[1])]
    if not model_calls:
        return NO_MODEL_CALL
    calls = tuple(_call(*pair) for pair in model_calls if not _is_error(*pair))
    return calls or ERROR_RESPONSE


def _call(span: Part, attributes: Part) -> Call:
    provider = attributes.text("gen_ai.provider.name", "gen_ai.system")
    identity = span.part("context") if span.has("context") else span
    trace_id = identity.text("traceId", "trace_id")
    span_id = identity.text("spanId", "span_id")
    of_span = f"{trace_id}/{span_id}" if span_id else ""
    return Call(
        quantities=_kinds(attributes),
        provider=_PROVIDERS.get(provider, provider),
        model=attributes.text(*_MODEL),
        operation=_OPERATIONS[attributes.text("gen_ai.operation.name")],
        event_id=attributes.text("gen_ai.response.id") or of_span,
        occurred_at=_time(span),
        service_tier=attributes.text(
            "openai.response.service_tier", "gen_ai.openai.response.service_tier"
        ),
        trace_id=trace_id,
    )


def _time(span: Part) -> int | None:
    """Return when a span ended, in microseconds UTC."""
    name, value = span.find("endTimeUnixNano", "end_time_unix_nano", "startTimeUnixNano")
    if value is not None:
        return (span.counted(name) or 0) // 1_000
    return span.time("end_time", "endTime", "start_time", "timestamp")


def _kinds(attributes: Part) -> dict[str, int]:
    return disjoint(
        Reported(
            input=attributes.count(*_INPUT),
            output=attributes.count(*_OUTPUT),
            total=attributes.counted(*_TOTAL),
            cache_read=attributes.most(*_READ),
            cache_write_5m=attributes.most(*_WRITTEN),
            audio_input=attributes.count("gen_ai.usage.audio.input_tokens"),
            image_input=attributes.count("gen_ai.usage.image.input_tokens"),
            cached_audio=attributes.count("gen_ai.usage.audio.cache_read.input_tokens"),
            cached_image=attributes.count("gen_ai.usage.image.cache_read.input_tokens"),
            reasoning=attributes.most(*_REASONING),
            audio_output=attributes.count("gen_ai.usage.audio.output_tokens"),
            image_output=attributes.count("gen_ai.usage.image.output_tokens"),
        )
    )


FORMS = (Form("otel", _fits, _read, _fits),)
