"""Anthropic messages: `input_tokens` excludes what was read from and written to the cache.

One answer may bill several inferences. `iterations` lists them: those of type `message` add up to the
counts at the top, which is checked; all others (an advisor, which is another model; a compaction of
the context) stand beside the top counts and are billed too, so each becomes an event of its own.
"""

from collections.abc import Mapping

from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, Reading
from engine.gateway.normalise.openai import tool_kinds
from engine.gateway.normalise.record import Context, Part, Unusable
from engine.gateway.normalise.tokens import Reported, disjoint

_MARKS = frozenset(
    (
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "server_tool_use",
        "inference_geo",
        "iterations",
    )
)
_MARKS_OF_OTHERS = frozenset(
    ("total_tokens", "type", "input_tokens_details", "input_token_details")
)
_NO_REGION = ("global", "not_available")
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


def _message_of(record: Part) -> Part:
    """Return the message that a line of a batch's results or a stream's start wraps."""
    result = record.data.get("result")
    if isinstance(result, Mapping) and isinstance(result.get("message"), Mapping):
        return record.part("result").part("message")
    if record.data.get("type") == "message_start":
        return record.part("message")
    return record


def _is_message(record: Part) -> bool:
    message = _message_of(record)
    usage = message.data.get("usage")
    if not isinstance(usage, Mapping):
        return message.data.get("type") == "message" and "role" in message.data
    if "input_tokens" not in usage or message.data.get("type") == "message":
        return "input_tokens" in usage
    return "object" not in message.data and _MARKS_OF_OTHERS.isdisjoint(usage)


def _fits(record: Part) -> bool:
    if record.data.get("type") == "error":
        return isinstance(record.data.get("error"), Mapping)
    if record.data.get("type") == "message_delta":
        return isinstance(record.data.get("usage"), Mapping)
    result = record.data.get("result")
    if isinstance(result, Mapping) and result.get("type") in ("errored", "canceled", "expired"):
        return True
    return _is_message(record)


def anthropic_kinds(usage: Part) -> dict[str, int]:
    """Return the disjoint kinds of a usage object, of a message or of one iteration."""
    read = usage.count("cache_read_input_tokens")
    written = usage.counted("cache_creation_input_tokens")
    by_age = usage.part("cache_creation")
    short = by_age.count("ephemeral_5m_input_tokens")
    long = by_age.count("ephemeral_1h_input_tokens")
    lost = 0
    if not short and not long:
        short = written or 0
    elif written is not None:
        lost = abs(written - short - long)
    details = usage.part("output_tokens_details")
    return disjoint(
        Reported(
            input=usage.count("input_tokens") + read + short + long,
            output=usage.count("output_tokens"),
            cache_read=read,
            cache_write_5m=short,
            cache_write_1h=long,
            reasoning=details.count("thinking_tokens", "reasoning_tokens"),
            unexplained=lost,
        )
    )


def anthropic_calls(usage: Part, main: Call) -> tuple[Call, ...]:
    """Return the call of a usage object, and those that its iterations bill beside it."""
    kinds = {**anthropic_kinds(usage), **tool_kinds(Part({}), usage)}
    messages = [part for part in usage.parts("iterations") if _is_answer(part)]
    if messages:
        lost = sum(
            abs(usage.count(name) - sum(part.count(name) for part in messages)) for name in _COUNTS
        )
        kinds["unexplained"] = kinds.get("unexplained", 0) + lost
    region = usage.text("inference_geo")
    tier = main.service_tier or usage.text("service_tier")
    main = main._replace(
        quantities=kinds,
        service_tier="fast" if usage.data.get("speed") == "fast" and tier != "batch" else tier,
        region="" if region in _NO_REGION else region,
    )
    return (main, *calls_beside(usage, main))


def calls_beside(usage: Part, main: Call) -> list[Call]:
    """Return the calls that a usage object's iterations bill beside the answer itself."""
    return [
        main._replace(
            quantities=found,
            model=part.text("model") or main.model,
            suffix=f"/iteration-{index}",
            initiator="system",
        )
        for index, part in enumerate(usage.parts("iterations"))
        if not _is_answer(part) and (found := anthropic_kinds(part))
    ]


def _is_answer(iteration: Part) -> bool:
    return iteration.text("type") in ("", "message")


def _read(record: Part, context: Context) -> Reading:
    """Read a message, or the line of a batch's results that holds it."""
    del context
    message = _message_of(record)
    if message is record and not _is_message(record) and not record.has("usage"):
        return ERROR_RESPONSE
    if record.data.get("type") == "message_start":
        raise Unusable("type", "message_start", "the whole message: its output is still to come")
    if record.data.get("type") == "message_delta" and not record.part("usage").has("input_tokens"):
        raise Unusable("usage.input_tokens", None, "the whole message: its input came at the start")
    tier = "batch" if record.has("result") else ""
    call = Call({}, "anthropic", message.text("model"), service_tier=tier)
    call = call._replace(event_id=message.text("id"))
    return anthropic_calls(message.part("usage"), call)


def is_anthropic_usage(usage: Part) -> bool:
    """Say whether a usage object excludes cached tokens from its input, as only Anthropic's does."""
    return (
        usage.has("input_tokens")
        and not _MARKS.isdisjoint(usage.data)
        and not usage.has("prompt_tokens", "total_tokens")
    )


FORMS = (Form("anthropic", _fits, _read, _fits),)
