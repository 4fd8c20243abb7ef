"""Checking this machine: Python, the client libraries, and the folder for caches.

What stands in the folder are snapshots and indexes. Without space a worker goes on and only its
next start takes longer; without write access it cannot start.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.adapters.kafka.findings import Finding, found

_PYTHON = (3, 11)
_NEEDED = {"kafka-python": ((3, 0, 12), (4,)), "lz4": ((4, 4), (5,)), "crc32c": ((2, 7), (3,))}
"""Oldest and first too new, as pyproject.toml has them."""
_GIBIBYTE = 2**30


def check_machine(home: Path) -> Iterator[Finding]:
    """Check everything that needs no Kafka."""
    yield found(
        "Python",
        ".".join(map(str, sys.version_info[:3])),
        "3.11 or newer",
        is_met=sys.version_info[:2] >= _PYTHON,
        level="error",
        advice="Install Tollbook into a newer Python.",
    )
    for package, (oldest, too_new) in _NEEDED.items():
        yield _package(package, oldest, too_new)
    yield from check_home(home)


def _package(name: str, oldest: tuple[int, ...], too_new: tuple[int, ...]) -> Finding:
    expected = f"{'.'.join(map(str, oldest))} or newer, below {'.'.join(map(str, too_new))}"
    advice = f"Run pip install 'tollbook[engine]' again: it brings a fitting {name}."
    try:
        installed = version(name)
    except PackageNotFoundError:
        return Finding("error", f"package {name}", "none", expected, advice)
    return found(
        f"package {name}",
        installed,
        expected,
        is_met=oldest <= _numbers(installed) < too_new,
        level="error",
        advice=advice,
    )


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 2.9.post0 is 2.9."""
    numbers: list[int] = []
    for part in text.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def check_home(home: Path) -> Iterator[Finding]:
    """Check the folder for caches: writable, and with room."""
    folder = next(path for path in (home, *home.parents) if path.exists())
    problem = _write_problem(folder)
    yield found(
        f"TOLLBOOK_HOME {home}",
        problem or "writable",
        "writable",
        is_met=not problem,
        level="error",
        advice=("Give this process a folder of its own to write to, and name it in TOLLBOOK_HOME."),
    )
    free = shutil.disk_usage(folder).free
    yield found(
        f"TOLLBOOK_HOME {home}, disk",
        f"{free / _GIBIBYTE:.1f} GiB free",
        "1 GiB free",
        is_met=free >= _GIBIBYTE,
        level="warning",
        advice=(
            "Without space no snapshot is written, and the next start folds the whole journal. "
            "Make room, or move the folder: what is in it can be deleted at any time."
        ),
    )


def _write_problem(folder: Path) -> str:
    if not folder.is_dir():
        return "not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "not writable"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)
