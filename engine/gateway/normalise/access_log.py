"""What gateways write in their access logs: Envoy AI Gateway, Kong, APISIX.

A log line tells the status, so an error is known without a body; 499 and 0 are no errors, because the
client went away while the model may have worked on. A served call without tokens is a stream whose
usage never came. The time of use is the end of the call: its start and how long it took.

A request id that a caller can choose could make two calls one, so Envoy's and APISIX's event ids add
when the request began; Kong makes its own ids.
"""

from collections.abc import Mapping

from engine.gateway.normalise.call import (
    CACHE_HIT,
    ERROR_RESPONSE,
    NO_MODEL_CALL,
    Call,
    Form,
    Reading,
    is_error_status,
)
from engine.gateway.normalise.openai import token_kinds
from engine.gateway.normalise.record import Context, Part
from engine.gateway.normalise.tokens import Reported, disjoint

_MILLISECOND = 1_000

_ENVOY_INPUT = ("gen_ai.usage.input_tokens", "genai_tokens_input", "llm_input_token")
_ENVOY_OUTPUT = ("gen_ai.usage.output_tokens", "genai_tokens_output", "llm_output_token")
_ENVOY_TOTAL = ("gen_ai.usage.total_tokens", "genai_tokens_total", "llm_total_token")
_ENVOY_READ = (
    "gen_ai.usage.cached_input_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "genai_tokens_cached_input",
    "llm_cached_input_token",
)
_ENVOY_WRITTEN = (
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "genai_tokens_cache_creation_input",
    "llm_cache_creation_input_token",
)
_ENVOY_REASONING = (
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "genai_tokens_reasoning",
    "llm_reasoning_token",
)
_ENVOY_MODEL = (
    "gen_ai.response.model",
    "gen_ai.request.model_override",
    "genai_model_name_override",
    "gen_ai.request.model",
    "genai_model_name",
)
_ENVOY_BACKEND = ("gen_ai.provider.name", "genai_backend_name")
_APISIX_ID = ("apisix_request_id", "request_id", "x_request_id")


def _operation(path: str) -> str:
    """Return the operation that the path of a request asks for."""
    for part, operation in (
        ("embed", "embedding"),
        ("/images", "image"),
        ("/audio", "audio"),
        ("rerank", "rerank"),
    ):
        if part in path:
            return operation
    return "completion" if path.endswith("/completions") and "chat" not in path else "chat"


def _fits_envoy(record: Part) -> bool:
    names = record.data.keys()
    is_envoy = not names.isdisjoint(("response_code", "upstream_cluster", "response_flags"))
    return is_envoy and not names.isdisjoint((*_ENVOY_INPUT, *_ENVOY_OUTPUT, *_ENVOY_MODEL))


def _accepts_envoy(record: Part) -> bool:
    return "response_code" in record.data or _fits_envoy(record)


def _read_envoy(record: Part, context: Context) -> Reading:
    """Read a line of Envoy's access log, with the fields of the project's example, or its older ones."""
    del context
    if is_error_status(record.counted("response_code")):
        return ERROR_RESPONSE
    if not record.has(*_ENVOY_INPUT, *_ENVOY_OUTPUT, *_ENVOY_TOTAL, *_ENVOY_MODEL):
        return NO_MODEL_CALL
    began = record.time("start_time")
    took = record.scaled(_MILLISECOND, "duration") or 0
    request_id = record.text("x-request-id", "request_id")
    kinds = disjoint(
        Reported(
            input=record.count(*_ENVOY_INPUT),
            output=record.count(*_ENVOY_OUTPUT),
            total=record.counted(*_ENVOY_TOTAL),
            cache_read=record.count(*_ENVOY_READ),
            cache_write_5m=record.count(*_ENVOY_WRITTEN),
            reasoning=record.count(*_ENVOY_REASONING),
        )
    )
    call = Call(
        quantities=kinds,
        provider=record.text(*_ENVOY_BACKEND),
        model=record.text(*_ENVOY_MODEL),
        operation=_operation(record.text("x-envoy-origin-path", "path")),
        event_id=_pinned(request_id, began),
        occurred_at=None if began is None else began + took,
    )
    return (call,)


