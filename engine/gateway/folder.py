"""A spool's folder: who has it, what its publisher is called, and that it is on the disk."""

import os
import secrets
from pathlib import Path

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
    new = folder / "publisher.new"
    with new.open("w", encoding="utf-8") as stream:
        stream.write(made + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(path)
    sync_path(folder)
    return made


def sync_path(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
