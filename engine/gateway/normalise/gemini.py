"""Gemini: candidates exclude thoughts, the prompt includes what came from the cache.

Tokens are told apart by modality, and what was cached too, so audio read from the cache is
`audio_cache_read`. Documents are seen as images. Video has no kind of its own and stays `input`.
"""

from collections.abc import Mapping
from typing import Any

from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, Reading
from engine.gateway.normalise.record import Context, Part, Unusable
from engine.gateway.normalise.tokens import Reported, disjoint

_IMAGE = ("IMAGE", "DOCUMENT")
_AUDIO = ("AUDIO",)
_INPUT = ("promptTokenCount", "prompt_token_count", "total_input_tokens")
_TOOLS = ("toolUsePromptTokenCount", "tool_use_prompt_token_count", "total_tool_use_tokens")
_CACHED = ("cachedContentTokenCount", "cached_content_token_count", "total_cached_tokens")
_OUTPUT = (
    "candidatesTokenCount",
    "responseTokenCount",
    "candidates_token_count",
    "response_token_count",
    "total_output_tokens",
)
_THOUGHTS = ("thoughtsTokenCount", "thoughts_token_count", "total_thought_tokens")
_TOTAL = ("totalTokenCount", "total_token_count", "total_tokens")
_INPUT_DETAILS = (
    "promptTokensDetails",
    "promptTokenDetails",
    "prompt_tokens_details",
    "input_tokens_by_modality",
)
_TOOL_DETAILS = (
    "toolUsePromptTokensDetails",
    "tool_use_prompt_tokens_details",
    "tool_use_tokens_by_modality",
)
_CACHED_DETAILS = ("cacheTokensDetails", "cache_tokens_details", "cached_tokens_by_modality")
_OUTPUT_DETAILS = (
    "candidatesTokensDetails",
    "responseTokensDetails",
    "candidates_tokens_details",
    "response_tokens_details",
    "output_tokens_by_modality",
)
"""Every count by its name in an answer, in Google's own Python library, and in an interaction."""

_BILLED_BY_PROMPT = ("gemini-1", "gemini-2")
"""Models that bill a grounded prompt once, however many searches it made."""


def _answer_of(record: Part) -> Part:
    """Return the answer that a line of a batch or the event of an interaction wraps."""
    if record.has("call_type"):
        return record  # of LiteLLM
    for name, mark in (("response", "usageMetadata"), ("interaction", "usage")):
        inner = record.data.get(name)
        if isinstance(inner, Mapping) and mark in inner and not record.has(mark):
            return record.part(name)
    return record


def _usage_of(answer: Part) -> Part:
    if answer.has("usageMetadata", "usage_metadata"):
        return answer.part("usageMetadata", "usage_metadata")
    return answer.part("usage") if _is_interaction(answer) else Part({}, "usageMetadata")


def _is_interaction(answer: Part) -> bool:
    usage = answer.data.get("usage")
    return isinstance(usage, Mapping) and "total_input_tokens" in usage


def _is_failed_line(record: Part) -> bool:
    """Say whether this is a line of Vertex AI's batch results that tells an error."""
    return record.has("processed_time") and bool(record.data.get("status"))


def _fits(record: Part) -> bool:
    answer = _answer_of(record)
    if isinstance(answer.data.get("usageMetadata"), Mapping) or _is_interaction(answer):
        return True
    usage = answer.data.get("usage_metadata")
    if isinstance(usage, Mapping) and "prompt_token_count" in usage:
        return True
    if _is_failed_line(record) or _predicted(answer) or "promptFeedback" in answer.data:
        return True
    return isinstance(answer.data.get("candidates"), list) and answer.has(
        "modelVersion", "model_version"
    )