def _pinned(request_id: str, began: int | None) -> str:
    return f"{request_id}@{began}" if request_id and began is not None else request_id


def _kong_sections(record: Part) -> list[tuple[str, Part]]:
    """Return (plugin, its log) of the AI plugins that called a model."""
    ai = record.data.get("ai")
    if not isinstance(ai, Mapping):
        return []
    return [
        (name, record.part("ai").part(name))
        for name, section in ai.items()
        if isinstance(section, Mapping) and ("usage" in section or "meta" in section)
    ]


def _fits_kong(record: Part) -> bool:
    return bool(_kong_sections(record))


def _accepts_kong(record: Part) -> bool:
    return "latencies" in record.data or _fits_kong(record)


def _read_kong(record: Part, context: Context) -> Reading:
    """Read a log entry of Kong: one call for each AI plugin that called a model."""
    del context
    sections = _kong_sections(record)
    if not sections:
        return NO_MODEL_CALL
    if is_error_status(record.part("response").counted("status")):
        return ERROR_RESPONSE
    served = [pair for pair in sections if not _is_cache_hit(pair[1])]
    return tuple(_kong_call(record, *pair) for pair in served) or CACHE_HIT


def _is_cache_hit(section: Part) -> bool:
    return section.part("cache").text("cache_status").lower() == "hit"


def _kong_call(record: Part, plugin: str, section: Part) -> Call:
    meta = section.part("meta")
    consumer = record.part("consumer")
    request = record.part("request")
    request_id = request.text("id")
    began = record.scaled(_MILLISECOND, "started_at")
    took = record.part("latencies").scaled(_MILLISECOND, "request") or 0
    return Call(
        quantities=token_kinds(section.part("usage")),
        provider=meta.text("provider_name"),
        model=meta.text("response_model", "request_model"),
        operation=_operation(request.text("uri")),
        event_id=f"{request_id}/{plugin}" if request_id else "",
        occurred_at=None if began is None else began + took,
        account_id=consumer.text("custom_id", "username", "id"),
        subject=record.part("authenticated_entity").text("id"),
    )


def _fits_apisix(record: Part) -> bool:
    return isinstance(record.data.get("llm_summary"), Mapping) or (
        "llm_model" in record.data and "llm_prompt_tokens" in record.data
    )


def _accepts_apisix(record: Part) -> bool:
    return "route_id" in record.data or _fits_apisix(record)


def _read_apisix(record: Part, context: Context) -> Reading:
    """Read a log entry of an APISIX logger, or a line of an access log with its `llm_` variables."""
    del context
    if not _fits_apisix(record):
        return NO_MODEL_CALL
    response, request = record.part("response"), record.part("request")
    status = response.counted("status") if response.data else record.counted("status")
    if is_error_status(status):
        return ERROR_RESPONSE
    usage = record.part("llm_summary")
    if not usage.data:
        named = {name.removeprefix("llm_"): value for name, value in record.data.items()}
        usage = Part(named)
    began = record.scaled(_MILLISECOND, "start_time")
    took = record.scaled(_MILLISECOND, "latency") or 0
    if began is None:
        began, took = record.time("time", "@timestamp", "time_iso8601"), 0
    request_id = record.text(*_APISIX_ID) or response.part("headers").text("x-request-id")
    kinds = disjoint(
        Reported(
            input=usage.count("prompt_tokens"),
            output=usage.count("completion_tokens"),
            total=usage.most("total_tokens") or None,
            cache_read=usage.count("cache_read_input_tokens"),
            cache_write_5m=usage.count("cache_creation_input_tokens"),
            reasoning=usage.count("reasoning_tokens"),
        )
    )
    call = Call(
        quantities=kinds,
        model=usage.text("model", "request_model"),
        operation=_operation(request.text("uri") or record.text("uri")),
        event_id=_pinned(request_id, began),
        occurred_at=None if began is None else began + took,
        account_id=record.part("consumer").text("username") if record.has("consumer") else "",
    )
    return (call,)


FORMS = (
    Form("envoy", _fits_envoy, _read_envoy, _accepts_envoy),
    Form("kong", _fits_kong, _read_kong, _accepts_kong),
    Form("apisix", _fits_apisix, _read_apisix, _accepts_apisix),
)
