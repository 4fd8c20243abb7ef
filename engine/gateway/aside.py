"""Records that could not be understood, in a file: lines of JSON with the reason.

They are kept because a newer version may understand them. The file is bounded; a record that finds no
room in it is logged and counted like the others.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_BYTES = 16 * 1024 * 1024


class Aside:
    """The records set aside in a folder. For one thread of one process."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = folder / "unusable.jsonl"
        self._again = folder / "unusable.again.jsonl"
        self._max_bytes = max_bytes

    def keep(self, record: dict[str, Any], reason: str) -> bool:
        """Set a record aside; say whether there was room. OSError if the disk does not take it."""
        line = json.dumps({**record, "reason": reason}).encode() + b"\n"
        with self.path.open("ab") as file:
            if file.tell() + len(line) > self._max_bytes:
                return False
            file.write(line)
            return True

    def from_before(self) -> Iterator[dict[str, Any]]:
        """Yield what earlier processes set aside; `forget` it when it is dealt with.

        What is set aside meanwhile is not among it.
        """
        if not self._again.exists() and self.path.exists():
            self.path.rename(self._again)
        if self._again.exists():
            with self._again.open(encoding="utf-8") as lines:
                for line in lines:
                    if line.endswith("\n"):  # the last one may have been cut by a crash
                        yield json.loads(line)

    def forget(self) -> None:
        """Delete what `from_before` gave."""
        self._again.unlink(missing_ok=True)
