"""Rules: what a price list means where it says nothing.

The list states few prices and leaves the rest to its reader, LiteLLM. These are its rules, as
components of a tariff in which the service tier outranks the context length:

1. A kind without a price takes that of another kind: the tariff's `FALLBACK`.
2. Priority and flex take the plain price where they state none. A plain price for long contexts
   beats the tier's price for any context, so it is repeated under the tier.
3. Batch keeps its own price however long the context is, and a kind without a batch price takes
   the batch price of its fallback before its own plain price.
4. In a tier with an output price of its own, reasoning without one costs the tier's output price.
5. A price above N tokens is for contexts longer than N; with xAI, for those of N as well.

Its guesses at prices that nobody listed are not followed: a missing batch price is the plain price,
not half of it, and a kind whose fallbacks have no price either is in suspense, not free.
"""

from collections.abc import Iterator

from engine.adapters.price_list.fields import ANY_TIER, BATCH, TIERS, Entry, Listed, PriceKey

FALLBACK = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "reasoning": "output",
    "audio_input": "input",
    "audio_output": "output",
    "image_input": "input",
    "image_output": "output",
}

_KEEPS_ITS_BATCH_PRICE = ("image_output",)
"""Image tokens cost many times what text does, and LiteLLM never falls back for them."""


_REACHING_IS_ABOVE = ("xai",)


def complete(entry: Entry) -> Iterator[tuple[PriceKey, str]]:
    """Yield the prices of an entry, and those that its tiers need so that the rules hold."""
    inclusive = entry.provider in _REACHING_IS_ABOVE
    for key, price in _with_tiers(entry.listed):
        yield (key._replace(above=key.above - 1) if key.above and inclusive else key), price


def _with_tiers(listed: Listed) -> Iterator[tuple[PriceKey, str]]:
    kinds = dict.fromkeys(key.kind for key in listed)
    for kind in kinds:
        plain = _stated(listed, kind, ANY_TIER)
        for above, price in plain.items():
            yield PriceKey(kind, ANY_TIER, above), price
        for tier in TIERS:
            prices = _in_tier(listed, kind, tier)
            if _stated(listed, kind, tier) or (plain and 0 in prices):
                for above, price in prices.items():
                    yield PriceKey(kind, tier, above), price


def _stated(listed: Listed, kind: str, tier: str) -> dict[int, str]:
    """Return what the list states for a kind in one tier, by context threshold."""
    return {key.above: price for key, price in listed.items() if key[:2] == (kind, tier)}


def _in_tier(listed: Listed, kind: str, tier: str) -> dict[int, str]:
    """Return the prices of a kind in a service tier; empty if the plain ones hold."""
    own = _stated(listed, kind, tier)
    if own:
        return own if tier == BATCH else _with_long_contexts(own, _stated(listed, kind, ANY_TIER))
    if kind == "reasoning" or (tier == BATCH and kind not in _KEEPS_ITS_BATCH_PRICE):
        source = FALLBACK.get(kind)
        return _in_tier(listed, source, tier) if source else {}
    return {}


def _with_long_contexts(own: dict[int, str], plain: dict[int, str]) -> dict[int, str]:
    """Add the plain prices of thresholds that a tier leaves out above its lowest one."""
    added = {above: price for above, price in plain.items() if above > min(own)}
    return {**added, **own}
