"""Fields of one entry: which are prices, and why the others are not in the tariff.

Every field is read by the module that knows its kind, is a known fact of the model that costs
nothing by itself, or is reported with a reason: tomorrow's list may bring a new kind of price.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.adapters.price_list.blocks import read_off_peak, read_ranges
from engine.adapters.price_list.entry import Entry, Finding
from engine.adapters.price_list.factors import free_images, is_factor, read_factors
from engine.adapters.price_list.numbers import shown
from engine.adapters.price_list.tokens import baseless, read_tokens, token_field
from engine.adapters.price_list.units import is_unit_field, read_units
from engine.rating.usage import MAX_TEXT

_NO_PRICE = re.compile(
    r"litellm_provider|mode|source|metadata|notes?|comments?|deprecation_date|rpm|tpm"
    r"|max_.*|supports_.*|supported_.*|output_vector_size|prompt_cache_min_tokens"
    r"|tool_use_system_prompt_tokens"
)
"""Facts of a model that cost nothing by themselves."""

_RANGES, _OFF_PEAK = "tiered_pricing", "off_peak_pricing"
_SEARCH_UNIT = "web_search_billing_unit"
_REASONS = (
    ("_dbu_", "the same price once more, in Databricks units instead of money"),
    ("search_free_requests", "free searches shared by models and a whole project, not an account"),
    ("_above_[0-9]+s_interval", "priced by the seconds between two pictures of a video"),
    ("per_text_message", "no kind of usage counts text messages of a conversation"),
    ("image_token|video_token|audio_token|token", "no kind of usage stands for these tokens"),
)
_DOUBT = "a price for long contexts without one for short ones, which cost what their fallback does"


class Reading(NamedTuple):
    """An entry, how many of its fields are in its prices, and what is to be said of others.

    `entry` is None if no usage can have its name. `problems` are fields that no price holds;
    `doubts` are prices that look like a slip of the list.
    """

    entry: Entry | None
    expressed: int
    problems: list[Finding]
    doubts: list[Finding]


def read_entry(key: str, data: Mapping[str, Any]) -> Reading:
    """Read an entry (decimals as text): its prices, and each field that is none of them."""
    fields = {field: value for field, value in data.items() if not _NO_PRICE.fullmatch(field)}
    provider = data.get("litellm_provider")
    for name, may_be_glob in ((key, True), (provider, False)):
        if not _is_name(name, may_be_glob=may_be_glob):
            reason = f"expected names of a model and a provider, got {shown(name)}"
            return Reading(None, 0, _findings(key, data, dict.fromkeys(fields, reason)), [])
    refused: dict[str, str] = {}
    entry = _read_prices(key, str(provider), data.get("mode"), fields, refused)
    doubtful = {}
    if entry.listed:
        slips = set(baseless(entry.listed))
        named = {field: token_field(field) for field in fields if field not in refused}
        doubtful = {field: _DOUBT for field, found in named.items() if found and found.key in slips}
    return Reading(
        entry,
        len(fields) - len(refused),
        _findings(key, data, refused),
        _findings(key, data, doubtful),
    )


def _findings(key: str, data: Mapping[str, Any], reasons: Mapping[str, str]) -> list[Finding]:
    return [
        Finding(key, field, shown(data[field]), reasons[field])
        for field in data
        if field in reasons
    ]


def _is_name(name: object, *, may_be_glob: bool) -> bool:
    """Say whether usage can have this name; a model's may be a glob, for any region."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TEXT or not name.isprintable():
        return False
    return may_be_glob or ("*" not in name and "?" not in name)


def _read_prices(
    key: str, provider: str, mode: object, fields: dict[str, Any], refused: dict[str, str]
) -> Entry:
    rest = dict(fields)
    tokens = _taken(rest, lambda field: token_field(field) is not None)
    units = _taken(rest, is_unit_field)
    factors = _taken(rest, is_factor)
    listed = read_tokens(tokens, refused)
    variants = read_factors(factors, listed, refused)
    listed.update(read_units(key, provider, mode, units, refused))
    ranges = _read_block(rest, _RANGES, read_ranges, refused)
    off_peak = _read_block(rest, _OFF_PEAK, read_off_peak, refused)
    unit = rest.pop(_SEARCH_UNIT, None)
    if unit not in (None, "per_query", "per_prompt"):
        refused[_SEARCH_UNIT] = "expected per_query or per_prompt"
    refused.update((field, _reason(field)) for field in rest)
    once = _is_gemini(key, provider) and unit != "per_query"
    free = free_images(factors, refused)
    return Entry(key, provider, listed, ranges or (), off_peak, variants, once, free)


def _taken(fields: dict[str, Any], is_wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Take the fields out that a module reads."""
    return {field: fields.pop(field) for field in list(fields) if is_wanted(field)}


def _read_block(
    fields: dict[str, Any], name: str, read: Callable[[Any], Any], refused: dict[str, str]
) -> Any:
    if name not in fields:
        return None
    try:
        return read(fields.pop(name))
    except ValueError as error:
        refused[name] = str(error)
        return None


def _is_gemini(key: str, provider: str) -> bool:
    """Say whether a model is Google's: its searches cost once for each call, unless said."""
    return provider == "gemini" or (provider.startswith("vertex_ai") and "claude" not in key)


def _reason(field: str) -> str:
    for pattern, reason in _REASONS:
        if re.search(pattern, field):
            return reason
    return "no field that this import knows"
