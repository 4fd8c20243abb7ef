"""What LiteLLM knows of a call, as the record that its normaliser reads.

The hooks of the proxy see an answer before LiteLLM wrote its StandardLoggingPayload, so the parts
of it that say usage are put together here. Only what the provider and LiteLLM say of usage is taken:
no content, and no names that the caller chose (end user, tags, request metadata).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from time import time
from typing import Any

from engine.gateway.normalise.litellm import spoken_characters
from engine.gateway.normalise.record import Part
from engine.rating.usage import MAX_TEXT, UNPRINTABLE

_SAID = (
    "id",
    "litellm_call_id",
    "call_type",
    "stream",
    "status",
    "cache_hit",
    "custom_llm_provider",
    "model",
    "startTime",
    "endTime",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
)
"""Of LiteLLM's payload: what says usage, as it is."""

_SAID_IN_ANSWER = (
    "usage",
    "usageMetadata",
    "meta",
    "usage_info",
    "tool_usage",
    "service_tier",
    "duration",
    "seconds",
)
_TELL_UNASKED = ("anthropic", "bedrock", "gemini", "vertex_ai")
"""Providers whose streams end with their usage without being asked for it."""

_TELL_IN_ANSWER = ("acompletion", "atext_completion", "aembedding", "aresponses")
"""Call types whose answer is in the provider's own terms when the proxy's hook sees it."""

_MESSAGES = "anthropic_messages"
_RESPONSES = ("aresponses", "responses")
_STREAMS_THAT_TELL = (*_RESPONSES, _MESSAGES)
"""Call types whose streams end with usage: the protocol, or LiteLLM on its way to it, asks for it."""

_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


def names_usage(details: Mapping[str, Any], response: Any) -> bool:
    """Say whether an answer itself says all that is charged of it: what it is and its tokens."""
    usage = _of(response, "usage")
    if _of(usage, "prompt_tokens") is None and _of(usage, "input_tokens") is None:
        return False
    if details.get("call_type") == _MESSAGES:  # others' usage, told in Anthropic's words, has gaps
        return details.get("custom_llm_provider") in _TELL_UNASKED
    return details.get("call_type") in _TELL_IN_ANSWER


def told_usage(chunks: Sequence[Any]) -> Any:
    """Return the usage that the provider put into a stream, or None: the last one counts."""
    told = (getattr(chunk, "usage", None) for chunk in reversed(chunks))
    return next((usage for usage in told if usage is not None), None)


def from_response(
    details: Mapping[str, Any], response: Any, usage: Any = None, *, is_stream: bool = False
) -> dict[str, Any]:
    """Return the record of an answer. `usage`: of a stream, None where it never came."""
    tokens = _plain(usage if is_stream else _of(response, "usage")) or {}
    hidden = _of(response, "_hidden_params") or {}
    answer = {"usage": tokens, "service_tier": _of(response, "service_tier")}
    if details.get("call_type") in _RESPONSES:
        answer |= {"tool_usage": _of(response, "tool_usage"), **_tools(response)}
    return {
        "id": _of(response, "id") or details.get("litellm_call_id"),
        "litellm_call_id": details.get("litellm_call_id"),
        "trace_id": printable(details.get("litellm_trace_id")),
        "call_type": details.get("call_type"),
        "cache_hit": bool(details.get("cache_hit") or hidden.get("cache_hit")),
        "custom_llm_provider": details.get("custom_llm_provider"),
        "model": details.get("model"),
        "startTime": _start(details),
        "endTime": time(),
        **{name: tokens.get(name, 0) for name in _TOKENS},
        "response": answer,
    }


def _of(answer: Any, name: str) -> Any:
    """Return a part of an answer, which LiteLLM has as an object or, for some routes, as JSON."""
    return answer.get(name) if isinstance(answer, dict) else getattr(answer, name, None)


def _plain(usage: Any) -> dict[str, Any] | None:
    if usage is None:
        return None
    if isinstance(usage, dict):
        return usage
    told: dict[str, Any] = usage.model_dump(exclude_none=True)
    return told


def _tools(answer: Any) -> dict[str, list[Any]]:
    """Return which tools were called, as far as it is billed, and with which models."""
    return {
        "output": [_tool_call(item) for item in _of(answer, "output") or ()],
        "tools": [
            {"type": _of(tool, "type"), "model": _of(tool, "model")}
            for tool in _of(answer, "tools") or ()
        ],
    }


def _tool_call(item: Any) -> dict[str, Any]:
    action = _of(item, "action")
    said = {"type": _of(item, "type"), "status": _of(item, "status")}
    return {**said, "action": {"type": _of(action, "type")}} if action else said


def from_log(details: Mapping[str, Any], was_told: bool | None) -> dict[str, Any]:
    """Return the record of a log event: of LiteLLM's payload what says usage.

    `was_told`: whether a hook saw the stream's usage; None if no hook saw the stream.
    """
    payload = details["standard_logging_object"]
    record = usage_part(payload)
    if details.get("stream") and not _is_told(details, was_told):
        del record["hidden_params"]
        record |= {"response": {**record["response"], "usage": None}, **dict.fromkeys(_TOKENS, 0)}
    return record


def usage_part(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload without content and without what the caller chose: it goes to the disk."""
    hidden = payload.get("hidden_params") or {}
    return {
        **{name: payload.get(name) for name in _SAID},
        "trace_id": printable(payload.get("trace_id")),
        "hidden_params": {"usage_object": hidden.get("usage_object")},
        "response": _usage_part_of_answer(payload.get("response")),
        "messages": "-" * spoken_characters(Part(payload)),  # as long as what was spoken
    }


def _usage_part_of_answer(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, Mapping):
        return {}
    said = {name: answer[name] for name in _SAID_IN_ANSWER if name in answer}
    if isinstance(answer.get("output"), list):
        said |= _tools(answer)
    if isinstance(answer.get("data"), list):  # images: it matters how many
        said["data"] = [{} for _ in answer["data"]]
    return said


def _is_told(details: Mapping[str, Any], was_told: bool | None) -> bool:
    """Say whether a stream's usage is the provider's and not LiteLLM's estimate."""
    if was_told is not None:
        return was_told
    options = details.get("stream_options") or {}
    return (
        bool(options.get("include_usage"))
        or details.get("custom_llm_provider") in _TELL_UNASKED
        or details.get("call_type") in _STREAMS_THAT_TELL
    )


def event_id_of(details: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Return a call's identity: the same in hook and log event, and not for the caller to choose.

    A caller may send a call id, even twice; the start of the call (us) and the provider's id of the
    answer tell the calls apart.
    """
    call = printable(details.get("litellm_call_id"))
    unique = f"{details.get('litellm_call_id')}\0{record.get('id')}\0{_start(details):.6f}"
    return f"{call[:128]}/{sha256(unique.encode(errors='replace')).hexdigest()[:24]}"


def printable(value: Any) -> str:
    """Return a text that a usage event may hold, of one that a caller may have chosen."""
    return UNPRINTABLE.sub("", str(value or ""))[:MAX_TEXT]


def _start(details: Mapping[str, Any]) -> float:
    started = details.get("start_time")
    return started.timestamp() if isinstance(started, datetime) else time()
