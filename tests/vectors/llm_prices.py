"""Prices of models, written as a tariff: one component per kind, tier, context, time and markup.

The language compares model, provider, service tier, context and time in this order; price lists
say that a long context beats a service tier and that off-peak beats both. So what beats is repeated
under what it is to beat.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from tests.vectors.offline import CALL
from tests.vectors.records import Record, number, text
from tests.vectors.windows import hold_always, write_windows

KINDS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "audio_input": "audio_input",
    "audio_output": "audio_output",
    "image_input": "image_input",
    "image_output": "image_output",
    "reasoning_output": "reasoning",
    "video_output": "image",
}
"""The kind for each rate of a record. There is none for video tokens: images stand for them."""

FALLBACK = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_input": "input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
    "image": "output",
}
"""Whose rate a kind takes without one of its own."""

PER = {"per_token": 1, "per_million_tokens": 10**6}
DURATIONS = {"per_second": 1_000, "per_minute": 60_000, "per_hour": 3_600_000}
"""Milliseconds that a rate is for."""

Rates = dict[str, Fraction]
ByThreshold = dict[int | None, Fraction]
"""Rates of one kind by the context they are above; None: any context."""

_IN_A_REQUEST_TIER = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
)


class Rate(NamedTuple):
    """One rate of a kind: in a service tier, above a context, off-peak or at any time."""

    kind: str
    value: Fraction
    tier: str = ""
    above: int | None = None
    is_off_peak: bool = False


def write_llm_price(price: Record) -> dict[str, Any]:
    """Return the tariff document of a model's price."""
    if price.get("unit") in DURATIONS:
        (rate,) = price["rates"].values()
        per = DURATIONS[price["unit"]]
        component = _component("time", ["millisecond"], number(rate), per)
        return {"components": [component]}
    windows, zone = write_windows(price.get("off_peak"))
    per = PER[price.get("unit", "per_million_tokens")]
    rates = [rate for rate in _all_rates(price) if windows or not rate.is_off_peak]
    if hold_always(windows):
        off = {rate[:1] + rate[2:4] for rate in rates if rate.is_off_peak}
        rates = [r for r in rates if r.is_off_peak or r[:1] + r[2:4] not in off]
    components = [
        _with_match(rate, markup, per, windows) for markup in _markups(price) for rate in rates
    ]
    return {**zone, "fallback": FALLBACK, "components": components}


def _component(name: str, kinds: Sequence[str], rate: Fraction, per: int) -> dict[str, Any]:
    unit = {"model": "unit", "unit_price": text(rate), "per": per}
    return {"id": name, "kinds": list(kinds), "price": unit}


class _Markup(NamedTuple):
    name: str
    match: Mapping[str, str]
    percent: Fraction


def _markups(price: Record) -> list[_Markup]:
    """Return the markups: that of the model beats the provider's, that the default."""
    if "markups_percent" not in price:
        return [_Markup("any", {}, number(price.get("markup_percent")))]
    given = price["markups_percent"]
    found = [_Markup("any", {}, number(given.get("default")))]
    found += [
        _Markup(name, {name: CALL[name]}, number(given[name]))
        for name in ("provider", "model")
        if given.get(name) is not None
    ]
    return found


def _with_match(
    rate: Rate, markup: _Markup, per: int, windows: list[dict[str, Any]]
) -> dict[str, Any]:
    match: dict[str, Any] = dict(markup.match)
    if rate.tier:
        match["service_tier"] = rate.tier
    if rate.above is not None:
        match["context_above"] = rate.above
    if rate.is_off_peak and not hold_always(windows):
        match["time"] = windows
    hour = "off-peak" if rate.is_off_peak else "any-time"
    name = f"{rate.kind}/{markup.name}/{rate.tier or 'any'}/{rate.above}/{hour}"
    component = _component(name, [rate.kind], rate.value, per)
    if match:
        component["match"] = match
    if markup.percent:
        component["markup_percent"] = text(markup.percent)
    return component


def read_rates(rates: Mapping[str, object]) -> Rates:
    """Return rates by kind; an explicit 0 is a rate, nothing is none."""
    return {KINDS[name]: number(rate) for name, rate in rates.items() if rate is not None}


