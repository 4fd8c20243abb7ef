"""OpenAI and the many servers that speak its language: chat, responses, embeddings.

`prompt_tokens` (chat) and `input_tokens` (responses) include cached and cache-written tokens,
`completion_tokens` and `output_tokens` include reasoning and rejected predictions. Dialects put the
same facts under other names (`prompt_cache_hit_tokens`, `cached_prompt_text_tokens`) or beside the
whole (Perplexity's reasoning), which are all read here; only their marks and their provider differ
(`compatible`). Mistral's `num_cached_tokens` is no such name: what Mistral bills as cached stands in
the details of the prompt.
"""

from collections.abc import Mapping
from typing import Any

from engine.gateway.normalise.call import ERROR_RESPONSE, UNKNOWN, Call, Form, Reading
from engine.gateway.normalise.record import Context, Part, Unusable
from engine.gateway.normalise.tokens import Reported, disjoint

_INPUT = ("prompt_tokens", "input_tokens", "prompt_token")
_OUTPUT = ("completion_tokens", "output_tokens", "completion_token")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_FREE_TOOL_COUNTS = ("web_fetch_requests", "tool_search_requests", "browser_open_requests")
"""Of `server_tool_use`: what providers bill by its tokens alone."""

_WORDS_OF_ERRORS = frozenset(
    ("message", "Message", "detail", "id", "request_id", "code", "status", "status_code")
)
"""All that the errors of Bedrock, Cohere and Mistral consist of."""

_ENDS_OF_STREAM = (
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.done",
)
"""Events of a stream or a realtime session that carry the answer as a whole."""

_BARE = frozenset(("response", "model"))
"""Fields of what is left of such an event where somebody kept its usage alone."""

_CHATS = ("chat.completion", "text_completion")
"""How the `object` of a chat or text completion, or of a chunk of one, begins."""

SECOND = 1_000_000


def has_usage(usage: Part) -> bool:
    """Say whether a usage object counts tokens at all."""
    return usage.has(*_INPUT, *_OUTPUT, "total_tokens")


def token_kinds(usage: Part, *, image_output: bool = False) -> dict[str, int]:
    """Return the disjoint kinds of a usage object; nothing if it counts nothing.

    `image_output`: all output is an image, unless the details say otherwise.
    """
    if not has_usage(usage):
        return {}
    reported = _reported(usage)
    if image_output and not usage.part(*_OUTPUT_DETAILS).has("image_tokens", "text_tokens"):
        reported = reported._replace(image_output=reported.output)
    return disjoint(reported)


def _reported(usage: Part) -> Reported:
    details, output_details = usage.part(*_INPUT_DETAILS), usage.part(*_OUTPUT_DETAILS)
    cached = details.part("cached_tokens_details")
    output, total = usage.count(*_OUTPUT), usage.counted("total_tokens")
    read = usage.counted(*_INPUT)
    input_tokens = max((total or 0) - output, 0) if read is None else read
    write_5m, write_1h, lost = _cache_writes(usage, details)
    reasoning = output_details.most("reasoning_tokens")
    if not reasoning and (reasoning := usage.count("reasoning_tokens")) > output:
        # Perplexity's deep research: it stands beside, and so does what is cited, which is read
        cited = usage.count("citation_tokens")
        if total == input_tokens + output:
            total += cited + reasoning
        input_tokens, output = input_tokens + cited, output + reasoning
    if usage.data.get("prompt_audio_seconds"):
        total = None  # has tokens of audio that nothing else has: Mistral bills audio by its length
    hit, miss = usage.counted("prompt_cache_hit_tokens"), usage.counted("prompt_cache_miss_tokens")
    if hit is not None and miss is not None:  # DeepSeek says the prompt twice
        lost += abs(input_tokens - hit - miss)
    return Reported(
        input=input_tokens,
        output=output,
        total=total,
        cache_read=details.most("cached_tokens")
        or usage.most(
            "prompt_cache_hit_tokens",
            "cached_prompt_text_tokens",
            "cached_tokens",
            "cache_read_input_tokens",
        ),
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        audio_input=details.count("audio_tokens"),
        image_input=details.count("image_tokens"),
        cached_audio=cached.count("audio_tokens"),
        cached_image=cached.count("image_tokens"),
        reasoning=reasoning,
        audio_output=output_details.count("audio_tokens"),
        image_output=output_details.count("image_tokens"),
        tool_input=details.count("tool_use_tokens"),
        unexplained=lost,
    )


def _cache_writes(usage: Part, details: Part) -> tuple[int, int, int]:
    """Return tokens written to the short-lived and to the long-lived cache, and what does not add up.

    Without details all are short-lived: the default everywhere. OpenAI's 30 minutes count as the
    short one, its 12 hours as the long one.
    """
    written = details.most(
        "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"
    ) or usage.most(
        "cache_creation_input_tokens", "cache_write_tokens", "prompt_cache_write_tokens"
    )
    by_age = usage.part("cache_creation")
    if not by_age.data:
        by_age = details.part(
            "cache_write_tokens_details", "cache_creation_token_details", "cache_creation"
        )
    long = by_age.most("ephemeral_1h_input_tokens", "ttl_12h_tokens")
    short = by_age.most("ephemeral_5m_input_tokens", "ttl_30m_tokens")
    if not long and not short:
        return written, 0, 0
    return short, long, abs(written - short - long) if written else 0


