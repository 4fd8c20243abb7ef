"""Components: each price of an entry as a component of a tariff document, in the words people use."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from engine.adapters.price_list.entry import NO_ATTRIBUTE, Entry, OffPeak
from engine.adapters.price_list.names import Spelling, component_id, spellings
from engine.adapters.price_list.numbers import quote
from engine.adapters.price_list.rules import Priced, complete
from engine.rating.money import format_decimal


def components(entries: Sequence[Entry], markup_percent: str) -> Iterator[dict[str, Any]]:
    """Yield a component for each price and name of each entry; empty markup: the list's price."""
    names = spellings(entries)
    for entry in entries:
        prices = list(complete(entry))
        for spelling in names[entry.key]:
            for priced in prices:
                component = _component(entry, spelling, priced)
                if markup_percent:
                    component["markup_percent"] = markup_percent
                yield component


def _component(entry: Entry, spelling: Spelling, priced: Priced) -> dict[str, Any]:
    component: dict[str, Any] = {
        "id": component_id(spelling.label, priced),
        "match": _match(entry, spelling, priced),
        "kinds": [priced.key.kind],
        "price": _price(priced.key.kind, priced.price, once=entry.once_a_call),
    }
    if entry.free_images and priced.key.kind == "image":
        component["allowance"] = entry.free_images
    return component


def _match(entry: Entry, spelling: Spelling, priced: Priced) -> dict[str, Any]:
    key, providers = priced.key, spelling.providers
    match: dict[str, Any] = {
        "model": spelling.model,
        "provider": providers[0] if len(providers) == 1 else list(providers),
    }
    texts = {"operation": key.operation, "service_tier": key.tier, "region": priced.region}
    match |= {name: text for name, text in texts.items() if text}
    if key.attribute != NO_ATTRIBUTE:
        name, value = key.attribute
        match["attributes"] = {name: value}
    if key.above >= 0:
        match["context_above"] = key.above
    if priced.off_peak and entry.off_peak:
        match["time"] = _time(entry.off_peak)
    return match


def _time(off_peak: OffPeak) -> list[dict[str, Any]]:
    return [
        {"hours": list(window.hours)}
        | ({"weekdays": list(window.weekdays)} if window.weekdays else {})
        for window in off_peak.windows
    ]


def _price(kind: str, price: Fraction, *, once: bool) -> dict[str, Any]:
    amount, per = quote(price, kind)
    if kind == "search" and once:
        return {"model": "flat", "amount": format_decimal(price)}
    unit_price: dict[str, Any] = {"model": "unit", "unit_price": amount}
    return unit_price if per == 1 else {**unit_price, "per": per}
