"""LiteLLM: the StandardLoggingPayload that its callbacks and loggers get for every call.

The usage is that of the answer inside (`response.usage`): LiteLLM counts cached tokens into the prompt
in every language but Anthropic's own, whose usage it passes on as it is. It also counts what Anthropic's
`iterations` bill beside the answer, as if the answer's model had done it: that is taken apart again. The
counts at the top must agree. `response_cost` is a binary float of a price list: it is ignored.

The account is what the proxy knows of the key: its organisation, else its team, else the key's hash.
The alias of a key is not taken, because users may name their keys; nor are `end_user`, tags and
request metadata, which the caller sends. The call id is a header that a caller can set too, so the
event id adds when the attempt began.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from engine.gateway.normalise.anthropic import anthropic_calls, calls_beside, is_anthropic_usage
from engine.gateway.normalise.call import (
    CACHE_HIT,
    ERROR_RESPONSE,
    NO_MODEL_CALL,
    Call,
    Form,
    Reading,
)
from engine.gateway.normalise.cohere import cohere_kinds
from engine.gateway.normalise.gemini import gemini_kinds
from engine.gateway.normalise.openai import (
    has_usage,
    image_tool_calls,
    token_kinds,
    tool_kinds,
)
from engine.gateway.normalise.record import Context, Part
from engine.rating.usage import TOKEN_KINDS

_MICROSECONDS = 1_000_000
_MILLISECONDS = 1_000
_REDACTED = "redacted-by-litellm"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TOP = ("prompt_tokens", "completion_tokens", "total_tokens")
_OPERATIONS = {
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "generate_content": "chat",
    "generate_content_stream": "chat",
    "pass_through_endpoint": "chat",
    "realtime": "chat",
    "responses_websocket": "chat",
    "create_interaction": "chat",
    "text_completion": "completion",
    "embedding": "embedding",
    "image_generation": "image",
    "image_edit": "image",
    "image_variation": "image",
    "transcription": "audio",
    "speech": "audio",
    "rerank": "rerank",
    "search": "search",
    "ocr": "ocr",
    "create_video": "video",
    "video_generation": "video",
    "video_remix": "video",
    "video_edit": "video",
    "video_extension": "video",
}
"""Call types that use a model, without the letter of their asynchronous form."""


def _fits(record: Part) -> bool:
    data = record.data
    return "call_type" in data and ("startTime" in data or "custom_llm_provider" in data)


def _operation(call_type: str) -> str:
    """Return the operation of a call type; empty if it uses no model (files, batches, agents)."""
    name = call_type.lstrip("_")
    return _OPERATIONS.get(name) or _OPERATIONS.get(name.removeprefix("a"), "")


def _response_of(record: Part) -> Part:
    """Return the answer, or nothing where logging redacts it to a text."""
    response = record.data.get("response")
    return Part(response if isinstance(response, Mapping) else {}, "response")


def _usage_of(record: Part, response: Part) -> Part:
    """Return the most detailed usage that the payload has: that of the answer, else at the top."""
    for holder, name in (
        (response, "usage"),
        (response, "usageMetadata"),
        (response, "meta"),
        (record.part("metadata"), "usage_object"),
        (record.part("hidden_params"), "usage_object"),
    ):
        if isinstance(holder.data.get(name), Mapping) and holder.data[name]:
            return holder.part(name)
    return Part({name: record.data.get(name) for name in _TOP})


def _account_of(metadata: Part) -> str:
    return metadata.text("user_api_key_org_id", "user_api_key_team_id", "user_api_key_hash")


def _event_id(record: Part) -> str:
    call_id = record.text("litellm_call_id", "id")
    began = _moment(record, "startTime")
    return f"{call_id}@{began}" if call_id and began is not None else call_id


def _moment(record: Part, *names: str) -> int | None:
    """Return a time in microseconds since 1970 UTC: seconds, or as some loggers write it, a text.

    A text without a zone is UTC, as LiteLLM's own containers are.
    """
    _, value = record.find(*names)
    if type(value) is str and value[4:5] == "-":
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return record.scaled(_MICROSECONDS, *names)
        aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return (aware - _EPOCH) // _MICROSECOND
    return record.scaled(_MICROSECONDS, *names)


def _model_of(record: Part, provider: str) -> str:
    return record.text("model").removeprefix(f"{provider}/")


def _read(record: Part, context: Context) -> Reading:
    """Read one call: an attempt that succeeded, streamed or not."""
    del context
    if record.data.get("status") == "failure":
        return ERROR_RESPONSE
    if record.data.get("cache_hit") is True:
        return CACHE_HIT
    operation = _operation(record.text("call_type"))
    response = _response_of(record)
    usage = _usage_of(record, response)
    if not operation and not _counts_tokens(record, usage):
        return NO_MODEL_CALL
    metadata = record.part("metadata")
    provider = record.text("custom_llm_provider")
    call = Call(
        quantities={},
        provider=provider,
        model=_model_of(record, provider),
        operation=operation or "chat",
        event_id=_event_id(record),
        occurred_at=_moment(record, "endTime", "startTime"),
        service_tier=_tier(record, response, usage),
        account_id=_account_of(metadata),
        subject=metadata.text("user_api_key_user_id", "user_api_key_alias"),
        trace_id=record.text("trace_id"),
    )
    calls = _calls(record, response, usage, call)
    if usage.data.get("prompt_audio_seconds"):
        return calls  # Mistral's total has tokens of audio, which is billed by its length
    return _checked(record, calls)


def _tier(record: Part, response: Part, usage: Part) -> str:
    """Return the tier that served the call; what a finished batch used comes as one payload."""
    if "batch" in record.text("call_type"):
        return "batch"
    return response.text("service_tier") or usage.text("service_tier")


def _counts_tokens(record: Part, usage: Part) -> bool:
    return has_usage(usage) and bool(record.count("total_tokens"))


def _calls(record: Part, response: Part, usage: Part, call: Call) -> tuple[Call, ...]:
    """Return the calls, by the language of the usage."""
    if is_anthropic_usage(usage):
        return anthropic_calls(usage, call)
    if "promptTokenCount" in usage.data or "total_input_tokens" in usage.data:
        return (call._replace(quantities=gemini_kinds(usage)),)
    if "billed_units" in usage.data:
        return (call._replace(quantities=cohere_kinds(usage)),)
    tokens = token_kinds(usage, image_output=call.operation == "image")
    kinds = {**tokens, **tool_kinds(response, usage)}
    if not any(kinds.values()):
        kinds = _counts(record, response, usage, call.operation)
    if usage.data.get("prompt_audio_seconds"):
        kinds["millisecond"] = usage.scaled(_MILLISECONDS, "prompt_audio_seconds") or 0
    main = call._replace(quantities=kinds)
    if usage.has("iterations"):
        return _taken_apart(main, usage)
    return (main, *image_tool_calls(response, main))


def _taken_apart(main: Call, usage: Part) -> tuple[Call, ...]:
    """Return a call without what its iterations bill beside it, and those.

    They are part of it where its output is that of all iterations, which newer LiteLLM adds up.
    """
    beside = calls_beside(usage, main)
    written = sum(part.count("output_tokens") for part in usage.parts("iterations"))
    if usage.count("completion_tokens") != written:
        return (main, *beside)
    rest = dict(main.quantities)
    for call in beside:
        for kind, quantity in call.quantities.items():
            rest[kind] = int(rest.get(kind, 0)) - int(quantity)
    if any(int(quantity) < 0 for quantity in rest.values()):
        return (main,)
    return (main._replace(quantities=rest), *beside)


def _counts(record: Part, response: Part, usage: Part, operation: str) -> dict[str, int]:
    """Return what is counted of a call that counts no tokens."""
    if operation == "image":
        data = response.data.get("data")
        return {"image": len(data) if isinstance(data, list) else 0}
    if operation == "audio":
        heard = usage.scaled(_MILLISECONDS, "seconds") or response.scaled(_MILLISECONDS, "duration")
        return {"millisecond": heard or 0, "character": 0 if heard else spoken_characters(record)}
    if operation == "video":
        made = usage.scaled(_MILLISECONDS, "duration_seconds")
        return {"millisecond": made or response.scaled(_MILLISECONDS, "seconds") or 0}
    if operation == "search":
        return {"search": 1}
    if operation == "ocr":
        return {"page": response.part("usage_info").count("pages_processed")}
    return {}


def spoken_characters(record: Part) -> int:
    """Return the characters that were spoken: of a text, or of the messages LiteLLM makes of it."""
    said = record.data.get("messages")
    if "speech" not in record.text("call_type") or not isinstance(said, str | list):
        return 0
    texts = (
        [said]
        if isinstance(said, str)
        else [part.get("content") for part in said if isinstance(part, Mapping)]
    )
    return sum(len(text) for text in texts if isinstance(text, str) and text != _REDACTED)


def _checked(record: Part, calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Add to the first call what the total at the top says beyond, or short of, the tokens found.

    The total is of all calls, or of the first alone.
    """
    total = record.counted("total_tokens")
    if not total:
        return calls
    first = calls[0]
    lost = abs(total - _tokens(first))
    if lost and len(calls) > 1:
        lost = min(lost, abs(total - sum(_tokens(call) for call in calls)))
    known = int(first.quantities.get("unexplained", 0))
    kinds = {**first.quantities, "unexplained": max(lost, known)}
    return (first._replace(quantities=kinds), *calls[1:])


def _tokens(call: Call) -> int:
    return sum(int(quantity) for kind, quantity in call.quantities.items() if kind in TOKEN_KINDS)


FORMS = (Form("litellm", _fits, _read, _fits),)
