"""Cohere: what is billed and what was counted are two things, and only `billed_units` is a bill.

`tokens` also counts what Cohere adds to a prompt by itself, and cached tokens are of those; neither is
billed, so neither is usage here. Reranking is billed by searches, classifying by the request.
"""

from collections.abc import Mapping

from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, Reading
from engine.gateway.normalise.record import Context, Part
from engine.gateway.normalise.tokens import Reported, disjoint


def _usage_of(record: Part) -> Part:
    usage = record.data.get("usage")
    if isinstance(usage, Mapping):
        return record.part("usage")
    delta = record.data.get("delta")  # the end of a stream
    if isinstance(delta, Mapping) and isinstance(delta.get("usage"), Mapping):
        return record.part("delta").part("usage")
    answer = record.data.get("response") if record.has("event_type") else None
    if isinstance(answer, Mapping) and isinstance(answer.get("meta"), Mapping):
        return record.part("response").part("meta")  # the end of a stream of the first version
    meta = record.data.get("meta")
    return record.part("meta") if isinstance(meta, Mapping) else Part({}, "usage")


def _fits(record: Part) -> bool:
    usage = _usage_of(record).data
    return isinstance(usage.get("billed_units"), Mapping) or isinstance(
        usage.get("tokens"), Mapping
    )


def cohere_kinds(usage: Part) -> dict[str, int]:
    """Return the disjoint kinds of what is billed; of the tokens, if nothing says what is billed."""
    billed = usage.part("billed_units")
    if not billed.data:
        billed = usage.part("tokens")
    images = billed.count("image_tokens")
    kinds = disjoint(
        Reported(
            input=billed.most("input_tokens", "total_tokens") + images,
            output=billed.count("output_tokens"),
            image_input=images,
        )
    )
    return {
        **kinds,
        "request": billed.count("classifications"),
        "image": 0 if images else billed.count("images"),
        "search": billed.count("search_units"),
    }


def _read(record: Part, context: Context) -> Reading:
    """Read an answer to a chat, an embedding, a reranking or a classification."""
    del context
    if record.has("error") and not record.has("usage", "meta", "delta"):
        return ERROR_RESPONSE
    kinds = cohere_kinds(_usage_of(record))
    operation = "chat"
    if kinds["search"] and not kinds.keys() & {"input", "output"}:
        operation = "rerank"
    elif kinds["request"]:
        operation = "classification"
    elif record.has("embeddings") or (record.has("meta") and "output" not in kinds):
        operation = "embedding"
    return (
        Call(
            quantities=kinds,
            provider="cohere",
            model=record.text("model"),
            operation=operation,
            event_id=record.text("id", "generation_id", "response_id"),
        ),
    )


FORMS = (Form("cohere", _fits, _read, _fits),)
