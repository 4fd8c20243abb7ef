"""Names: which usage an entry of the list is for.

The list's key often starts with the provider (``azure/gpt-4o``); a gateway reports provider and
model apart. So an entry is found under its key and under its key without the provider, for each
name its provider goes by. Google's models stand in the list twice: what usage calls ``google`` is
the Vertex AI entry if there is one, and the Gemini API's otherwise.

No usage can meet two entries: an entry's own key comes first, and a short name that two entries
would share goes to a provider without other names, then in the order of `_ALSO_KNOWN_AS`.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from engine.adapters.price_list.entry import Entry
from engine.adapters.price_list.rules import Priced

_ALSO_KNOWN_AS: dict[str, tuple[str, ...]] = {
    "vertex_ai": ("google",),
    "gemini": ("google",),
    "bedrock_converse": ("bedrock",),
    "azure_text": ("azure",),
    "cohere_chat": ("cohere",),
    "text-completion-openai": ("openai",),
    "text-completion-codestral": ("codestral",),
    "text-completion-inception": ("inception",),
    "fireworks_ai-embedding-models": ("fireworks_ai",),
    "amazon_nova": ("amazon-nova",),
}
"""Names of a provider in usage besides its name in the list; ``vertex_ai-*`` are ``vertex_ai``."""

_VERTEX = "vertex_ai"
_ID_LENGTH = 128
_HASH_LENGTH = 8


class Spelling(NamedTuple):
    """A model name of usage that is priced by an entry, for these providers (sorted)."""

    label: str
    model: str
    providers: tuple[str, ...]


def spellings(entries: Sequence[Entry]) -> dict[str, list[Spelling]]:
    """Return under which names usage meets each entry, by the entry's key."""
    names = {entry.key: _provider_names(entry.provider) for entry in entries}
    short_for = _short_names(entries, names)
    found = {}
    for entry in entries:
        key = entry.key
        found[key] = [Spelling(key, key, tuple(sorted(names[key])))]
        if key in short_for:
            short = key.partition("/")[2]
            label = f"{short}@{entry.provider}"
            found[key].append(Spelling(label, short, tuple(sorted(short_for[key]))))
    return found


def _short_names(
    entries: Sequence[Entry], names: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Return for which provider names an entry also goes by its key without the provider."""
    claims = []
    for entry in entries:
        prefix, _, short = entry.key.partition("/")
        if short and prefix in names[entry.key]:
            order = _precedence(entry.provider)
            claims += [(order, entry.key, name, short) for name in names[entry.key]]
    owners = {(name, entry.key): "" for entry in entries for name in names[entry.key]}
    short_for: dict[str, list[str]] = {}
    for _, key, name, short in sorted(claims):
        if owners.setdefault((name, short), key) == key:
            short_for.setdefault(key, []).append(name)
    return short_for


def _family(provider: str) -> str:
    return _VERTEX if provider.startswith(f"{_VERTEX}-") else provider


def _provider_names(provider: str) -> tuple[str, ...]:
    family = _family(provider)
    return tuple(dict.fromkeys((provider, family, *_ALSO_KNOWN_AS.get(family, ()))))


def _precedence(provider: str) -> int:
    order = list(_ALSO_KNOWN_AS)
    family = _family(provider)
    return order.index(family) if family in order else -1


def component_id(label: str, priced: Priced) -> str:
    """Return a readable id such as ``gpt-4o:input:batch``, the same for each import of the list."""
    key = priced.key
    parts = [label, key.kind, key.operation, key.tier]
    if priced.region:
        parts.append("regional" if "*" in priced.region else f"region-{priced.region}")
    parts.append("-".join(filter(None, key.attribute)))
    if key.above >= 0:
        parts.append(f"above-{key.above}")
    if priced.off_peak:
        parts.append("off-peak")
    text = ":".join(filter(None, parts))
    plain = re.sub(r"[^!-~]", "_", text)
    if plain == text and len(text) <= _ID_LENGTH:
        return text
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    return f"{plain[: _ID_LENGTH - _HASH_LENGTH - 1]}~{digest}"
