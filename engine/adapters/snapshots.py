"""Snapshots as files: one per partition and commit, whole or not there.

A snapshot is written beside its place, brought to the disk, and only then renamed; a SHA-256 over
all of it tells a whole file from a torn or flipped one. So whatever a power cut or a full disk
does, the older ones stand, and a reader skips what is not whole: a snapshot only saves time, the
journal tells the same from its beginning.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import lz4.frame
import structlog

from engine.adapters.durable import sync_path, write_synced
from engine.ports import Stamp

KEPT = 2
"""How many snapshots of a partition are kept: the one before is there if the latest is damaged."""

_MAGIC = b"TBSNAP\0\1"
"""Names the kind of file and, in its last byte, the version of its layout."""
_HEADER = struct.Struct(f">{len(_MAGIC)}sqq32s")
_DIGEST_BYTES = 32
_SUFFIX = ".snapshot"
_UNFINISHED = ".unfinished"

_log = structlog.get_logger()


class FolderSnapshots:
    """Snapshots in one folder that the machine's workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, partition: int, stamp: Stamp, data: bytes) -> None:
        """Keep a snapshot, whole or not at all. OSError if there is no room; older ones stand."""
        folder = self._of(partition)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{_UNFINISHED}"):  # by a process that was killed
            left.unlink(missing_ok=True)
        header = _HEADER.pack(_MAGIC, stamp.commit, stamp.offset, stamp.digest)
        content = header + lz4.frame.compress(data)
        place = folder / f"{stamp.commit}{_SUFFIX}"
        unfinished = place.with_name(f"{place.name}.{os.getpid()}{_UNFINISHED}")
        try:
            write_synced(unfinished, content + sha256(content).digest())
            unfinished.replace(place)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
        sync_path(folder)
        others = [path for path in _latest_first(folder) if path != place]
        for old in others[KEPT - 1 :]:
            old.unlink(missing_ok=True)

    def stored(self, partition: int) -> Iterator[tuple[Stamp, bytes]]:
        """Yield what is kept of a partition and is whole, the latest commit first."""
        for path in _latest_first(self._of(partition)):
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # another process keeps newer ones by now
                continue
            except OSError as error:
                _log.warning("snapshot_unreadable", file=str(path), reason=str(error))
                continue
            found = _opened(content)
            if found is None or found[0].commit != _commit_of(path):
                _log.warning("snapshot_damaged", file=str(path), size=len(content))
                continue
            yield found

    def _of(self, partition: int) -> Path:
        return self._folder / f"partition-{partition:04d}"


def _opened(content: bytes) -> tuple[Stamp, bytes] | None:
    """Return the stamp and the data of a file's content; None if it is not whole."""
    signed, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if len(signed) < _HEADER.size or sha256(signed).digest() != digest:
        return None
    magic, commit, offset, commit_digest = _HEADER.unpack_from(signed)
    if magic != _MAGIC:
        return None
    return Stamp(commit, commit_digest, offset), lz4.frame.decompress(signed[_HEADER.size :])


def _latest_first(folder: Path) -> list[Path]:
    """Return the snapshots in a folder, those with a number for a name, the highest first."""
    found = [path for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal()]
    return sorted(found, key=_commit_of, reverse=True)


def _commit_of(path: Path) -> int:
    return int(path.stem)
