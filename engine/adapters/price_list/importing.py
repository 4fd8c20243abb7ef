"""Importing: a price list's text into one tariff version, and a report of what it leaves out.

The tariff is written as the document people write and then parsed like theirs, so an imported
price is checked by the same rules and has the same canonical form as one that a person typed.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.price_list.fields import Entry, PriceKey, Unexpressed, read_entry
from engine.adapters.price_list.names import Spelling, component_id, spellings
from engine.adapters.price_list.rules import FALLBACK, complete
from engine.rating.errors import InvalidDocument
from engine.rating.matching import Pattern
from engine.rating.period import format_instant, instant
from engine.rating.tariff import TariffVersion

NAME = "price list"
_PER = 1_000_000
_SAMPLE = "sample_spec"
"""The entry with which the list explains its own fields."""


class ImportedPrices(NamedTuple):
    """A tariff version, its document as people write it, and what the list says beyond it.

    `expressed` counts the fields of the list that became prices; `problems` names all the others.
    """

    version: TariffVersion
    document: dict[str, Any]
    expressed: int
    problems: list[Unexpressed]


def import_price_list(
    text: str,
    *,
    tariff_id: str,
    version: int,
    effective_from: datetime,
    currency: str = "USD",
    models: Sequence[str] = (),
) -> ImportedPrices:
    """Turn a price list in LiteLLM's format into one tariff version.

    `models` are names or globs (``*`` and ``?``) on the list's keys; none at all mean every model.
    Raises InvalidFile if the text is no price list, if a name or glob finds no model, or if the
    tariff's own fields break its rules.
    """
    if effective_from.tzinfo is None:
        raise _invalid("effective_from", effective_from, "a time with a zone")
    entries, problems = _read(_select(_parse(text), models))
    components = list(_components(entries))
    if not components:
        raise _invalid("models", list(models), "at least one model with a price per token")
    document = {
        "tariff_id": tariff_id,
        "version": version,
        "effective_from": format_instant(instant(effective_from)),
        "currency": currency,
        "fallback": dict(FALLBACK),
        "components": components,
    }
    return ImportedPrices(
        parse_tariff(document, NAME),
        document,
        sum(len(entry.listed) for entry in entries),
        problems,
    )


def _parse(text: str) -> dict[str, Any]:
    data = parse_text(text, NAME) if text.lstrip()[:1] == "{" else text[:40]
    if not isinstance(data, dict):
        raise _invalid("document", data, "a JSON object with one object per model")
    data.pop(_SAMPLE, None)
    return data


def _select(data: dict[str, Any], models: Sequence[str]) -> dict[str, Any]:
    """Return the entries that any of the names or globs fits; each has to fit one."""
    if not models:
        return data
    chosen: set[str] = set()
    for model in models:
        pattern = Pattern(glob=model)
        found = {key for key in data if pattern.matches(key)}
        if not model or not found:
            raise _invalid("models", model, "a name or glob of a model in the list")
        chosen |= found
    return {key: value for key, value in data.items() if key in chosen}


def _read(data: dict[str, Any]) -> tuple[list[Entry], list[Unexpressed]]:
    entries: list[Entry] = []
    problems: list[Unexpressed] = []
    for key, value in data.items():
        if not isinstance(value, dict):
            raise _invalid(f"model {key}", value, "an object of fields")
        entry, found = read_entry(key, value)
        problems += found
        if entry is not None and entry.listed:
            entries.append(entry)
    return entries, problems


def _components(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    names = spellings(entries)
    for entry in entries:
        prices = list(complete(entry))
        for spelling in names[entry.key]:
            for key, price in prices:
                yield _component(spelling, key, price)


def _component(spelling: Spelling, key: PriceKey, price: str) -> dict[str, Any]:
    providers = spelling.providers
    match: dict[str, Any] = {
        "model": spelling.model,
        "provider": providers[0] if len(providers) == 1 else list(providers),
    }
    if key.tier:
        match["service_tier"] = key.tier
    if key.above:
        match["context_above"] = key.above
    return {
        "id": component_id(spelling.label, key),
        "match": match,
        "kinds": [key.kind],
        "price": {"model": "unit", "unit_price": price, "per": _PER},
    }


def _invalid(place: str, value: object, expected: str) -> InvalidFile:
    return InvalidFile(NAME, [InvalidDocument(place, value, expected)])
