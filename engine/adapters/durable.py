"""Files that survive a power cut: written whole or not at all, and under their names."""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, also through a power cut."""
    draft = path.with_name(f"_{path.name.lstrip('_')}.tmp")
    write_synced(draft, data)
    draft.replace(path)
    sync_path(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and bring what is in it to the disk; its name may take a `sync_path` more."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync_path(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk: a power cut may undo a rename."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