def tool_kinds(record: Part, usage: Part) -> dict[str, int]:
    """Return what servers bill by the call: searches, and tool calls of other kinds."""
    used = usage.part("server_tool_use")
    searches = used.count("web_search_requests") or usage.most(
        "num_search_queries", "num_sources_used"
    )
    details = usage.part(*_INPUT_DETAILS)
    searches = searches or details.count("web_search_requests")
    calls = sum(
        used.count(name)
        for name in used.data
        if name.endswith("_requests") and name not in (*_FREE_TOOL_COUNTS, "web_search_requests")
    )
    output = record.data.get("output")
    if record.part("tool_usage").has("web_search"):
        searches = record.part("tool_usage").part("web_search").count("num_requests")
    elif isinstance(output, list):
        searches += sum(_is_search(item) for item in output)
    if isinstance(output, list):
        calls += sum(
            isinstance(item, Mapping) and item.get("type") == "file_search_call" for item in output
        )
    return {"search": searches, "tool_call": calls}


def _is_search(item: object) -> bool:
    """Say whether an output item is a search that is billed: opening a page is not."""
    if not isinstance(item, Mapping) or item.get("type") != "web_search_call":
        return False
    action = item.get("action")
    kind = action.get("type") if isinstance(action, Mapping) else None
    return kind in (None, "search") and item.get("status") in (None, "completed")


def answer_of(record: Part) -> Part:
    """Return the answer that a batch line or a stream's last event wraps; else the record."""
    inner = record.data.get("response")
    if not isinstance(inner, Mapping) or record.has("usage"):
        return record
    if record.has("custom_id") and isinstance(inner.get("body"), Mapping):
        return record.part("response").part("body")
    kind = record.data.get("type")
    is_bare = record.data.keys() <= _BARE and isinstance(inner.get("usage"), Mapping)
    return record.part("response") if is_bare or kind in _ENDS_OF_STREAM else record


def is_error(record: Part) -> bool:
    """Say whether a body, or what it wraps, is an error.

    It has an error and no usage, says that it failed, or consists of the words of an error alone.
    """
    return _is_named_error(record.data) or any(
        body.data.get("status") == "failed"
        or (body.find("error")[1] and not body.has("usage", "usageMetadata", "response"))
        for body in (record, answer_of(record))
    )


def _is_named_error(body: Mapping[str, Any]) -> bool:
    if not ("message" in body or "Message" in body or "detail" in body) or "specversion" in body:
        return False
    if body.get("object") == "error" or body.get("type") == "error" or "__type" in body:
        return True
    return body.keys() <= _WORDS_OF_ERRORS and not isinstance(body.get("message"), Mapping)


def is_chat_like(record: Part) -> bool:
    """Say whether a record can be read as a chat completion, by any dialect."""
    answer = answer_of(record)
    usage = answer.data.get("usage")
    if answer.data.get("object") == "list":
        return False
    if isinstance(usage, Mapping) and "prompt_tokens" in usage and "completion_tokens" in usage:
        return True
    kind = answer.data.get("object")
    return isinstance(kind, str) and kind.startswith(_CHATS)


def read_chat(record: Part, context: Context) -> Reading:
    """Read a chat or text completion, or the last chunk of its stream."""
    del context
    answer = answer_of(record)
    if is_error(record):
        return ERROR_RESPONSE
    _refuse_middle_of_stream(answer)
    usage = _usage_of(answer)
    kind = answer.text("object")
    call = Call(
        quantities={**token_kinds(usage), **tool_kinds(answer, usage)},
        provider=_provider(answer),
        operation="completion" if kind.startswith("text_completion") else "chat",
    )
    return (identified(call, record, answer),)


def _usage_of(answer: Part) -> Part:
    """Return the usage; of a stream's last chunk, also where Groq and Moonshot put it."""
    groq = answer.data.get("x_groq")
    if not answer.has("usage") and isinstance(groq, Mapping) and groq.get("usage"):
        return answer.part("x_groq").part("usage")
    if not answer.has("usage") and answer.data.get("object") == "chat.completion.chunk":
        for choice in answer.parts("choices"):
            if choice.has("usage"):
                return choice.part("usage")
    return answer.part("usage")


def identified(call: Call, record: Part, answer: Part) -> Call:
    """Return a call with what every OpenAI answer says of itself: id, time, model, served tier."""
    tier = answer.text("service_tier") or answer.part("usage").text("service_tier")
    return call._replace(
        model=answer.text("model"),
        event_id=answer.text("id"),
        occurred_at=answer.scaled(SECOND, "completed_at", "created", "created_at"),
        service_tier="batch" if record.has("custom_id") else tier,
    )


