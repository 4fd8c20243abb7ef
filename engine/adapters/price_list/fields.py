"""Fields of one entry: which are prices per token, and why the others are not imported.

A price's field name says everything: what is metered, ``_above_200k_tokens`` (the price of every
token of a request with a longer context) and the service tier (``_batches``, ``_priority``,
``_flex``). Prices stand per token, mostly with an exponent; people quote them per million, so that
is how they enter the tariff, to the digit.

A field that this module does not know is reported, not skipped: tomorrow's list may bring a new
kind of price.
"""

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from engine.adapters.documents.tariff import MAX_PRICE
from engine.rating.money import format_decimal
from engine.rating.usage import MAX_TEXT

ANY_TIER = ""
BATCH = "batch"
TIERS = (BATCH, "priority", "flex")

_KINDS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "output_cost_per_image_token": "image_output",
}
_SUFFIXES = {"batches": BATCH, "priority": "priority", "flex": "flex"}
_TOKEN_PRICE = re.compile(
    rf"({'|'.join(_KINDS)})(?:_above_([1-9][0-9]{{0,8}})k_tokens)?(?:_({'|'.join(_SUFFIXES)}))?"
)
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")

_NO_PRICE = re.compile(
    r"litellm_provider|mode|source|metadata|notes?|comments?|deprecation_date|rpm|tpm"
    r"|max_.*|supports_.*|supported_.*|output_vector_size|prompt_cache_min_tokens"
    r"|tool_use_system_prompt_tokens"
)
"""Facts of a model that cost nothing by themselves."""

_NO_SUCH_KIND = "a token price that no kind of usage or service tier stands for"
_REASONS = (
    ("tiered_pricing", "prices by ranges of input tokens are not imported"),
    ("off_peak_pricing", "prices by the time of day are not imported"),
    ("_dbu_", "counted in Databricks units, not money"),
    ("per_second", "priced per second, not per token"),
    ("per_character", "priced per character, not per token"),
    ("per_pixel", "priced per pixel, not per token"),
    ("per_page", "priced per page, not per token"),
    ("image_token", _NO_SUCH_KIND),
    ("per_image", "priced per image, not per token"),
    ("search|per_query", "priced per search or query, not per token"),
    ("per_request|per_text_message|per_session", "priced per call or session, not per token"),
    ("multiplier|provider_specific_entry", "a factor on other prices, not a price"),
    ("_above_12hr", "no kind of usage stands for a cache kept 12 hours"),
    ("cache_hit|explicit_cache_read", "another spelling of the cache read price"),
    ("token", _NO_SUCH_KIND),
)
_MAX_SHOWN = 200


class PriceKey(NamedTuple):
    """What a listed price is for: a kind, a service tier (empty: any), a context above N tokens.

    `above` 0 is the price for any context length.
    """

    kind: str
    tier: str = ANY_TIER
    above: int = 0


Listed = dict[PriceKey, str]
"""The token prices that an entry states: decimal strings per million tokens."""


class Unexpressed(NamedTuple):
    """A field of the list that the tariff does not hold, and why. `value` is its JSON."""

    entry: str
    field: str
    value: str
    reason: str


class Entry(NamedTuple):
    """One model of the list: its name there, its provider there, and its prices per million."""

    key: str
    provider: str
    listed: Listed


def read_entry(key: str, data: Mapping[str, Any]) -> tuple[Entry | None, list[Unexpressed]]:
    """Read an entry (decimals as text): its token prices, and each field that is none of them."""
    provider = data.get("litellm_provider")
    for name in (key, provider):
        if not _is_name(name):
            reason = f"expected names of a model and a provider, got {_shown(name)}"
            return None, [
                Unexpressed(key, field, _shown(value), reason)
                for field, value in data.items()
                if not _NO_PRICE.fullmatch(field)
            ]
    listed, fields, problems = _read_fields(key, data)
    problems += _drop_baseless(key, listed, fields, data)
    return Entry(key, str(provider), listed), problems


def _is_name(name: object) -> bool:
    """Say whether usage can have this name, and a tariff mean it literally."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TEXT:
        return False
    return name.isprintable() and "*" not in name and "?" not in name


def _read_fields(
    key: str, data: Mapping[str, Any]
) -> tuple[Listed, dict[PriceKey, str], list[Unexpressed]]:
    listed: Listed = {}
    fields: dict[PriceKey, str] = {}
    problems = []
    for field, value in data.items():
        if _NO_PRICE.fullmatch(field):
            continue
        name = _TOKEN_PRICE.fullmatch(field)
        if name is None:
            problems.append(Unexpressed(key, field, _shown(value), _reason(field)))
            continue
        price_key = PriceKey(
            _KINDS[name[1]],
            _SUFFIXES.get(name[3], ANY_TIER),
            int(name[2] or 0) * 1000,
        )
        try:
            listed[price_key] = _per_million(value)
            fields[price_key] = field
        except ValueError as error:
            problems.append(Unexpressed(key, field, _shown(value), str(error)))
    return listed, fields, problems


def _drop_baseless(
    key: str, listed: Listed, fields: Mapping[PriceKey, str], data: Mapping[str, Any]
) -> list[Unexpressed]:
    """Take out prices for long contexts of kinds that have no price for short ones.

    Such a field is a slip of the list: gemini-2.5-pro has its cache read price there a second time.
    """
    problems = []
    for price_key in list(listed):
        kind, tier, above = price_key
        if above and PriceKey(kind, tier) not in listed and PriceKey(kind) not in listed:
            del listed[price_key]
            field = fields[price_key]
            reason = "a price for long contexts without one for short contexts"
            problems.append(Unexpressed(key, field, _shown(data[field]), reason))
    return problems


def _per_million(value: Any) -> str:
    """Return a price per token as a decimal string per million tokens, exact."""
    text = str(value)
    if not _NUMBER.fullmatch(text):
        raise ValueError("expected a decimal number")
    price = Fraction(text) * 10**6
    if not 0 <= price < MAX_PRICE:
        raise ValueError(f"expected 0 to below {MAX_PRICE} per million tokens")
    try:
        return format_decimal(price)
    except ValueError as error:
        raise ValueError("more than 18 decimals per million tokens") from error


def _reason(field: str) -> str:
    for pattern, reason in _REASONS:
        if re.search(pattern, field):
            return reason
    return "no field that this import knows"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
