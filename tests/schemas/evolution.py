"""Comparing two versions of a schema: a version may only add.

Added may be a field with a default, a symbol of an enum, and a branch of a union. Anything else
would make records that stand in a journal unreadable, or say something else than when they were
written. Docs may change.
"""

from typing import Any

Schema = Any


def forbidden_changes(old: Schema, new: Schema, place: str = "") -> list[str]:
    """Return what version n + 1 changes other than by adding, one sentence each."""
    old, new = _spelled_out(old), _spelled_out(new)
    if type(old) is not type(new):
        return [f"{place or 'schema'}: got {_short(new)}, expected {_short(old)}"]
    if isinstance(old, list):
        return _unions(old, new, place)
    place = place or str(old.get("name", "schema"))
    return [
        *_attributes(old, new, place),
        *_fields(old.get("fields", []), new.get("fields", []), place),
        *_kept(old.get("symbols", []), new.get("symbols", []), f"{place}, symbols"),
        *_inner(old, new, place),
    ]


def _spelled_out(schema: Schema) -> Schema:
    """Return a schema as a mapping or a list; `"long"` is the same as `{"type": "long"}`."""
    return {"type": schema} if isinstance(schema, str) else schema


def _attributes(old: dict[str, Any], new: dict[str, Any], place: str) -> list[str]:
    """Compare whatever is not the place of a nested schema, a list that may grow, or a doc."""
    apart = ("fields", "symbols", "items", "values", "doc")
    names = sorted({*old, *new} - {*apart})
    return [
        f"{place}, {name}: got {new.get(name)!r}, expected {old.get(name)!r}"
        for name in names
        if old.get(name) != new.get(name) or (name in old) != (name in new)
    ]


def _fields(old: list[dict[str, Any]], new: list[dict[str, Any]], place: str) -> list[str]:
    before = {field["name"]: field for field in old}
    found = _kept(list(before), [field["name"] for field in new], f"{place}, fields")
    for field in new:
        where = f"{place}.{field['name']}"
        earlier = before.get(field["name"])
        if earlier is None:
            if "default" not in field:
                found.append(f"{where}: got a new field without a default, expected one with it")
        else:
            found += forbidden_changes(earlier["type"], field["type"], where)
            found += _defaults(earlier, field, where)
    return found


def _defaults(old: dict[str, Any], new: dict[str, Any], place: str) -> list[str]:
    """A default stands for what older records did not say, so it can neither change nor come."""
    same = ("default" in old) == ("default" in new) and old.get("default") == new.get("default")
    if same:
        return []
    return [f"{place}, default: got {new.get('default')!r}, expected {old.get('default')!r}"]


def _kept(old: list[str], new: list[str], place: str) -> list[str]:
    """The old names must stand in the new list in the same order; others may stand anywhere."""
    kept = [name for name in new if name in old]
    if kept == old:
        return []
    return [f"{place}: got {', '.join(new)}, expected {', '.join(old)} and more"]


def _unions(old: list[Schema], new: list[Schema], place: str) -> list[str]:
    """Branches are told apart by their name; those of old must stay, in their order."""
    branches = {_short(branch): branch for branch in new}
    found = _kept([_short(branch) for branch in old], list(branches), f"{place}, branches")
    for branch in old:
        if _short(branch) in branches:
            found += forbidden_changes(
                branch, branches[_short(branch)], f"{place}.{_short(branch)}"
            )
    return found


def _inner(old: dict[str, Any], new: dict[str, Any], place: str) -> list[str]:
    found = []
    for name in ("items", "values"):
        if name in old and name in new:
            found += forbidden_changes(old[name], new[name], f"{place}[]")
    return found


def _short(schema: Schema) -> str:
    """Return the name by which Avro tells branches of a union apart."""
    if isinstance(schema, str):
        return schema
    if isinstance(schema, list):
        return "a union"
    return str(schema.get("name", schema.get("type")))
