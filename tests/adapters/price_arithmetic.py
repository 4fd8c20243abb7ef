"""The list's own arithmetic: what a call costs by the raw fields of an entry, in exact fractions.

Written from the list's rules, with nothing of the importer in it, so that the two can disagree. It
knows calls of tokens, searches, seconds, characters and images; the usage that it prices has
disjoint kinds, as everywhere here.
"""

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

Entry = Mapping[str, Any]
"""Fields of one model, decimals as text."""

INPUT_KINDS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "audio_cache_read",
)
FIELDS = {
    "input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "audio_input": "input_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "audio_cache_read": "cache_read_input_audio_token_cost",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_output": "output_cost_per_audio_token",
    "image_output": "output_cost_per_image_token",
}
INSTEAD = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_input": "input",
    "image_input": "input",
    "audio_cache_read": "cache_read",
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
}
IN_BLOCKS = ("input", "cache_read", "cache_write_5m", "output", "reasoning")
OTHERS = {
    "millisecond": (("cost_per_second", "input_cost_per_second", "output_cost_per_second"), 1000),
    "character": (("input_cost_per_character", "output_cost_per_character"), 1),
    "image": (("input_cost_per_image", "output_cost_per_image"), 1),
    "request": (("input_cost_per_request",), 1),
}


def cost(entry: Entry, usage: Mapping[str, int], tier: str, at: datetime) -> Fraction | None:
    """Return what a call costs in the list's currency; None if the list does not say."""
    total = Fraction(0)
    tokens = sum(usage.get(kind, 0) for kind in INPUT_KINDS)
    for kind, quantity in usage.items():
        if kind in FIELDS:
            rate = _token_rate(entry, kind, tier, tokens, at)
        elif kind == "search":
            rate = _search_rate(entry, quantity)
        else:
            rate = _other_rate(entry, kind)
        if rate is None:
            return None
        total += rate * quantity
    return total


def _token_rate(entry: Entry, kind: str, tier: str, tokens: int, at: datetime) -> Fraction | None:
    if tier == "batch" and not _has_batch_price(entry, kind):
        tier = "standard"
    if tier != "batch":
        block = entry.get("off_peak_pricing")
        if block and _is_open(block, at) and kind in IN_BLOCKS and FIELDS[kind] in block:
            return Fraction(block[FIELDS[kind]])
        ranged = _range(entry, tokens)
        if ranged is not None and kind in (*IN_BLOCKS, "cache_write_1h"):
            rate = _in_range(ranged, kind)
            if rate is not None:
                return rate
    own = _stated(entry, kind, tier, tokens)
    if own is None and kind in INSTEAD:
        return _token_rate(entry, INSTEAD[kind], tier, tokens, at)
    return own


def _stated(entry: Entry, kind: str, tier: str, tokens: int) -> Fraction | None:
    """Return the price that the list states for a kind in a tier, for a context so long."""
    suffix = {"standard": "", "batch": "_batches"}.get(tier, f"_{tier}")
    if tier == "batch":
        rate = _at_length(entry, kind, [suffix], tokens)
        if rate is None and kind in INSTEAD and _has_batch_price(entry, INSTEAD[kind]):
            return None  # the batch price of what is charged instead comes first
        return rate if rate is not None else _at_length(entry, kind, [""], tokens)
    own, output = (f"{FIELDS[name]}{suffix}" for name in ("reasoning", "output"))
    if kind == "reasoning" and suffix and own not in entry and output in entry:
        return None
    return _at_length(entry, kind, [suffix, ""] if suffix else [""], tokens)


def _has_batch_price(entry: Entry, kind: str) -> bool:
    """Say whether a kind, or one that is charged instead, has a batch price."""
    stated = any(field.startswith(FIELDS[kind]) and "_batches" in field for field in entry)
    keeps = kind == "image_output" and FIELDS[kind] in entry
    if stated or keeps or kind not in INSTEAD:
        return stated
    return _has_batch_price(entry, INSTEAD[kind])


def _at_length(entry: Entry, kind: str, suffixes: list[str], tokens: int) -> Fraction | None:
    """Return the price above the highest threshold that the context exceeds; tiers first."""
    found = None
    for threshold in (0, 32, 100, 128, 200, 256, 272, 512):
        reached = tokens > threshold * 1000
        if entry["litellm_provider"] == "xai":
            reached = tokens >= threshold * 1000
        above = f"_above_{threshold}k_tokens" if threshold else ""
        stated = [f"{FIELDS[kind]}{above}{suffix}" for suffix in suffixes]
        present = [entry[field] for field in stated if field in entry]
        if (reached or not threshold) and present:
            found = Fraction(present[0])
    return found


def _range(entry: Entry, tokens: int) -> Entry | None:
    ranges = entry.get("tiered_pricing", [])
    if not ranges or not tokens:
        return None
    for item in ranges:
        low, high = (Fraction(bound) for bound in item["range"])
        if low < tokens <= high:
            return dict(item)
    return dict(ranges[-1])


def _in_range(item: Entry, kind: str) -> Fraction | None:
    if FIELDS[kind] in item:
        return Fraction(item[FIELDS[kind]])
    return _in_range(item, INSTEAD[kind]) if kind in INSTEAD else None


def _is_open(block: Entry, at: datetime) -> bool:
    """Say whether it is off peak. Hours and weekdays are UTC's, as in every block of the list."""
    rules = [{"hours_utc": block.get("hours_utc", [])}, *block.get("windows", [])]
    for rule in rules:
        hours = rule["hours_utc"]
        if at.isoweekday() not in rule.get("weekdays", range(1, 8)):
            continue
        for text in [hours] if isinstance(hours, str) else hours:
            start, end = text.split("-")
            clock = at.strftime("%H:%M")
            if start < end and start <= clock < end:
                return True
            if start >= end and (clock >= start or clock < end):
                return True
    return False


def _search_rate(entry: Entry, quantity: int) -> Fraction | None:
    if "input_cost_per_query" in entry:
        return Fraction(entry["input_cost_per_query"])
    sizes = entry.get("search_context_cost_per_query")
    if sizes is None:
        return None
    usual = "low" if entry["litellm_provider"] == "perplexity" else "medium"
    rate = Fraction(sizes[f"search_context_size_{usual}"])
    provider = entry["litellm_provider"]
    once = provider in ("gemini", "vertex_ai", "vertex_ai-language-models")
    return rate / quantity if once and "web_search_billing_unit" not in entry else rate


def _other_rate(entry: Entry, kind: str) -> Fraction | None:
    fields, per = OTHERS[kind]
    if kind == "image" and entry["mode"] in ("image_generation", "image_edit"):
        fields = fields[1:] if fields[1] in entry else fields  # the images that a call makes
    rates = {Fraction(entry[field]) for field in fields if field in entry}
    if len(rates - {Fraction(0)}) > 1:
        return None  # a call's characters are counted once, not by input and output
    return max(rates) / per if rates else None
