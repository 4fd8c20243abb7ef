"""Records that could not be understood, in a file: lines of JSON with the reason.

They are kept because a newer version may understand them. The file is bounded; a record that finds no
room in it is logged and counted like the others. Lines that can not be read (a full disk or a crash
cut them, somebody edited the file) are left in `unusable.damaged`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from engine.adapters.durable import sync_path

MAX_BYTES = 16 * 1024 * 1024


class Aside:
    """The records set aside in a folder. For one thread of one process."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = folder / "unusable.jsonl"
        self._again = folder / "unusable.again.jsonl"
        self._damaged = folder / "unusable.damaged"
        self._max_bytes = max_bytes
        self._is_synced = True
        self._is_damaged = False

    def keep(self, taken: bytes, reason: str) -> bool:
        """Set a record (JSON) aside; say whether there was room. OSError if the disk has none."""
        line = _line(taken, reason)
        with self.path.open("a+b") as file:
            size = file.tell()
            if size + len(line) > self._max_bytes:
                return False
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # the disk was full in the middle of a line
                    line = b"\n" + line
            self._is_synced = False
            file.write(line)
            return True

    def sync(self) -> None:
        """Make what was kept survive a power cut."""
        if not self._is_synced:
            sync_path(self.path)
            sync_path(self.path.parent)
            self._is_synced = True

    def from_before(self) -> Iterator[bytes]:
        """Yield what earlier processes set aside; `forget` it when it is dealt with.

        What is set aside meanwhile is not among it.
        """
        self._is_damaged = False
        if not self._again.exists() and self.path.exists():
            self.path.rename(self._again)
        if self._again.exists():
            with self._again.open("rb") as lines:
                for line in lines:
                    taken = _taken(line)
                    if taken is None:
                        self._is_damaged = True
                    else:
                        yield taken

    def forget(self) -> None:
        """Delete what `from_before` gave."""
        if self._is_damaged:
            self._again.rename(self._damaged)
        self._again.unlink(missing_ok=True)


def _line(taken: bytes, reason: str) -> bytes:
    """Return a record with its reason: put together as text, because it may be nested deeply."""
    if not taken.startswith(b"{"):
        taken = json.dumps({"record": taken.decode(errors="replace")}).encode()
    return b'{"reason":' + json.dumps(reason).encode() + b"," + taken[1:] + b"\n"


def _taken(line: bytes) -> bytes | None:
    """Return the record of a line without its reason; None if the line can not be read."""
    try:
        record = json.loads(line)
        del record["reason"]
        return json.dumps(record).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
