"""Key files: the keys of sources that sign, as workers and gateways are given them.

Apart from `signing`, because a publisher signs with nothing but the base install, and YAML is none
of it.
"""

from pathlib import Path

from engine.adapters.documents.reading import parse_text
from engine.adapters.signing import checked_key
from engine.rating.errors import InvalidDocument


def read_keys(path: Path) -> dict[str, tuple[bytes, ...]]:
    """Read a key file, ``source: key`` or ``source: [key, ...]``. InvalidDocument if it is none."""
    try:
        data = parse_text(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InvalidDocument(str(path), error.strerror, "a readable key file") from error
    if not isinstance(data, dict):
        raise InvalidDocument(str(path), type(data).__name__, "a mapping of source to key")
    return {str(source): _keys(f"{path}, {source}", value) for source, value in data.items()}


def signing_key(path: Path, source: str, place: str) -> bytes:
    """Return the key that a source signs with: its first. InvalidDocument if the file has none."""
    keys = read_keys(path).get(source, ())
    if not keys:
        raise InvalidDocument(f"{place} {path}", "no key", f"one of source {source!r}")
    return keys[0]


def _keys(place: str, value: object) -> tuple[bytes, ...]:
    texts = value if isinstance(value, list) else [value]
    return tuple(
        checked_key(place, text.encode() if isinstance(text, str) else b"") for text in texts
    )