def gemini_kinds(usage: Part) -> dict[str, int]:
    """Return the disjoint kinds of a `usageMetadata` object, or of the `usage` of an interaction."""
    thoughts = usage.count(*_THOUGHTS)

    def modal(names: tuple[str, ...], modalities: tuple[str, ...]) -> int:
        return sum(
            part.count("tokenCount", "token_count", "tokens")
            for part in usage.parts(*names)
            if part.text("modality").upper() in modalities
        )

    return disjoint(
        Reported(
            input=usage.count(*_INPUT) + usage.count(*_TOOLS),
            output=usage.count(*_OUTPUT) + thoughts,
            total=usage.counted(*_TOTAL),
            cache_read=usage.count(*_CACHED),
            audio_input=modal(_INPUT_DETAILS, _AUDIO) + modal(_TOOL_DETAILS, _AUDIO),
            image_input=modal(_INPUT_DETAILS, _IMAGE) + modal(_TOOL_DETAILS, _IMAGE),
            cached_audio=modal(_CACHED_DETAILS, _AUDIO),
            cached_image=modal(_CACHED_DETAILS, _IMAGE),
            reasoning=thoughts,
            audio_output=modal(_OUTPUT_DETAILS, _AUDIO),
            image_output=modal(_OUTPUT_DETAILS, _IMAGE),
        )
    )


def _predicted(answer: Part) -> dict[str, int]:
    """Return what Vertex AI's older models made: tokens of embeddings, or images."""
    predictions = answer.data.get("predictions")
    if not isinstance(predictions, list):
        return {}
    made = [Part(item) for item in predictions if isinstance(item, Mapping)]
    images = sum("bytesBase64Encoded" in item.data for item in made)
    embedded = [item for item in made if isinstance(item.data.get("embeddings"), Mapping)]
    tokens = sum(
        item.part("embeddings").part("statistics").count("token_count") for item in embedded
    )
    return {"input": tokens, "image": images} if images or embedded else {}


def _searches(answer: Part, usage: Part) -> int:
    """Return how many searches are billed: newer models bill each query, older ones the prompt."""
    queries = sum(part.count("count") for part in usage.parts("grounding_tool_count"))
    for candidate in answer.data.get("candidates") or ():
        grounding = candidate.get("groundingMetadata") if isinstance(candidate, Mapping) else None
        asked: Any = grounding.get("webSearchQueries") if isinstance(grounding, Mapping) else None
        queries += len(asked) if isinstance(asked, list) else 0
    by_prompt = answer.text("modelVersion", "model_version").startswith(_BILLED_BY_PROMPT)
    return min(queries, 1) if by_prompt else queries


def _is_refused(answer: Part, usage: Part) -> bool:
    """Say whether an answer is an error, or of a prompt that was blocked before a model counted it."""
    if answer.has("error"):
        return not usage.data
    is_blocked = answer.part("promptFeedback").has("blockReason")
    return is_blocked and not usage.has(*_INPUT, *_TOTAL)


def _refuse_middle_of_stream(answer: Part) -> None:
    """Raise Unusable for a chunk after which more is to come: each repeats the counts so far."""
    candidates = answer.parts("candidates")
    if candidates and not any(part.has("finishReason", "finish_reason") for part in candidates):
        raise Unusable("candidates", None, "the last chunk of the stream: it has a finishReason")


def _read(record: Part, context: Context) -> Reading:
    """Read an answer to a request for content or embeddings, or the line of a batch with it."""
    del context
    answer = _answer_of(record)
    usage = _usage_of(answer)
    if _is_refused(answer, usage) or (_is_failed_line(record) and not usage.data):
        return ERROR_RESPONSE
    if answer.data.get("status") == "failed":
        return ERROR_RESPONSE
    _refuse_middle_of_stream(answer)
    predicted = {} if usage.data else _predicted(answer)
    is_embedding = answer.has("embedding", "embeddings") or usage.has("promptTokenDetails")
    operation = "embedding" if is_embedding or "input" in predicted else "chat"
    if predicted.get("image"):
        operation = "image"
    tier = usage.text("serviceTier") or usage.text("trafficType")
    call = Call(
        quantities={**gemini_kinds(usage), "search": _searches(answer, usage), **predicted},
        provider="gemini",
        model=answer.text("modelVersion", "model_version", "model"),
        operation=operation,
        event_id=answer.text("responseId", "response_id", "id"),
        occurred_at=answer.time("createTime", "create_time", "created"),
        service_tier=tier if answer is record or record.has("interaction") else "batch",
    )
    return (call,)


FORMS = (Form("gemini", _fits, _read, _fits),)
