"""A segment of a spool: one preallocated file, mapped into memory, written from front to back.

Writing is a copy into the page cache, without a system call: what was copied belongs to the
operating system, so it survives any death of the process, and `sync` makes it survive a power cut.
Room is taken on the disk before the first event, so a full disk is an error at a known moment and
never a half-written event.

    header   magic 8, number 8, first sequence 8, CRC 4, zero 4
    record   length 4, CRC 4, sequence 8, account hash 4, event (length bytes)
    end      a length of zero

The CRC (CRC-32C) covers everything after itself. Numbers are little-endian.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple, Self

import crc32c

_MAGIC = b"TBSPOOL1"
_HEADER = struct.Struct("<8sQQ")
_CHECKSUM = struct.Struct("<II")
_FRAME = struct.Struct("<II")
_ABOUT = struct.Struct("<QI")
HEADER_BYTES = _HEADER.size + _CHECKSUM.size
FRAME_BYTES = _FRAME.size + _ABOUT.size
CHECKED_AFTER = _FRAME.size
"""Where in a record that begins what its CRC covers."""
_END = b"\0\0\0\0"


class Spooled(NamedTuple):
    """An event in a spool: its place in the publisher's sequence, its account's hash, its bytes."""

    sequence: int
    account_hash: int
    event: bytes


def framed(sequence: int, account_hash: int, event: bytes) -> tuple[bytes, bytes]:
    """Return a record: its length and CRC, to be written last, and what the CRC covers."""
    checked = _ABOUT.pack(sequence, account_hash) + event
    return _FRAME.pack(len(event), crc32c.crc32c(checked)), checked


class Segment:
    """One file of a spool. Not thread safe; a reader stays below an `end` that it was told.

    A record is appended at `end` by whoever owns it: to `mapped`, what its CRC covers first.
    """

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.number = 0
        self.size = size
        self.end = HEADER_BYTES
        self.last_sequence = 0
        self.damaged = b""
        self._descriptor = descriptor
        self.mapped = mmap.mmap(descriptor, size)

    @classmethod
    def create(cls, path: Path, size: int) -> Self:
        """Take room on the disk. OSError if there is none, and then nothing is left behind."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _allocate(descriptor, size)
            return cls(path, descriptor, size)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise

    @classmethod
    def recover(cls, path: Path) -> Self | None:
        """Open a segment that was written earlier; None if it never began.

        It ends at its last whole record. What stands behind (a record that a crash cut) is taken
        off and given as `damaged`: it was never promised to anybody.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(descriptor).st_size
        if size < HEADER_BYTES:
            os.close(descriptor)
            return None
        segment = cls(path, descriptor, size)
        if not segment._has_header():
            segment.close()
            return None
        segment._find_end()
        return segment

    def begin(self, number: int, first_sequence: int) -> None:
        """Write the header and take the name: from now on events go here."""
        head = _HEADER.pack(_MAGIC, number, first_sequence)
        self.mapped[:HEADER_BYTES] = head + _CHECKSUM.pack(crc32c.crc32c(head), 0)
        self.number = number
        self.path = self.path.rename(self.path.with_name(name_of(number)))

    def has_room(self, event_bytes: int) -> bool:
        """Say whether an event of this size fits, and the end after it."""
        return self.end + FRAME_BYTES + event_bytes + len(_END) <= self.size

    def read(self, start: int, end: int, most_bytes: int) -> tuple[list[Spooled], int]:
        """Return the records of [start, end), about `most_bytes` of them, and where they stop."""
        limit = min(end, start + most_bytes)
        found, mapped = [], self.mapped
        while start < limit:
            length, _ = _FRAME.unpack_from(mapped, start)
            sequence, account_hash = _ABOUT.unpack_from(mapped, start + _FRAME.size)
            body = start + FRAME_BYTES
            start = body + length
            found.append(Spooled(sequence, account_hash, mapped[body:start]))
        return found, start

    def sync(self) -> None:
        """Bring everything to the disk; lets other threads run. OSError: it is not there.

        A system that could not write a page takes it for clean all the same, and would say yes the
        next time; so what it did not write is written into memory again.
        """
        try:
            getattr(os, "fdatasync", os.fsync)(self._descriptor)
        except OSError:
            end = self.end
            self.mapped[:end] = self.mapped[:end]
            raise

    def close(self) -> None:
        """Let go of the file. Again is no error."""
        if self._descriptor >= 0:
            self.mapped.close()
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Let go of the file, and delete it."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _has_header(self) -> bool:
        magic, self.number, first_sequence = _HEADER.unpack_from(self.mapped)
        checksum, _ = _CHECKSUM.unpack_from(self.mapped, _HEADER.size)
        self.last_sequence = first_sequence - 1
        is_whole = checksum == crc32c.crc32c(self.mapped[: _HEADER.size])
        return bool(is_whole and magic == _MAGIC and self.path.name == name_of(self.number))

    def _find_end(self) -> None:
        while (after := self._after(self.end)) is not None:
            (self.last_sequence,) = struct.unpack_from("<Q", self.mapped, self.end + _FRAME.size)
            self.end = after
        self.damaged = self.mapped[self.end :].rstrip(b"\0")
        after = self.end + len(self.damaged)
        self.mapped[self.end : after] = bytes(len(self.damaged))

    def _after(self, start: int) -> int | None:
        """Return where the record at `start` ends; None if no whole record stands there."""
        if start + FRAME_BYTES > self.size:
            return None
        length, checksum = _FRAME.unpack_from(self.mapped, start)
        end = start + FRAME_BYTES + length
        if not length or end > self.size:
            return None
        return end if crc32c.crc32c(self.mapped[start + _FRAME.size : end]) == checksum else None


def name_of(number: int) -> str:
    """Return a segment's file name."""
    return f"{number:012d}.spool"


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS: write, so that the room is really there
        block = bytes(1 << 20)
        for start in range(0, size, len(block)):
            os.pwrite(descriptor, block[: size - start], start)
