"""What gateways write in their access logs: Envoy AI Gateway, Kong, APISIX.

A log line tells the status, so an error is known without a body; 499 and 0 are no errors, because the
client went away while the model may have worked on. A served call without tokens is a stream whose
usage never came. The time of use is the end of the call: its start and how long it took.

A request id that a caller can choose could make two calls one, so Envoy's and APISIX's event ids add
when the request began; Kong makes its own ids.

What a gateway guessed is not charged: Kong counts a token for every four characters of a stream whose
usage it did not see, which shows in output without any prompt.
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
_KONG_INPUT = ("prompt_tokens", "prompt_token", "input_tokens")
_KONG_OUTPUT = ("completion_tokens", "completion_token", "output_tokens")
_KONG_UNKNOWN = "UNSPECIFIED"

_APISIX_ID = ("request_id", "apisix_request_id", "x_request_id")
"""Nginx's own id goes before those that a caller may have sent."""

_MAX_DIGITS = 9
"""Of a number of a version."""

_APISIX_COUNTS_ANTHROPICS_CACHE = (3, 20)
"""The version from which Anthropic's prompt includes what was read from and written to the cache."""


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
        quantities=_kong_kinds(section.part("usage")),
        provider=_kong_name(meta, "provider_name"),
        model=_kong_name(meta, "response_model") or _kong_name(meta, "request_model"),
        operation=_operation(request.text("uri")),
        event_id=f"{request_id}/{plugin}" if request_id else "",
        occurred_at=None if began is None else began + took,
        account_id=consumer.text("custom_id", "username", "id"),
        subject=record.part("authenticated_entity").text("id"),
    )


def _kong_name(meta: Part, name: str) -> str:
    found = meta.text(name)
    return "" if found == _KONG_UNKNOWN else found


def _kong_kinds(usage: Part) -> dict[str, int]:
    """Return the disjoint kinds; nothing if nothing was counted, or only guessed.

    Kong writes 0 for what it did not count, a total beside counts among them.
    """
    if usage.most(*_KONG_OUTPUT) and not usage.most(*_KONG_INPUT):
        return {}
    counted = {name: value for name, value in usage.data.items() if value != 0}
    return token_kinds(Part(counted, usage.place))


def _fits_apisix(record: Part) -> bool:
    return isinstance(record.data.get("llm_summary"), Mapping) or (
        "llm_model" in record.data and "llm_prompt_tokens" in record.data
    )


def _accepts_apisix(record: Part) -> bool:
    return "route_id" in record.data or _fits_apisix(record)


def _read_apisix(record: Part, context: Context) -> Reading:
    """Read a log entry of an APISIX logger, or a line of an access log with its `llm_` variables."""
    if not _fits_apisix(record):
        return NO_MODEL_CALL
    response, request = record.part("response"), record.part("request")
    status = response.counted("status") if response.data else record.counted("status")
    if is_error_status(status):
        return ERROR_RESPONSE
    headers = response.part("headers")
    if (record.text("cache") or headers.text("x-ai-cache-status")).startswith("HIT"):
        return CACHE_HIT
    usage = record.part("llm_summary")
    if not usage.data:
        named = {name.removeprefix("llm_"): value for name, value in record.data.items()}
        usage = Part(named)
    began = record.scaled(_MILLISECOND, "start_time")
    took = record.scaled(_MILLISECOND, "latency") or 0
    if began is None:
        began, took = record.time("time", "@timestamp", "time_iso8601"), 0
    request_id = record.text(*_APISIX_ID) or headers.text("x-request-id")
    provider, model = record.text("provider"), usage.text("model", "request_model")
    served_by = context.provider or provider or ("anthropic" if "claude" in model else "")
    call = Call(
        quantities=disjoint(_apisix_reported(record, usage, served_by)),
        provider=provider,
        model=model,
        operation=_operation(request.text("uri") or record.text("uri")),
        event_id=_pinned(request_id, began),
        occurred_at=None if began is None else began + took,
        account_id=_apisix_consumer(record),
    )
    return (call,)


def _apisix_consumer(record: Part) -> str:
    consumer = record.data.get("consumer")
    of_object = record.part("consumer").text("username") if isinstance(consumer, Mapping) else ""
    return of_object or record.text("consumer_name")


def _apisix_reported(record: Part, usage: Part, served_by: str) -> Reported:
    """Return the counts; of Anthropic, older versions leave the cache out of prompt and total."""
    prompt, output = usage.count("prompt_tokens"), usage.count("completion_tokens")
    read = usage.count("cache_read_input_tokens")
    written = usage.count("cache_creation_input_tokens")
    total = usage.most("total_tokens") or None
    is_left_out = read + written > prompt or (
        served_by == "anthropic" and _apisix_version(record) < _APISIX_COUNTS_ANTHROPICS_CACHE
    )
    if is_left_out and total in (None, prompt + output):
        prompt, total = prompt + read + written, None
    return Reported(
        input=prompt,
        output=output,
        total=total,
        cache_read=read,
        cache_write_5m=written,
        reasoning=usage.count("reasoning_tokens"),
    )


def _apisix_version(record: Part) -> tuple[int, ...]:
    """Return the version that the record says (major, minor); the newest if it says none."""
    text = record.part("server").text("version") or record.text("version")
    parts = text.split(".")[:2]
    return (
        tuple(map(int, parts))
        if all(part.isdecimal() and len(part) <= _MAX_DIGITS for part in parts)
        else _APISIX_COUNTS_ANTHROPICS_CACHE
    )


FORMS = (
    Form("envoy", _fits_envoy, _read_envoy, _accepts_envoy),
    Form("kong", _fits_kong, _read_kong, _accepts_kong),
    Form("apisix", _fits_apisix, _read_apisix, _accepts_apisix),
)
