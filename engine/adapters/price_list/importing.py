"""Importing: a price list's text into one tariff version, and a report of what it leaves out.

The tariff is written as the document people write and then parsed like theirs, so an imported
price is checked by the same rules and has the same canonical form as one that a person typed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.price_list.components import components
from engine.adapters.price_list.entry import Entry, Finding
from engine.adapters.price_list.fields import read_entry
from engine.adapters.price_list.rules import FALLBACK
from engine.rating.errors import InvalidDocument
from engine.rating.money import format_decimal, parse_decimal
from engine.rating.pattern import Pattern
from engine.rating.period import format_instant, instant
from engine.rating.tariff import TariffVersion

NAME = "price list"
_SAMPLE = "sample_spec"
"""The entry with which the list explains its own fields."""


class ReadList(NamedTuple):
    """What a price list says: entries with prices, and a word on all the others.

    `expressed` counts the fields that are in the prices. `problems` names all other fields,
    `doubts` prices that look like a slip, and `without_price` models that have no price at all.
    """

    entries: list[Entry]
    expressed: int
    problems: list[Finding]
    doubts: list[Finding]
    without_price: list[str]


class ImportedPrices(NamedTuple):
    """A tariff version, its document as people write it, and what the list says beyond it."""

    version: TariffVersion
    document: dict[str, Any]
    models: int
    expressed: int
    problems: list[Finding]
    doubts: list[Finding]
    without_price: list[str]


def import_price_list(
    text: str,
    *,
    tariff_id: str,
    version: int,
    effective_from: datetime,
    currency: str = "USD",
    models: Sequence[str] = (),
    markup_percent: str = "",
) -> ImportedPrices:
    """Turn a price list in LiteLLM's format into one tariff version.

    `models` are names or globs (``*`` and ``?``) on the list's keys; none at all mean every model.
    `markup_percent` goes onto every component; the list's price stays readable beside it.
    Raises InvalidFile if the text is no price list, if a name or glob finds no model, or if the
    tariff's own fields break its rules.
    """
    if effective_from.tzinfo is None:
        raise invalid("effective_from", effective_from, "a time with a zone")
    entries = select(parse_list(text), models)
    read = read_list(entries)
    document = tariff_document(
        read.entries,
        tariff_id=tariff_id,
        version=version,
        effective_from=instant(effective_from),
        currency=currency,
        markup_percent=check_markup(markup_percent),
    )
    if not document["components"]:
        raise invalid("models", list(models), "at least one model with a price")
    return ImportedPrices(parse_tariff(document, NAME), document, len(entries), *read[1:])


def parse_list(text: str) -> dict[str, Any]:
    """Return the list's entries, decimals as text. InvalidFile if the text is no list."""
    data = parse_text(text, NAME) if text.lstrip()[:1] == "{" else text[:40]
    if not isinstance(data, dict):
        raise invalid("document", data, "a JSON object with one object per model")
    data.pop(_SAMPLE, None)
    return data


def select(data: Mapping[str, Any], models: Sequence[str]) -> dict[str, Any]:
    """Return the entries that any of the names or globs fits; each has to fit one."""
    if not models:
        return dict(data)
    chosen: set[str] = set()
    for model in models:
        pattern = Pattern(glob=model)
        found = {key for key in data if pattern.matches(key)}
        if not model or not found:
            raise invalid("models", model, "a name or glob of a model in the list")
        chosen |= found
    return {key: value for key, value in data.items() if key in chosen}


def read_list(data: Mapping[str, Any]) -> ReadList:
    """Read every entry. InvalidFile if one is no object."""
    read = ReadList([], 0, [], [], [])
    expressed = 0
    for key, value in data.items():
        if not isinstance(value, dict):
            raise invalid(f"model {key}", value, "an object of fields")
        reading = read_entry(key, value)
        expressed += reading.expressed
        read.problems.extend(reading.problems)
        read.doubts.extend(reading.doubts)
        if reading.entry is not None and reading.entry.has_prices:
            read.entries.append(reading.entry)
        elif not reading.problems:
            read.without_price.append(key)
    return read._replace(expressed=expressed)


def tariff_document(
    entries: Sequence[Entry],
    *,
    tariff_id: str,
    version: int,
    effective_from: int,
    currency: str,
    markup_percent: str,
) -> dict[str, Any]:
    """Return the document of a version with the prices of these entries."""
    return {
        "tariff_id": tariff_id,
        "version": version,
        "effective_from": format_instant(effective_from),
        "currency": currency,
        "fallback": dict(FALLBACK),
        "components": list(components(entries, markup_percent)),
    }


def check_markup(percent: str) -> str:
    """Return a markup in its shortest form, empty for none. InvalidFile if it is no percentage."""
    try:
        markup = parse_decimal(percent or "0")
        exact = markup * 10**4
    except ValueError:
        exact = Fraction(1, 2)
    if exact.denominator != 1 or not -(10**6) <= exact < 10**10:
        raise invalid("markup", percent, "a percentage from -100 with 4 decimals at most")
    return format_decimal(markup) if markup else ""


def invalid(place: str, value: object, expected: str) -> InvalidFile:
    """Return the error of a list or an option that can not be imported."""
    return InvalidFile(NAME, [InvalidDocument(place, value, expected)])
