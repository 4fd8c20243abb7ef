"""How far a spool is delivered: one small file, moved on only after Kafka has acknowledged.

It is written in one call of 32 bytes, which the death of a process does not cut. A cursor that a
power cut took back delivers some events again; those are duplicates, which the engine recognises.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple, Self

import crc32c

_BODY = struct.Struct("<QQQ")
_CHECKSUM = struct.Struct("<I")


class Position(NamedTuple):
    """Up to where events are done: a segment's number, the place in it, the last sequence."""

    segment: int = 0
    place: int = 0
    sequence: int = 0


class Cursor:
    """The file of a position."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.position = self._read()
        self.move(self.position)  # takes its room, so that a full disk does not stop deliveries

    def move(self, position: Position) -> None:
        """Note that everything up to a position is done."""
        body = _BODY.pack(*position)
        os.pwrite(self._descriptor, body + _CHECKSUM.pack(crc32c.crc32c(body)), 0)
        self.position = position

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _read(self) -> Position:
        data = os.pread(self._descriptor, _BODY.size + _CHECKSUM.size, 0)
        body = data[: _BODY.size]
        if data[_BODY.size :] == _CHECKSUM.pack(crc32c.crc32c(body)):
            return Position(*_BODY.unpack(body))
        return Position()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
