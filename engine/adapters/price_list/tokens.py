"""Token prices: the field's name says everything.

What is metered, ``_above_200k_tokens`` (the price of every token of a request with a longer
context), and the service tier (``_batches``, ``_priority``, ``_flex`` ...) or the operation
(``_decisions``). Prices stand per token, mostly with an exponent; people quote them per million,
so that is how they enter the tariff, to the digit.

Some fields price tokens that usage does not tell apart, such as cached images. Where they cost the
same as the kind that counts them nothing is lost; where not, the field is named as not expressed.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engine.adapters.price_list.entry import (
    ANY_CONTEXT,
    ANY_TIER,
    BATCH,
    DECISIONS,
    NO_ATTRIBUTE,
    Listed,
    PriceKey,
)
from engine.adapters.price_list.numbers import read_price

_CACHE_READ = "cache_read_input_token_cost"
_CACHE_WRITE = "cache_creation_input_token_cost"
_NAMES: dict[str, tuple[str, tuple[str, str]]] = {
    "input_cost_per_token": ("input", NO_ATTRIBUTE),
    _CACHE_READ: ("cache_read", NO_ATTRIBUTE),
    _CACHE_WRITE: ("cache_write_5m", NO_ATTRIBUTE),
    f"{_CACHE_WRITE}_above_1hr": ("cache_write_1h", NO_ATTRIBUTE),
    f"{_CACHE_WRITE}_above_12hr": ("cache_write_1h", ("cache_ttl", "12h")),
    f"explicit_{_CACHE_READ}": ("cache_read", ("cache_type", "ephemeral")),
    "output_cost_per_token": ("output", NO_ATTRIBUTE),
    "output_cost_per_reasoning_token": ("reasoning", NO_ATTRIBUTE),
    "input_cost_per_audio_token": ("audio_input", NO_ATTRIBUTE),
    "output_cost_per_audio_token": ("audio_output", NO_ATTRIBUTE),
    "input_cost_per_image_token": ("image_input", NO_ATTRIBUTE),
    "cache_read_input_audio_token_cost": ("audio_cache_read", NO_ATTRIBUTE),
    "output_cost_per_image_token": ("image_output", NO_ATTRIBUTE),
}
_COUNTED_AS = {
    "input_cost_per_token_cache_hit": ("cache_read", "another price of cached tokens"),
    "cache_read_input_image_token_cost": (
        "cache_read",
        "no kind of usage stands for cached images; they cost what cached tokens cost",
    ),
    "cache_creation_input_audio_token_cost": (
        "cache_write_5m",
        "no kind of usage stands for audio put in a cache; it costs what other tokens cost there",
    ),
    "input_cost_per_video_token": ("input", "no kind of usage stands for tokens of video"),
    "output_cost_per_video_token": ("output", "no kind of usage stands for tokens of video"),
    "citation_cost_per_token": ("input", "no kind of usage stands for tokens of citations"),
}
"""Fields whose tokens usage counts in a kind that has a price of its own, and what that loses."""

_SYNONYM = "input_cost_per_token_cache_hit"
_TIERS = {
    "batches": BATCH,
    **{tier: tier for tier in ("priority", "flex", "balanced", "ultrafast")},
}
_FIELD = re.compile(
    rf"({'|'.join((*_NAMES, *_COUNTED_AS))})"
    rf"(?:_above_([1-9][0-9]{{0,8}})k_tokens)?(?:_({'|'.join((*_TIERS, DECISIONS))}))?"
)


class TokenField(NamedTuple):
    """What the name of a token price says: its base name, and what the price is for."""

    name: str
    key: PriceKey


def token_field(field: str) -> TokenField | None:
    """Return what a field's name says if it is the price of a token."""
    found = _FIELD.fullmatch(field)
    if found is None:
        return None
    kind, attribute = _NAMES.get(found[1]) or (_COUNTED_AS[found[1]][0], NO_ATTRIBUTE)
    return TokenField(
        found[1],
        PriceKey(
            kind,
            _TIERS.get(found[3], ANY_TIER),
            int(found[2]) * 1000 if found[2] else ANY_CONTEXT,
            attribute,
            DECISIONS if found[3] == DECISIONS else "",
        ),
    )


def read_tokens(fields: Mapping[str, Any], refused: dict[str, str]) -> Listed:
    """Return the token prices of these fields; names those in `refused` that no tariff can hold."""
    listed: Listed = {}
    counted = []
    for field, value in fields.items():
        found = token_field(field)
        assert found is not None, field  # noqa: S101 - the caller sorted the fields
        try:
            price = read_price(value, found.key.kind)
        except ValueError as error:
            refused[field] = str(error)
            continue
        if found.name in _NAMES:
            listed[found.key] = price
        else:
            counted.append((field, found, price))
    for field, found, price in counted:
        if found.name == _SYNONYM:
            listed.setdefault(found.key, price)
        if listed.get(found.key) != price:
            refused[field] = _COUNTED_AS[found.name][1]
    return listed


def baseless(listed: Listed) -> Iterator[PriceKey]:
    """Yield prices for long contexts of what has no price for short ones: slips of the list."""
    for key in listed:
        short = key._replace(above=ANY_CONTEXT)
        if key.above != ANY_CONTEXT and not listed.keys() & {short, short._replace(tier=ANY_TIER)}:
            yield key


def read_kinds(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prices of a nested block by kind. ValueError for a field it may not have."""
    prices = {}
    for field, value in fields.items():
        kind, attribute = _NAMES.get(field, ("", NO_ATTRIBUTE))
        if not kind or attribute != NO_ATTRIBUTE:
            raise ValueError(f"the field {field} in it is not known")
        prices[kind] = read_price(value, kind)
    return prices