def _all_rates(price: Record) -> list[Rate]:
    tiers = {name: read_rates(rates) for name, rates in (price.get("service_tiers") or {}).items()}
    named = [
        row["service_tier"] for row in price.get("context_tiers", []) if row.get("service_tier")
    ]
    kinds = dict.fromkeys(KINDS.values())
    found = [
        Rate(kind, value, tier, above)
        for tier in ("", *dict.fromkeys((*tiers, *named)))
        for kind in kinds
        for above, value in _in_tier(price, tiers, tier, kind).items()
    ]
    priced = {rate.kind for rate in found if not rate.tier and rate.above is None}
    found += [Rate(kind, Fraction(0)) for kind in ("input", "output") if kind not in priced]
    off_peak = price.get("off_peak")
    rates = off_peak.get("rates") if isinstance(off_peak, Mapping) else None
    off_rates = read_rates(rates or {})
    at_output = {tier for tier in tiers if _reasons_at_output(tiers, tier)}
    return [*found, *_off_peak(off_rates, found, at_output)]


def _off_peak(rates: Rates, others: list[Rate], at_output: set[str]) -> Iterator[Rate]:
    """Yield the off-peak rates: beside every rate that they are to beat."""
    if "output" in rates and "reasoning" not in rates:
        for rate in others:
            if rate.kind == "reasoning" and rate.tier in at_output:
                yield rate._replace(value=rates["output"], is_off_peak=True)
    for kind, value in rates.items():
        places = {(rate.tier, rate.above) for rate in others if rate.kind == kind}
        for tier, above in sorted(places | {("", None)}, key=str):
            yield Rate(kind, value, tier, above, is_off_peak=True)


def _in_tier(price: Record, tiers: Mapping[str, Rates], tier: str, kind: str) -> ByThreshold:
    """Return a kind's rates in a service tier; none if the plain ones hold there as well."""
    plain = _stated(price, {}, "", kind)
    if not tier:
        return plain
    own = _stated(price, tiers, tier, kind)
    if kind == "reasoning" and (plain or own) and _reasons_at_output(tiers, tier):
        plain.pop(None, None)
        reasoning = {**plain, **own}
        first = min((above for above in reasoning if above is not None), default=None)
        output = _in_tier(price, tiers, tier, "output").items()
        below = {a: rate for a, rate in output if a is None or first is None or a < first}
        return {**below, **reasoning}
    return {**plain, **own} if own else {}


def _reasons_at_output(tiers: Mapping[str, Rates], tier: str) -> bool:
    """Say whether a service tier has its own rate of output, but none of reasoning."""
    rates = tiers.get(tier, {})
    return "output" in rates and "reasoning" not in rates


def _stated(price: Record, tiers: Mapping[str, Rates], tier: str, kind: str) -> ByThreshold:
    rates = tiers.get(tier, {}) if tier else read_rates(price.get("rates") or {})
    found: ByThreshold = {None: rates[kind]} if kind in rates else {}
    for row in price.get("context_tiers") or []:
        above = read_rates(row["rates"])
        if (row.get("service_tier") or "") == tier and kind in above:
            found[int(number(row["above"]))] = above[kind]
    return found if tier else {**found, **_request_tiers(price, kind)}


def _request_tiers(price: Record, kind: str) -> ByThreshold:
    """Return a kind's rates in the ranges (low, high] of input tokens.

    A range is whole: a kind without a rate of its own takes that of its fallback in the range. In
    a gap between ranges the flat rates hold.
    """
    rows = sorted(price.get("request_tiers") or [], key=lambda row: number(row["range"][0]))
    flat = read_rates(price.get("rates") or {})
    found: ByThreshold = {}
    for position, row in enumerate(rows):
        rates = read_rates(row["rates"])
        low, high = (int(number(bound)) for bound in row["range"])
        source: str | None = kind
        while kind in _IN_A_REQUEST_TIER and source is not None and source not in rates:
            source = FALLBACK.get(source)
        if source in rates:
            found[low] = rates[source]
        if position + 1 < len(rows) and number(rows[position + 1]["range"][0]) > high:
            found.update({high: flat[kind]} if kind in flat else {})
    return found