def _provider(answer: Part) -> str:
    """Return the server's name where its own fields tell: OpenAI's language is spoken by many."""
    usage = answer.part("usage")
    if usage.has("queue_time", "total_time") or answer.has("x_groq"):
        return "groq"
    is_openrouter = tells_cost(usage.data) or not OPENROUTER_MARKS.isdisjoint(usage.data)
    return "openrouter" if is_openrouter else "openai"


def _refuse_middle_of_stream(answer: Part) -> None:
    """Raise Unusable for a chunk after which the usage is still to come."""
    if answer.data.get("object") != "chat.completion.chunk" or answer.has("usage"):
        return
    ended = any(choice.has("finish_reason") for choice in answer.parts("choices"))
    if not ended or "usage" in answer.data:
        raise Unusable("usage", None, "the last chunk of the stream: its usage comes there")


def _fits_responses(record: Part) -> bool:
    answer = answer_of(record)
    if answer.data.get("object") in ("response", "realtime.response"):
        return True
    usage = answer.data.get("usage")
    if not isinstance(usage, Mapping) or "input_tokens" not in usage:
        return False
    if "total_tokens" not in usage and "input_tokens_details" not in usage:
        return False
    details = usage.get("input_tokens_details")
    is_image = isinstance(details, Mapping) and "image_tokens" in details
    return "output_tokens" in usage and not is_image and not _is_media(answer, usage)


def _is_media(answer: Part, usage: Mapping[str, object]) -> bool:
    return not answer.data.keys().isdisjoint(("data", "type")) or "type" in usage


def _read_responses(record: Part, context: Context) -> Reading:
    """Read a response, or the event of a stream or of a realtime session that carries it."""
    del context
    answer = answer_of(record)
    if is_error(record):
        return ERROR_RESPONSE
    if answer.data.get("status") in ("queued", "in_progress"):
        raise Unusable("status", answer.data["status"], "a response that has ended")
    usage = answer.part("usage")
    quantities = {**token_kinds(usage), **tool_kinds(answer, usage)}
    main = identified(Call(quantities, provider=_provider(answer)), record, answer)
    return (main, *image_tool_calls(answer, main))


def image_tool_calls(answer: Part, main: Call) -> tuple[Call, ...]:
    """Return the call of the image model that a response used as a tool: its usage does not count it."""
    if "tool_usage" not in answer.data:
        return ()
    kinds = token_kinds(answer.part("tool_usage").part("image_gen"), image_output=True)
    if not kinds:
        return ()
    models = (tool.text("model") for tool in answer.parts("tools") if tool.has("model"))
    call = main._replace(
        quantities=kinds,
        model=next(models, UNKNOWN),
        operation="image",
        suffix="/image",
        initiator="system",
    )
    return (call,)


def _fits_embedding(record: Part) -> bool:
    answer = answer_of(record)
    usage = answer.data.get("usage")
    if not isinstance(usage, Mapping) or usage.keys().isdisjoint(("prompt_tokens", "total_tokens")):
        return False
    kind = answer.data.get("object")
    if isinstance(kind, str) and kind.startswith(_CHATS):
        return False
    others = ("completion_tokens", "input_tokens", "output_tokens", "total_input_tokens")
    return usage.keys().isdisjoint(others) or kind == "list"


def _read_embedding(record: Part, context: Context) -> Reading:
    """Read the answer to an embedding request: it has no id and no time."""
    del context
    answer = answer_of(record)
    if is_error(record):
        return ERROR_RESPONSE
    call = Call(
        token_kinds(answer.part("usage")), provider=_provider(answer), operation="embedding"
    )
    return (identified(call, record, answer),)


def fits_chat(record: Part) -> bool:
    """Say whether a record is a chat completion without the marks of a dialect."""
    usage = answer_of(record).data.get("usage")
    if not is_chat_like(record):
        return False
    return not isinstance(usage, Mapping) or not (usage.keys() & DIALECT_MARKS or tells_cost(usage))


def tells_cost(usage: Mapping[str, object]) -> bool:
    """Say whether a usage object tells one amount of money, as OpenRouter's does."""
    return type(usage.get("cost")) in {int, float}


OPENROUTER_MARKS = frozenset(("cost_details", "is_byok"))

DIALECT_MARKS = OPENROUTER_MARKS | frozenset(
    (
        "prompt_cache_hit_tokens",
        "prompt_cache_miss_tokens",
        "num_cached_tokens",
        "prompt_audio_seconds",
    )
)
"""Fields of a chat's usage that only one dialect has."""

FORMS = (
    Form("openai_chat", fits_chat, read_chat, is_chat_like),
    Form("openai_responses", _fits_responses, _read_responses, _fits_responses),
    Form("openai_embedding", _fits_embedding, _read_embedding, _fits_embedding),
)
