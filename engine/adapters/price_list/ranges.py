"""Ranges: prices that all tokens of a call take from how many input tokens it has.

A call has one range, so its prices never mix. What a range leaves out follows LiteLLM: a cache
costs the range's input price, reasoning its output price, and output the price outside ranges.
A call without input tokens is in no range.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from engine.adapters.price_list.entry import ANY_CONTEXT, BATCH, Listed, PriceKey, Range
from engine.rating.usage import CONTEXT_KINDS

_MISSING = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "reasoning": "output",
}
"""Whose price in a range stands in, in the order in which they are found."""

_IN_RANGES = ("input", "output", *_MISSING)


def with_ranges(prices: Listed, ranges: Sequence[Range]) -> Listed:
    """Return prices with those of ranges in the place of contexts and tiers (but for batch)."""
    if not ranges:
        return prices
    found = dict(prices)
    named = {key.kind for key in prices} | {kind for item in ranges for kind in item.prices}
    completed = [(item.above, _completed(item.prices)) for item in ranges]
    for kind in _IN_RANGES:
        if kind not in named:
            continue
        groups = dict.fromkeys(
            key._replace(above=ANY_CONTEXT)
            for key in (PriceKey(kind), *prices)
            if key.kind == kind and key.tier != BATCH
        )
        for group in groups:
            found.update(_in_group(found, group, completed))
    return found


def _completed(prices: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return the prices of a range with those that stand in for what it leaves out."""
    completed = dict(prices)
    for kind, source in _MISSING.items():
        if kind not in completed and source in completed:
            completed[kind] = completed[source]
    return completed


def _in_group(
    found: Listed, group: PriceKey, ranges: Sequence[tuple[int, Mapping[str, Fraction]]]
) -> Listed:
    """Return the prices of one kind and tier by range; takes its other thresholds out."""
    outside = found.get(group)
    counts = group.kind in CONTEXT_KINDS  # where there is any of it, there is a context
    for key in [
        key for key in found if key.above >= 0 and key._replace(above=ANY_CONTEXT) == group
    ]:
        del found[key]
    taken: Listed = {}
    for above, prices in ranges:
        price = prices.get(group.kind, outside)
        if price is not None:
            always = counts and above == 0
            taken[group._replace(above=ANY_CONTEXT if always else above)] = price
    return taken
