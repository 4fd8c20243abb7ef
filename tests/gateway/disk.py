"""A disk that forgets: what a power cut leaves of a folder, for tests of what is kept in it.

What was written and not synced may be there or not, page by page; what was renamed or deleted since
the folder was synced may be done or not, but in order, as a file system with a journal has it.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE_BYTES = 4_096


class ForgetfulDisk:
    """Watches a folder's files being written; `cut_power` then gives what is left of them.

    Files are told apart by inode, and kept by a second name, as a deleted one may come back.
    """

    def __init__(self, folder: Path, kept: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._kept = kept
        self._is_watching = True
        self._seen: dict[int, list[bytes]] = {}
        self._listings: list[dict[str, int]] = []
        folder.mkdir()
        kept.mkdir()
        self._begin()
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, self._syncing(getattr(os, name)))
        for name in ("rename", "unlink"):
            patch.setattr(os, name, self._listing(getattr(os, name)))

    def note(self) -> None:
        """Look at what is there now: call it after everything that writes."""
        if not self._is_watching:
            return
        listing = {}
        for path in sorted(self.folder.iterdir()):
            inode = listing[path.name] = path.stat().st_ino
            if not self._copy(inode).exists():
                os.link(path, self._copy(inode))
            content = path.read_bytes()
            seen = self._seen.setdefault(inode, [bytes(len(content))])
            if seen[-1] != content:
                seen.append(content)
        if self._listings[-1] != listing:
            self._listings.append(listing)

    def cut_power(self, chance: random.Random) -> None:
        """Leave in the folder what the disk remembers."""
        self.note()
        listing = chance.choice(self._listings)
        contents = {name: self._remembered(inode, chance) for name, inode in listing.items()}
        self._is_watching = False
        for folder in (self.folder, self._kept):
            shutil.rmtree(folder)
            folder.mkdir()
        for name, content in contents.items():
            (self.folder / name).write_bytes(content)
        self._is_watching = True
        self._begin()

    def _begin(self) -> None:
        """Take what is there now for all that there is."""
        self._seen = {}
        for path in sorted(self.folder.iterdir()):
            self._seen[path.stat().st_ino] = [path.read_bytes()]
        self._listings = [{path.name: path.stat().st_ino for path in sorted(self.folder.iterdir())}]
        self.note()

    def _copy(self, inode: int) -> Path:
        return self._kept / str(inode)

    def _remembered(self, inode: int, chance: random.Random) -> bytes:
        """Return each page as it was synced, or as it was at some moment since."""
        seen = self._seen[inode]
        content = bytearray()
        for start in range(0, len(seen[-1]), PAGE_BYTES):
            version = chance.choice(seen)
            content += version[start : start + PAGE_BYTES].ljust(
                min(PAGE_BYTES, len(seen[-1]) - start), b"\0"
            )
        return bytes(content)

    def _syncing(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        def watched(descriptor: int) -> None:
            sync(descriptor)
            if not self._is_watching:
                return
            about = os.fstat(descriptor)
            self.note()
            if about.st_ino == self.folder.stat().st_ino:
                self._listings = self._listings[-1:]
            elif about.st_ino in self._seen:
                self._seen[about.st_ino] = self._seen[about.st_ino][-1:]

        return watched

    def _listing(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **more: Any) -> Any:
            self.note()
            changed = change(*arguments, **more)
            self.note()
            return changed

        return watched
