"""DeepSeek, Mistral and OpenRouter: OpenAI's chat language with marks of their own.

Their usage is read as OpenAI's (all names of a fact are known there). OpenRouter also says what it
charged, `usage.cost` in dollars. That is money and not usage, so it is left out unless the context
asks for it (`pass_through_cost`): then it is an exact decimal of that kind, and the tariff decides
what it and the tokens beside it cost.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from decimal import Context as Precision

from engine.gateway.normalise.call import ERROR_RESPONSE, Call, Form, Reading
from engine.gateway.normalise.openai import (
    OPENROUTER_MARKS,
    answer_of,
    identified,
    is_chat_like,
    is_error,
    read_chat,
    tells_cost,
)
from engine.gateway.normalise.record import Context, Part, number

_MILLISECONDS = 1_000
_PICO = Decimal("1e-12")
_PRECISION = Precision(prec=60)


def _fits_by(*marks: str) -> Callable[[Part], bool]:
    def fits(record: Part) -> bool:
        usage = answer_of(record).data.get("usage")
        return (
            is_chat_like(record)
            and isinstance(usage, Mapping)
            and not usage.keys().isdisjoint(marks)
        )

    return fits


def _read_as(provider: str) -> Callable[[Part, Context], Reading]:
    def read(record: Part, context: Context) -> Reading:
        calls = read_chat(record, context)
        if isinstance(calls, str):
            return calls
        return tuple(call._replace(provider=provider) for call in calls)

    return read


def _read_openrouter(record: Part, context: Context) -> Reading:
    calls = _read_as("openrouter")(record, context)
    if isinstance(calls, str) or not context.pass_through_cost:
        return calls
    usage = answer_of(record).part("usage")
    cost = number(usage.path("cost"), usage.data.get("cost", 0))
    amount = cost.quantize(_PICO, ROUND_HALF_EVEN, _PRECISION)
    if not amount:
        return calls
    text = f"{amount:f}".rstrip("0").rstrip(".")
    return tuple(
        call._replace(quantities={**call.quantities, "pass_through_cost": text}) for call in calls
    )


def _fits_openrouter(record: Part) -> bool:
    usage = answer_of(record).data.get("usage")
    told = isinstance(usage, Mapping) and tells_cost(usage)
    return (told and is_chat_like(record)) or _fits_by(*OPENROUTER_MARKS)(record)


def _is_document(record: Part) -> bool:
    """Say whether this is an answer of Mistral's document reader, which bills by the page."""
    usage = record.data.get("usage_info")
    return isinstance(usage, Mapping) and "pages_processed" in usage


def _fits_mistral(record: Part) -> bool:
    return _is_document(record) or _fits_by("num_cached_tokens", "prompt_audio_seconds")(record)


def _accepts_mistral(record: Part) -> bool:
    usage = record.data.get("usage")
    is_embedding = isinstance(usage, Mapping) and "prompt_tokens" in usage
    return _is_document(record) or is_chat_like(record) or is_embedding


def _read_mistral(record: Part, context: Context) -> Reading:
    """Read a chat, an embedding or a read document; audio in the prompt is billed by its length."""
    if is_error(record):
        return ERROR_RESPONSE
    if _is_document(record):
        pages = record.part("usage_info").count("pages_processed")
        call = Call({"page": pages}, provider="mistral", operation="ocr")
        return (identified(call, record, record),)
    calls = _read_as("mistral")(record, context)
    if isinstance(calls, str):
        return calls
    usage = answer_of(record).part("usage")
    heard = usage.scaled(_MILLISECONDS, "prompt_audio_seconds") or 0
    operation = "embedding" if record.data.get("object") == "list" else "chat"
    if "text" in record.data:
        operation = "audio"
    return tuple(
        call._replace(operation=operation, quantities={**call.quantities, "millisecond": heard})
        for call in calls
    )


FORMS = (
    Form(
        "deepseek",
        _fits_by("prompt_cache_hit_tokens", "prompt_cache_miss_tokens"),
        _read_as("deepseek"),
        is_chat_like,
    ),
    Form("mistral", _fits_mistral, _read_mistral, _accepts_mistral),
    Form("openrouter", _fits_openrouter, _read_openrouter, is_chat_like),
)
