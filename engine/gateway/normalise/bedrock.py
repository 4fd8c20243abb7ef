"""Bedrock Converse: `inputTokens` excludes both sides of the cache, and nobody says the model.

The answer names neither its model nor an id nor a time: the context does. The last event of a stream
(`metadata`) has the same usage. Cache writes are told apart by their time to live in `cacheDetails`.
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
    return is_converse or _TITAN in record.data


_TITAN = "inputTextTokenCount"
"""Of Amazon's own models, invoked without Converse: embeddings, and texts in `results`."""


def _titan_kinds(record: Part) -> dict[str, int]:
    written = sum(result.count("tokenCount") for result in record.parts("results"))
    return {"input": record.count(_TITAN), "output": written}


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


def _tool_kinds(used: Part) -> dict[str, int]:
    searches = sum(used.count(name) for name in used.data if "search" in name.lower())
    return {"search": searches, "tool_call": sum(used.count(name) for name in used.data) - searches}


def _read(record: Part, context: Context) -> Reading:
    """Read the answer of Converse, or the last event of its stream."""
    del context
    answer = _answer_of(record)
    if answer.has("error", "__type") and not answer.has("usage"):
        return ERROR_RESPONSE
    usage = answer.part("usage")
    if _TITAN in record.data and not usage.data:
        operation = "chat" if record.has("results") else "embedding"
        return (Call(_titan_kinds(record), "bedrock", operation=operation),)
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
