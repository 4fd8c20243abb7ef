"""Entries of the two public price lists, in the fields of an `llm_pricing` record.

LiteLLM puts everything into a field's name: what is metered, the context above which it holds, the
service tier. genai-prices gives a price per million, or a base with tiers by input tokens.
"""

import re
from collections.abc import Mapping
from typing import Any

from tests.vectors.records import Record

_RATES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "output_cost_per_image_token": "image_output",
    "output_cost_per_reasoning_token": "reasoning_output",
}
_TIERS = {"priority": "priority", "flex": "flex", "batches": "batch", "ultrafast": "ultrafast"}
_FIELD = re.compile(
    rf"({'|'.join(sorted(_RATES, key=len, reverse=True))})"
    rf"(?:_above_(\d+)(k?)_tokens)?(?:_({'|'.join(_TIERS)}))?"
)
_REACHING_IS_ABOVE = ("xai",)
"""With these providers a context that reaches the threshold is above it."""


def from_litellm(entry: Record, provider: str) -> dict[str, Any]:
    """Return the price that an entry of LiteLLM's list states."""
    price: dict[str, Any] = {
        "unit": "per_token",
        "rates": {},
        "context_tiers": [],
        "service_tiers": {},
    }
    for field, value in entry.items():
        name = _FIELD.fullmatch(field)
        if name is None or value is None:
            continue
        rate, tier = _RATES[name[1]], _TIERS.get(name[4], "")
        if name[2]:
            above = int(name[2]) * (1000 if name[3] else 1)
            above -= provider in _REACHING_IS_ABOVE
            row = {"above": above, "service_tier": tier, "rates": {rate: value}}
            price["context_tiers"].append(row)
        elif tier:
            price["service_tiers"].setdefault(tier, {})[rate] = value
        else:
            price["rates"][rate] = value
    price["request_tiers"] = [
        {"range": row["range"], "rates": _plain_rates(row)}
        for row in entry.get("tiered_pricing") or []
    ]
    off_peak = entry.get("off_peak_pricing")
    return (
        {**price, "off_peak": {**off_peak, "rates": _plain_rates(off_peak)}} if off_peak else price
    )


def _plain_rates(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_RATES[name]: value for name, value in fields.items() if name in _RATES}


def litellm_usage(usage: Record) -> dict[str, Any]:
    """Return the usage of a LiteLLM call: cached, written and audio tokens are in the prompt's."""
    prompt = usage["prompt_tokens_details"] or {}
    completion = usage["completion_tokens_details"] or {}
    written = prompt.get("cache_creation_tokens") or prompt.get("cache_write_tokens") or 0
    details = prompt.get("cache_creation_token_details") or {}
    hour = details.get("ephemeral_1h_input_tokens") or 0
    return {
        "input_tokens": usage["prompt_tokens"],
        "cache_read_tokens": prompt.get("cached_tokens"),
        "cache_write_tokens": written - hour,
        "cache_write_1h_tokens": hour,
        "audio_input_tokens": prompt.get("audio_tokens"),
        "image_input_tokens": prompt.get("image_tokens"),
        "output_tokens": usage["completion_tokens"],
        "reasoning_tokens": completion.get("reasoning_tokens"),
        "audio_output_tokens": completion.get("audio_tokens"),
        "image_output_tokens": completion.get("image_tokens"),
    }


_PER_MILLION = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
}


def from_genai_prices(resolved: Record) -> dict[str, Any]:
    """Return the price that genai-prices resolved for a call; what it does not meter is left out."""
    rates: dict[str, Any] = {}
    tiers = []
    for field, name in _PER_MILLION.items():
        value = resolved.get(field)
        if isinstance(value, Mapping):
            rates[name] = value["base"]
            tiers += [
                {"above": tier["start"], "rates": {name: tier["price"]}} for tier in value["tiers"]
            ]
        elif value is not None:
            rates[name] = value
    return {"unit": "per_million_tokens", "rates": rates, "context_tiers": tiers}


_GENAI_TOKENS = {
    "input_audio_tokens": "audio_input_tokens",
    "output_audio_tokens": "audio_output_tokens",
    "input_image_tokens": "image_input_tokens",
    "output_image_tokens": "image_output_tokens",
}


def genai_usage(usage: Record) -> dict[str, Any]:
    """Return the usage of a genai-prices call under our names; totals hold their parts."""
    return {_GENAI_TOKENS.get(name, name): tokens for name, tokens in usage.items()}
