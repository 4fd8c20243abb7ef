"""A spool's folder: who has it, and what its publisher is called."""

import os
import secrets
from pathlib import Path

from engine.adapters.durable import replace_file
from engine.gateway.errors import SpoolInUse

_SUFFIX_BYTES = 4


def hold(folder: Path) -> int:
    """Take the folder for this process; the system lets go of it when the process ends."""
    import fcntl  # noqa: PLC0415 - absent on Windows, where importing the package must still work

    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SpoolInUse(
            f"{folder}: another publisher has this spool, expected a folder for each process"
        ) from error
    return descriptor


def publisher_of(folder: Path, name: str) -> str:
    """Return the publisher's name of this folder, made when the folder is new."""
    path = folder / "publisher"
    if path.exists() and (kept := path.read_text(encoding="utf-8").strip()):
        return kept
    made = f"{name}-{secrets.token_hex(_SUFFIX_BYTES)}"
    replace_file(path, f"{made}\n".encode())
    return made
