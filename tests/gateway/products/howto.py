"""The fenced blocks of a how-to, so that what is tested is what an operator copies."""

import re
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parents[3] / "docs" / "how-to" / "gateways"
_FENCED = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SERVER = "http://tollbook:8080"
"""What a how-to calls the server."""
KEY = "tb_..."
"""What a how-to calls a key."""


def blocks(name: str) -> list[str]:
    """Return the YAML blocks of a how-to."""
    return _FENCED.findall((_FOLDER / f"{name}.md").read_text(encoding="utf-8"))


def block(name: str, *path: str) -> Any:
    """Return the one block of a how-to that has a key, below a path of keys, read."""
    read = [yaml.safe_load(text) for text in blocks(name)]
    (only,) = [found for found in read if _has(found, path)]
    return only


def _has(found: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return True


def put(place: dict[str, Any], expected: Any, meant: Any, *path: str) -> None:
    """Replace a value deep in a block; AssertionError if it is not the one that was expected."""
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] == expected, f"{'.'.join(path)}: got {place[path[-1]]!r}"
    place[path[-1]] = meant
