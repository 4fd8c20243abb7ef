"""What differs between two tariff versions: fields with old and new, prices also in percent.

Versions are compared in their canonical form, so that how a file is written makes no difference.
A component or promotion that only one version has is told field by field as well.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from engine.adapters.documents.tariff import ComponentDocument, PromotionDocument, TariffDocument
from engine.entrypoints.price_changes import FieldChange, amount_change, price_changes
from engine.rating.tariff import TariffVersion

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
_FROZEN = "time_zone_transitions"
_AMOUNTS = ("minimum", "maximum", "allowance", "first_units", "first_events")
_NAMED: Mapping[str, type[BaseModel]] = {
    "components": ComponentDocument,
    "promotions": PromotionDocument,
}

Document = dict[str, Any]


class PartChange(NamedTuple):
    """A component or promotion that was added, removed or changed, or the version's own fields.

    `part` is ``component``, ``promotion`` or ``version``; `name` its id.
    """

    part: str
    name: str
    what: str
    fields: tuple[FieldChange, ...]


def differences(old: TariffVersion, new: TariffVersion) -> list[PartChange]:
    """Return what differs: the version's own fields, then components and promotions by id."""
    before, after = json.loads(old.document), json.loads(new.document)
    named = {part: (_by_id(before.pop(part, [])), _by_id(after.pop(part, []))) for part in _NAMED}
    own = tuple(_changes(before, after, TariffDocument))
    found = [PartChange("version", new.tariff_id, CHANGED, own)] if own else []
    for part, (olds, news) in named.items():
        for name in sorted(olds.keys() | news.keys()):
            changes = tuple(_changes(olds.get(name, {}), news.get(name, {}), _NAMED[part]))
            what = ADDED if name not in olds else REMOVED if name not in news else CHANGED
            if changes:
                found.append(PartChange(part.removesuffix("s"), name, what, changes))
    return found


def _by_id(documents: list[Document]) -> dict[str, Document]:
    return {document.pop("id"): document for document in documents}


def _changes(old: Document, new: Document, model: type[BaseModel]) -> Iterator[FieldChange]:
    """Yield the fields that differ, in the order of the document; a default is told as its value."""
    for name in model.model_fields:
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        if name == "price" and was and now:
            yield from price_changes(was, now)
        elif name == _FROZEN:
            yield FieldChange(name, _count(was), _count(now))
        elif name in _AMOUNTS and was is not None and now is not None:
            yield amount_change(name, was, now)
        else:
            default = model.model_fields[name].default if old and new else None
            default = default if isinstance(default, str) else None
            was, now = (default if value is None else value for value in (was, now))
            yield from _leaves(name, _spread(name, was), _spread(name, now))


def _spread(name: str, value: Any) -> Any:
    """Return a list of kinds as the weights that it stands for, so that each kind is told."""
    return dict.fromkeys(value, "1") if name == "kinds" and isinstance(value, list) else value


def _leaves(place: str, old: Any, new: Any) -> Iterator[FieldChange]:
    """Yield what differs below a field: mappings are followed, all else is a value."""
    if old == new:
        return
    mappings = [value for value in (old, new) if value is not None]
    if all(isinstance(value, dict) for value in mappings) and not place.startswith("price"):
        olds, news = old or {}, new or {}
        for name in sorted(olds.keys() | news.keys()):
            yield from _leaves(f"{place}.{name}", olds.get(name), news.get(name))
    else:
        yield FieldChange(place, old, new)


def _count(transitions: list[Any] | None) -> str | None:
    return None if transitions is None else f"{len(transitions)} transitions"
