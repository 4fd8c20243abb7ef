"""Gemini: candidates exclude thoughts, the prompt includes what came from the cache.

Tokens are told apart by modality, and what was cached too, so audio read from the cache is counted
as `cache_read`. Documents are seen as images. Video has no kind of its own and stays `input`.
"""

from collections.abc import Mapping
from typing import Any

from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, Reading
from engine.gateway.normalise.record import Context, Part, Unusable
from engine.gateway.normalise.tokens import Reported, disjoint

_IMAGE = ("IMAGE", "DOCUMENT")
_AUDIO = ("AUDIO",)
_PROMPT_DETAILS = ("promptTokensDetails", "promptTokenDetails")
_OUTPUT_DETAILS = ("candidatesTokensDetails", "responseTokensDetails")
_BILLED_BY_PROMPT = ("gemini-1", "gemini-2")
"""Models that bill a grounded prompt once, however many searches it made."""


def _answer_of(record: Part) -> Part:
    """Return the answer that a line of a batch wraps."""
    inner = record.data.get("response")
    if isinstance(inner, Mapping) and "usageMetadata" in inner and not record.has("usageMetadata"):
        return record.part("response")
    return record


def _fits(record: Part) -> bool:
    answer = _answer_of(record)
    if isinstance(answer.data.get("usageMetadata"), Mapping):
        return True
    return isinstance(answer.data.get("candidates"), list) and "modelVersion" in answer.data


def gemini_kinds(usage: Part) -> dict[str, int]:
    """Return the disjoint kinds of a `usageMetadata` object."""
    thoughts = usage.count("thoughtsTokenCount")
    tools = usage.count("toolUsePromptTokenCount")

    def modal(names: tuple[str, ...], modalities: tuple[str, ...]) -> int:
        parts = usage.parts(*names)
        return sum(
            part.count("tokenCount")
            for part in parts
            if part.text("modality").upper() in modalities
        )

    tool_details = ("toolUsePromptTokensDetails",)
    return disjoint(
        Reported(
            input=usage.count("promptTokenCount") + tools,
            output=usage.count("candidatesTokenCount", "responseTokenCount") + thoughts,
            total=usage.counted("totalTokenCount"),
            cache_read=usage.count("cachedContentTokenCount"),
            audio_input=modal(_PROMPT_DETAILS, _AUDIO) + modal(tool_details, _AUDIO),
            image_input=modal(_PROMPT_DETAILS, _IMAGE) + modal(tool_details, _IMAGE),
            cached_audio=modal(("cacheTokensDetails",), _AUDIO),
            cached_image=modal(("cacheTokensDetails",), _IMAGE),
            reasoning=thoughts,
            audio_output=modal(_OUTPUT_DETAILS, _AUDIO),
            image_output=modal(_OUTPUT_DETAILS, _IMAGE),
        )
    )


def _searches(answer: Part) -> int:
    """Return how many searches are billed: newer models bill each query, older ones the prompt."""
    queries = 0
    for candidate in answer.data.get("candidates") or ():
        grounding = candidate.get("groundingMetadata") if isinstance(candidate, Mapping) else None
        asked: Any = grounding.get("webSearchQueries") if isinstance(grounding, Mapping) else None
        queries += len(asked) if isinstance(asked, list) else 0
    by_prompt = answer.text("modelVersion").startswith(_BILLED_BY_PROMPT)
    return min(queries, 1) if by_prompt else queries


def _refuse_middle_of_stream(answer: Part) -> None:
    """Raise Unusable for a chunk after which more is to come: each repeats the counts so far."""
    candidates = answer.parts("candidates")
    if candidates and not any(candidate.has("finishReason") for candidate in candidates):
        raise Unusable("candidates", None, "the last chunk of the stream: it has a finishReason")


def _read(record: Part, context: Context) -> Reading:
    """Read an answer to a request for content or embeddings, or the line of a batch with it."""
    del context
    answer = _answer_of(record)
    usage = answer.part("usageMetadata")
    if answer.has("error") and not usage.data:
        return ERROR_RESPONSE
    _refuse_middle_of_stream(answer)
    is_embedding = answer.has("embedding", "embeddings") or usage.has("promptTokenDetails")
    tier = usage.text("serviceTier") or usage.text("trafficType")
    call = Call(
        quantities={**gemini_kinds(usage), "search": _searches(answer)},
        provider="gemini",
        model=answer.text("modelVersion"),
        operation="embedding" if is_embedding else "chat",
        event_id=answer.text("responseId"),
        occurred_at=answer.time("createTime"),
        service_tier=tier if answer is record else "batch",
    )
    return (call,)


FORMS = (Form("gemini", _fits, _read, _fits),)
