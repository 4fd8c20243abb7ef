"""OpenTelemetry GenAI: spans, log records or bare attributes that tell of model calls.

`gen_ai.usage.input_tokens` includes what came from and went to the cache, `output_tokens` includes
reasoning; the other usage attributes are parts of these. Other vocabularies say the same under other
names (`otel_names`). A span of an agent, a workflow or a tool sums up or surrounds model calls that have
spans of their own, so only model calls count; a log record (the event that repeats a span) counts only
if it tells usage. Who pays is never read from a span, because applications write those.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engine.adapters.documents.usage import read_json
from engine.gateway.normalise import otel_names as names
from engine.gateway.normalise.call import ERROR_RESPONSE, NO_MODEL_CALL, Call, Form, Reading
from engine.gateway.normalise.record import Context, Part, Unusable
from engine.gateway.normalise.tokens import Reported, disjoint

_EXPORTS = (
    (
        ("resourceSpans", "resource_spans"),
        (
            "scopeSpans",
            "scope_spans",
            "instrumentationLibrarySpans",
            "instrumentation_library_spans",
        ),
        ("spans",),
    ),
    (
        ("resourceLogs", "resource_logs"),
        (
            "scopeLogs",
            "scope_logs",
            "instrumentationLibraryLogs",
            "instrumentation_library_logs",
        ),
        ("logRecords", "log_records", "logs"),
    ),
)
"""The levels of an OTLP document, in its JSON (also before 0.15) and as protobuf spells them."""

_DOCUMENT = tuple(name for levels in _EXPORTS for level in levels[:2] for name in level)
_VALUES = (
    "stringValue",
    "intValue",
    "doubleValue",
    "boolValue",
    "string_value",
    "int_value",
    "double_value",
    "bool_value",
)
_END = ("endTimeUnixNano", "end_time_unix_nano")
_LOGGED = (
    "timeUnixNano",
    "time_unix_nano",
    "observedTimeUnixNano",
    "observed_time_unix_nano",
)
_BEGIN = ("startTimeUnixNano", "start_time_unix_nano")
_ERROR_STATUS = (2, "STATUS_CODE_ERROR", "ERROR", "Error")

_METADATA = "ai.response.providerMetadata"
_TOLD_APART = "ai.usage.inputTokenDetails."
_THOUGHTS_BESIDE = "gen_ai.usage.experimental.reasoning_tokens"
"""Google's ADK before 2.3: what its `output_tokens` leaves out."""


def is_export(data: Mapping[str, Any]) -> bool:
    """Say whether a record is an OTLP document of spans or log records."""
    return any(name in data for name in _DOCUMENT)


def exported(document: Part) -> Iterator[Part]:
    """Yield the spans and log records of an OTLP document. Unusable if it has others in their place."""
    for resource_names, scope_names, item_names in _EXPORTS:
        for resource in _children(document, resource_names):
            _refuse_others(resource, scope_names)
            yield from _of_scopes(resource, scope_names, item_names)
        yield from _of_scopes(document, scope_names, item_names)


def _of_scopes(
    part: Part, scope_names: tuple[str, ...], item_names: tuple[str, ...]
) -> Iterator[Part]:
    for scope in _children(part, scope_names):
        _refuse_others(scope, item_names)
        yield from _children(scope, item_names)


def _children(part: Part, spellings: tuple[str, ...]) -> list[Part]:
    return [child for spelling in spellings for child in part.parts(spelling)]


def _refuse_others(part: Part, spellings: tuple[str, ...]) -> None:
    """Raise Unusable for a list of an unknown name where spans are expected: they would be lost."""
    if not part.has(*spellings):
        for name, value in part.data.items():
            if isinstance(value, list) and value:
                raise Unusable(part.path(name), value, f"the name {spellings[0]}")


def _tells_usage(attributes: Part) -> bool:
    return any(
        name.startswith(names.USAGE_PREFIXES) and not name.endswith("cost")
        for name, value in attributes.data.items()
        if value
    )


def _fits(record: Part) -> bool:
    data = record.data
    if is_export(data):
        return True
    if "response_code" in data or "upstream_cluster" in data:
        return False  # an access log of Envoy
    if "attributes" in data and ("spanId" in data or "span_id" in data or "context" in data):
        return True
    return any(name.startswith(names.MARKS) for name in data)


def _value(place: str, value: object) -> Any:
    """Return the value of an OTLP attribute; those that are lists or objects are not usage."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Unusable(place, value, "an object such as {'intValue': '12'}")
    for name in _VALUES:
        if name in value:
            return value[name]
    return None


def _attributes(item: Part) -> Part:
    """Return a span's attributes as an object: in OTLP they are a list of key and value."""
    held = item.data.get("attributes")
    if isinstance(held, list):
        found = {
            attribute.text("key"): _value(attribute.path("value"), attribute.data.get("value"))
            for attribute in item.parts("attributes")
        }
        return Part(found, item.path("attributes"))
    return item.part("attributes")


def _items(record: Part) -> Iterator[tuple[Part, Part]]:
    """Yield (item, attributes) of a record: an export of many, one of them, or bare attributes."""
    if is_export(record.data):
        for item in exported(record):
            yield item, _attributes(item)
    elif record.has("attributes"):
        yield record, _attributes(record)
    else:
        yield record, record


class _Meant(NamedTuple):
    """What an item is: an operation of ours, or the name of one that is not known."""

    operation: str
    is_known: bool = True


