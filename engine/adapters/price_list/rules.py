"""Rules: what a price list means where it says nothing.

The list states few prices and leaves the rest to its reader, LiteLLM. These are its rules, as
components of a tariff. There the more specific match wins, in the order operation, service tier,
region, attribute, context, time, so what LiteLLM lets win is written out where the order differs:

1. A kind without a price takes that of another kind: the tariff's `FALLBACK`.
2. A tier takes the plain price where it states none. A plain price for long contexts beats the
   tier's price for any context, so it is repeated under the tier.
3. Batch keeps its own price however long the context is, and a kind without a batch price takes
   the batch price of its fallback before its own plain price.
4. In a tier with an output price of its own, reasoning without one costs the tier's output price.
5. A price above N tokens is for contexts longer than N; with xAI, for those of N as well.
6. Prices by ranges of input tokens replace tiers and contexts, but for batch (`ranges`).
7. Off-peak prices replace all others but batch while a window is open.

Its guesses at prices that nobody listed are not followed: a missing batch price is the plain price,
not half of it, and a kind whose fallbacks have no price either is in suspense, not free.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from engine.adapters.price_list.entry import (
    ALL_WEEK,
    ANY_CONTEXT,
    ANY_TIER,
    BATCH,
    DECISIONS,
    NO_ATTRIBUTE,
    TIERS,
    Entry,
    Listed,
    PriceKey,
    Variant,
)
from engine.adapters.price_list.ranges import with_ranges
from engine.rating.usage import TOKEN_KINDS

FALLBACK = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "reasoning": "output",
    "audio_input": "input",
    "audio_output": "output",
    "image_input": "input",
    "audio_cache_read": "cache_read",
    "image_output": "output",
}

_KEEPS_ITS_BATCH_PRICE = ("image_output",)
"""Image tokens cost many times what text does, and LiteLLM never falls back for them."""

_REACHING_IS_ABOVE = ("xai",)


Stated = dict[PriceKey, dict[int, Fraction]]
"""What the list states for a kind, tier and attribute, by context threshold."""


class Priced(NamedTuple):
    """A price that a component of the tariff is for."""

    key: PriceKey
    price: Fraction
    region: str = ""
    off_peak: bool = False


def complete(entry: Entry) -> Iterator[Priced]:
    """Yield the prices of an entry, and those that its tiers need so that the rules hold."""
    for operation in ("", DECISIONS):
        listed = _of_operation(entry.listed, operation)
        if not listed and (operation or not (entry.ranges or entry.off_peak)):
            continue
        for priced in _timed(entry, listed, with_ranges(_with_tiers(listed), entry.ranges)):
            for variant in (Variant(), *entry.variants):
                if _has_variant(priced.key, variant):
                    yield _varied(_inclusive(entry, priced), variant, operation)


def _of_operation(listed: Listed, operation: str) -> Listed:
    """Return the prices for an operation: its own, and the plain ones that it does not replace."""
    own = {key._replace(operation=""): listed[key] for key in listed if key.operation == operation}
    if not operation or not own:
        return own
    return {**{key: listed[key] for key in listed if not key.operation}, **own}


def _inclusive(entry: Entry, priced: Priced) -> Priced:
    if entry.provider not in _REACHING_IS_ABOVE or priced.key.above <= 0:
        return priced
    return priced._replace(key=priced.key._replace(above=priced.key.above - 1))


def _has_variant(key: PriceKey, variant: Variant) -> bool:
    """Say whether a price is there once more: a token's, and in one tier at a time."""
    if variant == Variant():
        return True
    return key.kind in TOKEN_KINDS and not (variant.tier and key.tier)


def _varied(priced: Priced, variant: Variant, operation: str) -> Priced:
    key = priced.key._replace(tier=variant.tier or priced.key.tier, operation=operation)
    return priced._replace(key=key, price=priced.price * variant.factor, region=variant.region)


def _timed(entry: Entry, listed: Listed, prices: Listed) -> Iterator[Priced]:
    """Yield prices, and what takes their place off peak."""
    off_peak = entry.off_peak.prices if entry.off_peak else {}
    always = entry.off_peak is not None and entry.off_peak.windows == (ALL_WEEK,)
    for kind in off_peak:  # a price that is there off peak only
        if not any(key.kind == kind for key in prices):
            yield Priced(PriceKey(kind), off_peak[kind], off_peak=not always)
    for key, price in prices.items():
        source = key.kind
        if source == "reasoning" and source not in off_peak and not _is_stated(listed, key):
            source = "output"
        replaced = source in off_peak and key.tier != BATCH
        if not (replaced and always):
            yield Priced(key, price)
        if replaced:
            yield Priced(key, off_peak[source], off_peak=not always)


def _is_stated(listed: Listed, wanted: PriceKey) -> bool:
    """Say whether the list has a price of a kind in its tier, for any context."""
    return any(key._replace(above=wanted.above) == wanted for key in listed)


def _with_tiers(listed: Listed) -> Listed:
    """Return the prices of each kind (and attribute) for any tier, and for each that differs."""
    stated = _stated(listed)
    found: Listed = {}
    for group in dict.fromkeys(key._replace(tier=ANY_TIER) for key in stated):
        plain = stated.get(group, {})
        for tier in (ANY_TIER, *TIERS):
            in_tier = group._replace(tier=tier)
            prices = plain if tier == ANY_TIER else _in_tier(stated, group, tier)
            if in_tier in stated or (plain and ANY_CONTEXT in prices):
                for above, price in prices.items():
                    found[in_tier._replace(above=above)] = price
    return found


def _stated(listed: Listed) -> Stated:
    stated: Stated = {}
    for key, price in listed.items():
        stated.setdefault(key._replace(above=ANY_CONTEXT), {})[key.above] = price
    return stated


def _in_tier(stated: Stated, group: PriceKey, tier: str) -> dict[int, Fraction]:
    """Return the prices of a kind in a service tier; empty if the plain ones hold."""
    own = stated.get(group._replace(tier=tier), {})
    plain = stated.get(group, {})
    if own:
        return own if tier == BATCH else _with_long_contexts(own, plain)
    if group.attribute != NO_ATTRIBUTE:
        # a tier comes before an attribute, so a price of the kind there would hide this one
        kind = group._replace(attribute=NO_ATTRIBUTE)
        return plain if tier != BATCH and _in_tier(stated, kind, tier) else {}
    if group.kind == "reasoning" or (tier == BATCH and group.kind not in _KEEPS_ITS_BATCH_PRICE):
        source = FALLBACK.get(group.kind)
        return _in_tier(stated, PriceKey(source), tier) if source else {}
    return {}


def _with_long_contexts(
    own: dict[int, Fraction], plain: dict[int, Fraction]
) -> dict[int, Fraction]:
    """Add the plain prices of thresholds that a tier leaves out above its lowest one."""
    added = {above: price for above, price in plain.items() if above > min(own)}
    return {**added, **own}
