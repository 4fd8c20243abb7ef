"""Bedrock Converse: `inputTokens` excludes both sides of the cache, and nobody says the model.

The answer names neither its model nor an id nor a time: the context does. The last event of a stream
(`metadata`) has the same usage. Cache writes are told apart by their time to live in `cacheDetails`.
Models invoked without Converse answer in their own language; those that no other format reads (Titan,
Llama, the metrics at the end of a stream) are read here.
"""

from collections.abc import Mapping

from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, Reading
from engine.gateway.normalise.record import Context, Part
from engine.gateway.normalise.tokens import Reported, disjoint


def _answer_of(record: Part) -> Part:
    inner = record.data.get("metadata")
    is_stream = isinstance(inner, Mapping) and "usage" in inner and not record.has("usage")
    return record.part("metadata") if is_stream else record


def _fits(record: Part) -> bool:
    usage = _answer_of(record).data.get("usage")
    if isinstance(usage, Mapping):
        return "inputTokens" in usage or "outputTokens" in usage
    is_converse = "stopReason" in record.data and "output" in record.data
    return is_converse or not record.data.keys().isdisjoint((_METRICS, _TITAN, _LLAMA))


_METRICS = "amazon-bedrock-invocationMetrics"
"""Of the last event of any model's stream that was invoked without Converse."""

_TITAN = "inputTextTokenCount"
"""Of Amazon's own models, invoked without Converse: embeddings, and texts in `results`."""

_LLAMA = "generation_token_count"

_SEARCHES = ("search", "grounding")
"""What the names of tools that search the web have in them; other tools are tool calls."""


def _invoked(record: Part) -> Call | None:
    """Return the call of a model invoked without Converse that has no `usage`; None if it has."""
    if record.has("usage", "metadata"):
        return None
    if _METRICS in record.data:
        metrics = record.part(_METRICS)
        usage = {
            "inputTokens": metrics.count("inputTokenCount"),
            "outputTokens": metrics.count("outputTokenCount"),
            "cacheReadInputTokens": metrics.count("cacheReadInputTokenCount"),
            "cacheWriteInputTokens": metrics.count("cacheWriteInputTokenCount"),
        }
        return Call(bedrock_kinds(Part(usage, metrics.place)), "bedrock")
    if _LLAMA in record.data:
        kinds = {"input": record.count("prompt_token_count"), "output": record.count(_LLAMA)}
        return Call(kinds, "bedrock")
    if _TITAN not in record.data:
        return None
    written = sum(result.count("tokenCount") for result in record.parts("results"))
    kinds = {
        "input": record.count(_TITAN),
        "output": written + record.count("totalOutputTextTokenCount"),
    }
    is_text = record.has("results", "outputText")
    return Call(kinds, "bedrock", operation="chat" if is_text else "embedding")


def bedrock_kinds(usage: Part) -> dict[str, int]:
    """Return the disjoint kinds of a `TokenUsage` object."""
    read = usage.most("cacheReadInputTokens", "cacheReadInputTokenCount")
    written = usage.most("cacheWriteInputTokens", "cacheWriteInputTokenCount")
    by_age = {"5m": 0, "1h": 0}
    lost = 0
    for detail in usage.parts("cacheDetails"):
        age = detail.text("ttl")
        by_age[age] = by_age.get(age, 0) + detail.count("inputTokens")
    long, short = by_age["1h"], by_age["5m"]
    if sum(by_age.values()):
        lost = abs(written - long - short)
    else:
        short = written
    return disjoint(
        Reported(
            input=usage.count("inputTokens") + read + short + long,
            output=usage.count("outputTokens"),
            total=usage.counted("totalTokens"),
            cache_read=read,
            cache_write_5m=short,
            cache_write_1h=long,
            unexplained=lost,
        )
    )


def _is_counted(value: object) -> bool:
    return type(value) in (int, float) or (isinstance(value, str) and value.isdigit())


def _tool_kinds(used: Part) -> dict[str, int]:
    counts = {name: used.count(name) for name, value in used.data.items() if _is_counted(value)}
    searches = sum(
        count for name, count in counts.items() if any(part in name.lower() for part in _SEARCHES)
    )
    return {"search": searches, "tool_call": sum(counts.values()) - searches}


def _read(record: Part, context: Context) -> Reading:
    """Read the answer of Converse, or the last event of its stream."""
    del context
    answer = _answer_of(record)
    if answer.has("error", "__type") and not answer.has("usage"):
        return ERROR_RESPONSE
    invoked = _invoked(record)
    if invoked is not None:
        return (invoked,)
    usage = answer.part("usage")
    tier = answer.data.get("serviceTier")
    call = Call(
        quantities={**bedrock_kinds(usage), **_tool_kinds(usage.part("serverToolUsage"))},
        provider="bedrock",
        model=record.text("modelId", "model"),
        event_id=record.text("requestId") or record.part("ResponseMetadata").text("RequestId"),
        service_tier=answer.part("serviceTier").text("type") if isinstance(tier, Mapping) else "",
    )
    return (call,)


FORMS = (Form("bedrock", _fits, _read, _fits),)