def _meant(item: Part, attributes: Part) -> _Meant | None:
    """Return what a model call did; None if the item is none.

    The first name that is known decides. Where nothing is said, as in older spans, a model or usage
    makes it a chat; where only names that are not known are, usage makes it a call of that name.
    """
    tells_usage = _tells_usage(attributes)
    if item.has(*_LOGGED, "observed_timestamp") and not tells_usage:
        return None
    unknown = ""
    for name in names.OPERATION:
        said = attributes.text(name)
        key = said.lower()
        found = names.OPERATIONS.get(key, names.OPERATIONS.get(key.removeprefix("a")))
        if found is not None:
            return None if found == names.SURROUNDS else _Meant(found)
        if key not in names.NO_OPERATION:
            unknown = unknown or said
    if unknown:
        return _Meant(unknown, is_known=False) if tells_usage else None
    return _Meant("chat") if tells_usage or attributes.has(*names.MODEL) else None


def _is_error(item: Part, attributes: Part) -> bool:
    """Say whether nothing was served. A response that told its output was, whatever broke later."""
    status = item.data.get("status")
    code = status.get("code", status.get("status_code")) if isinstance(status, Mapping) else None
    is_failed = attributes.has("error.type") or code in _ERROR_STATUS
    return is_failed and not attributes.most(*names.OUTPUT)


def _read(record: Part, context: Context) -> Reading:
    """Read the model calls among the spans of a record."""
    del context
    model_calls = [
        (item, attributes, meant)
        for item, attributes in _items(record)
        if (meant := _meant(item, attributes))
    ]
    if not model_calls:
        return NO_MODEL_CALL
    calls = tuple(_call(*found) for found in model_calls if not _is_error(found[0], found[1]))
    return calls or ERROR_RESPONSE


def _call(item: Part, attributes: Part, meant: _Meant) -> Call:
    identity = item.part("context") if item.has("context") else item
    trace_id = identity.text("traceId", "trace_id")
    span_id = identity.text("spanId", "span_id")
    of_span = f"{trace_id}/{span_id}" if span_id else ""
    kinds = disjoint(_reported(attributes))
    return Call(
        quantities=kinds if meant.is_known else {"unexplained": sum(kinds.values())},
        provider=names.provider_named(attributes.text(*names.PROVIDER)),
        model=attributes.text(*names.MODEL),
        operation=meant.operation,
        event_id=attributes.text(*names.RESPONSE_ID) or of_span,
        occurred_at=_time(item),
        service_tier=attributes.text(*names.SERVICE_TIER),
        trace_id=trace_id,
    )


def _time(item: Part) -> int | None:
    """Return when a span ended or something was logged, in microseconds UTC."""
    name, value = item.find(*_END, *_LOGGED, *_BEGIN)
    if value is not None:
        return (item.counted(name) or 0) // 1_000
    return item.time("end_time", "endTime", "start_time", "timestamp")


def _reported(attributes: Part) -> Reported:
    count, most = attributes.count, attributes.most
    total_name, total = attributes.find(*names.TOTAL)
    beside = most(_THOUGHTS_BESIDE) if not most(*names.REASONING) else 0
    told = Reported(
        input=most(*names.INPUT),
        output=most(*names.OUTPUT) + beside,
        total=None if total is None else attributes.count(total_name) + beside,
        cache_read=most(*names.CACHE_READ),
        cache_write_5m=most(*names.CACHE_WRITTEN),
        audio_input=most(*names.AUDIO_INPUT),
        image_input=count("gen_ai.usage.image.input_tokens"),
        cached_audio=most(*names.CACHED_AUDIO),
        cached_image=count("gen_ai.usage.image.cache_read.input_tokens"),
        reasoning=most(*names.REASONING) + beside,
        audio_output=most(*names.AUDIO_OUTPUT),
        image_output=count("gen_ai.usage.image.output_tokens"),
    )
    return _with_anthropics_cache(attributes, told)


def _with_anthropics_cache(attributes: Part, told: Reported) -> Reported:
    """Add what only the provider's own words say, which spans of Vercel's AI SDK have as a JSON text.

    Before version 6, Anthropic's input leaves out the cache, and what was written to it is told nowhere
    else. Nothing is added where the SDK tells the parts of the input (6 and later), or where the two
    show that it includes the cache. The age of what was written stands only there in all versions.
    """
    text = attributes.data.get(_METADATA)
    if not isinstance(text, str) or '"anthropic"' not in text:
        return told
    metadata = read_json(text)
    if not isinstance(metadata, Mapping):
        raise Unusable(attributes.path(_METADATA), text, "a whole JSON object")
    own = Part(metadata, attributes.path(_METADATA)).part("anthropic")
    usage = own.part("usage")
    read = (
        told.cache_read
        or usage.count("cache_read_input_tokens")
        or own.count("cacheReadInputTokens")
    )
    written = told.cache_write_5m or own.count("cacheCreationInputTokens")
    written = written or usage.count("cache_creation_input_tokens")
    long = min(usage.part("cache_creation").count("ephemeral_1h_input_tokens"), written)
    is_whole = told.input == usage.count("input_tokens") + read + written or any(
        name.startswith(_TOLD_APART) for name in attributes.data
    )
    beside = 0 if is_whole else read + written
    return told._replace(
        input=told.input + beside,
        total=None if told.total is None else told.total + beside,
        cache_read=read,
        cache_write_5m=written - long,
        cache_write_1h=long,
    )


FORMS = (Form("otel", _fits, _read, _fits),)
