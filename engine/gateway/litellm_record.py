"""What LiteLLM knows of a call, as the record that its normaliser reads.

The hooks of the proxy see an answer before LiteLLM wrote its StandardLoggingPayload, so the parts
of it that say usage are put together here. Only what the provider and LiteLLM say is taken; names
that the caller chose (end user, tags, request metadata) stay out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from time import time
from typing import Any

from engine.rating.usage import MAX_TEXT, UNPRINTABLE

_CHOSEN_BY_CALLER = ("metadata", "end_user", "request_tags", "user_agent")
_TELL_UNASKED = ("anthropic", "bedrock", "gemini", "vertex_ai")
"""Providers whose streams end with their usage without being asked for it."""

_TELL_IN_ANSWER = ("acompletion", "atext_completion", "aembedding", "aresponses")
"""Call types whose answer is in the provider's own terms when the proxy's hook sees it."""

_MESSAGES = "anthropic_messages"
_STREAMS_THAT_TELL = ("aresponses", "responses", _MESSAGES)
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
    tokens = _plain(usage if is_stream else _of(response, "usage"))
    hidden = _of(response, "_hidden_params") or {}
    identity = _of(response, "id")
    return {
        "id": identity or details.get("litellm_call_id"),
        "litellm_call_id": details.get("litellm_call_id"),
        "trace_id": printable(details.get("litellm_trace_id")),
        "call_type": details.get("call_type"),
        "stream": is_stream,
        "status": "success",
        "cache_hit": bool(details.get("cache_hit") or hidden.get("cache_hit")),
        "custom_llm_provider": details.get("custom_llm_provider"),
        "model": details.get("model"),
        "startTime": _start(details),
        "endTime": time(),
        **{name: (tokens or {}).get(name, 0) for name in _TOKENS},
        "response": {
            "id": identity,
            "usage": tokens,
            "service_tier": _of(response, "service_tier"),
            "output": [_tool(item) for item in _of(response, "output") or ()],
        },
    }


def _of(answer: Any, name: str) -> Any:
    """Return a part of an answer, which LiteLLM has as an object or, for some routes, as JSON."""
    return answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)


def _plain(usage: Any) -> dict[str, Any] | None:
    if usage is None:
        return None
    if isinstance(usage, Mapping):
        return dict(usage)
    told: dict[str, Any] = usage.model_dump(exclude_none=True)
    return told


def _tool(item: Any) -> dict[str, Any]:
    """Return of an output item what says whether it is a tool call that is billed."""
    action = _of(item, "action")
    return {"type": _of(item, "type"), "action": {"type": _of(action, "type")} if action else None}


def from_log(details: Mapping[str, Any], was_told: bool | None) -> dict[str, Any]:
    """Return the record of a log event: LiteLLM's payload without what the caller chose.

    `was_told`: whether a hook saw the stream's usage; None if no hook saw the stream.
    """
    payload = details["standard_logging_object"]
    record = {name: value for name, value in payload.items() if name not in _CHOSEN_BY_CALLER}
    record["trace_id"] = printable(record.get("trace_id"))
    if details.get("stream") and not _is_told(details, was_told):
        answer = record.get("response")
        said = answer if isinstance(answer, Mapping) else {}
        record |= {"stream": True, "response": {**said, "usage": None}, **dict.fromkeys(_TOKENS, 0)}
    return record


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
