"""History: dated changes of a price list, turned into a chain of tariff versions.

A line is one field of one model at one date: ``set`` (first seen), ``changed``, ``field_absent``
and ``model_removed`` (no value any more). A version takes effect at 00:00 UTC of each date at which
a chosen price changed, and is complete, so that usage of any day has the prices of its day. The
dates are those of snapshots: the price changed after the line's ``not_before``, by its ``date``.

The history has no field that never changed. Those come from the list itself, if it is given too.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, NamedTuple

from engine.adapters.documents.reading import InvalidFile
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.price_list.importing import (
    ImportedPrices,
    ReadList,
    check_markup,
    invalid,
    read_list,
    select,
    tariff_document,
)
from engine.rating.errors import InvalidDocument
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, instant

NAME = "price history"
MAX_LINES = 1_000_000
_ENDS = ("field_absent", "model_removed")
_KINDS = ("set", "changed", *_ENDS)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

Models = dict[str, dict[str, Any]]
"""Fields by model: a price list."""


class Change(NamedTuple):
    """What one line says: from `day` on a field of a model has a value, or none any more."""

    day: date
    model: str
    field: str
    value: str | None
    provider: str | None
    ends_model: bool


class Chain(NamedTuple):
    """What every version of a chain has in common. `currency` is that of the list."""

    tariff_id: str
    currency: str = "USD"
    markup_percent: str = ""


def read_history(lines: Iterable[tuple[int, str]]) -> list[Change]:
    """Return the changes of (line number, text) pairs by date. InvalidFile for a line that is none."""
    changes: list[Change] = []
    for number, text in lines:
        if len(changes) >= MAX_LINES:
            raise _invalid(number, "one more line", f"{MAX_LINES} lines at most")
        changes.append(_change(number, text))
    changes.sort(key=lambda change: change.day)
    return changes


def _change(number: int, text: str) -> Change:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(number, text[:40], "a JSON object") from error
    if not isinstance(data, dict):
        raise _invalid(number, text[:40], "a JSON object")
    for name in ("model", "field"):
        if not isinstance(data.get(name), str) or not data[name]:
            raise _invalid(number, data.get(name), f"a text as {name}")
    kind, value, provider = (data.get(name) for name in ("kind", "value", "litellm_provider"))
    if kind not in _KINDS:
        raise _invalid(number, kind, f"kind to be one of {', '.join(_KINDS)}")
    if (value is None) != (kind in _ENDS) or not isinstance(value, str | None):
        raise _invalid(number, value, f"a decimal string as value, or none with {_ENDS}")
    if not isinstance(provider, str | None):
        raise _invalid(number, provider, "a text as litellm_provider")
    day = _day(number, data.get("date"))
    return Change(day, data["model"], data["field"], value, provider, kind == "model_removed")


def _day(number: int, text: Any) -> date:
    expected = "a date such as 2026-11-12, from 2000 to 2049"
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise _invalid(number, text, expected)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise _invalid(number, text, expected) from error
    if not FIRST_INSTANT <= _start(day) < LAST_INSTANT:
        raise _invalid(number, text, expected)
    return day


def _invalid(number: int, value: object, expected: str) -> InvalidFile:
    return InvalidFile(NAME, [InvalidDocument(f"line {number}", value, expected)])


def chain(
    changes: Sequence[Change],
    terms: Chain,
    models: Sequence[str] = (),
    unchanged: Mapping[str, Any] | None = None,
) -> Iterator[ImportedPrices]:
    """Yield the versions, numbers from 1, each as soon as the next date shows where it ends.

    `unchanged` is the price list itself, for fields and models that never changed. A version ends
    only where no price is left. InvalidFile if a name or glob finds no model, or nothing a price.
    """
    terms = terms._replace(markup_percent=check_markup(terms.markup_percent))
    pending: _Version | None = None
    number = 0
    for day, listed in _snapshots(changes, models, dict(unchanged or {})):
        version = _version(terms, number + 1, day, listed)
        if pending is not None:
            if version.components == pending.components:
                continue
            if not version.components:
                pending.document["effective_to"] = version.document["effective_from"]
            yield pending.imported()
        pending = version if version.components else None
        number += pending is not None
    if pending is not None:
        yield pending.imported()
    if not number:
        raise invalid("models", list(models), "at least one model with a price")


class _Version(NamedTuple):
    """A version that the next date may still end."""

    document: dict[str, Any]
    models: int
    read: ReadList

    @property
    def components(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["components"]
        return found

    def imported(self) -> ImportedPrices:
        version = parse_tariff(self.document, NAME)
        return ImportedPrices(version, self.document, self.models, *self.read[1:])


def _version(terms: Chain, number: int, day: date, listed: Models) -> _Version:
    read = read_list(listed)
    document = tariff_document(
        read.entries,
        tariff_id=terms.tariff_id,
        version=number,
        effective_from=_start(day),
        currency=terms.currency,
        markup_percent=terms.markup_percent,
    )
    return _Version(document, len(listed), read)


def _snapshots(
    changes: Sequence[Change], models: Sequence[str], unchanged: Models
) -> Iterator[tuple[date, Models]]:
    """Yield the chosen part of the list as it was from each date on."""
    known = dict.fromkeys((*(change.model for change in changes), *unchanged))
    chosen = select(known, models)
    dated = [change for change in changes if change.model in chosen]
    constant = _constant(dated, unchanged)
    moving = {change.model for change in dated}
    never_changed = {
        model: constant[model] for model in constant if model in chosen and model not in moving
    }
    state: Models = {}
    for day, of_day in groupby(changes, lambda change: change.day):
        for change in of_day:
            if change.model in moving:
                _apply(state, change)
        listed = {model: {**constant.get(model, {}), **state[model]} for model in state}
        yield day, {**never_changed, **listed}


def _constant(changes: Sequence[Change], unchanged: Models) -> Models:
    """Return the list's fields that the history never changes."""
    changed = {(change.model, change.field) for change in changes}
    return {
        model: {name: fields[name] for name in fields if (model, name) not in changed}
        for model, fields in unchanged.items()
        if isinstance(fields, dict)
    }


def _apply(state: Models, change: Change) -> None:
    if change.ends_model:
        state.pop(change.model, None)
        return
    fields = state.setdefault(change.model, {})
    if change.provider is not None:
        fields["litellm_provider"] = change.provider
    if change.value is None:
        fields.pop(change.field, None)
    else:
        fields[change.field] = change.value


def _start(day: date) -> int:
    return instant(datetime(day.year, day.month, day.day, tzinfo=UTC))
