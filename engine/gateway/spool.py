"""The spool: what was published and Kafka has not acknowledged yet, in a folder of segments.

An append-only log with one writer process. `append` gives an event its place in the publisher's
sequence and copies it into the current segment (see `segment`): it survives any death of the
process. `sync` makes it survive a power cut, and only what is synced is handed to the sender: so
Kafka never holds a sequence that the disk could forget and give to another event. `acknowledge`
moves the cursor and deletes what is done.

Invariants: sequences begin with 1 and have no gap; an event keeps its sequence for ever; a segment
is deleted only when all of it is acknowledged; the folder never outgrows `max_bytes`. A full spool
refuses the new event. It never drops an old one: that one was promised to its caller.

The publisher's name ends in eight random digits, made with the folder: a folder that was deleted
begins a new sequence under a new name, and not the old one again.
"""

import itertools
import os
import secrets
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from engine.gateway.cursor import Cursor, Position
from engine.gateway.encoding import encode_end
from engine.gateway.errors import PublisherClosed, SpoolFull, SpoolInUse
from engine.gateway.segment import FRAME_BYTES, HEADER_BYTES, Segment, Spooled

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_BYTES = 1024 * 1024 * 1024
_SUFFIX_BYTES = 4
_END_BYTES = 1_024
"""More than the publisher's name, the sequence and the end of a segment take."""


class Window(NamedTuple):
    """Some events in order, and the position after them."""

    events: list[Spooled]
    after: Position


class Damage(NamedTuple):
    """Bytes behind the last whole record of a segment, kept beside it."""

    segment: int
    size_bytes: int


class Spool:
    """The spool of one folder, held by this process alone. SpoolInUse if another one has it.

    `complete` gives what stands behind each event: the publisher's name and the event's sequence.

    `append` may be called from any thread. `sync` and `prepare` belong to one thread, `read` and
    `acknowledge` to one thread. Those two take the lock of `append` only where segments change: a
    thread that waits for the interpreter while it holds the lock holds up requests.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        max_bytes: int = MAX_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        complete: Callable[[str, int], bytes] = encode_end,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.damages: list[Damage] = []
        self.refused = 0
        self._complete = complete
        self._max_segments = max(2, max_bytes // segment_bytes)
        self._segment_bytes = segment_bytes
        self._hold = _hold(folder)
        self._is_closed = False
        _held.add(self)
        self.publisher = _publisher(folder, name)
        self._cursor = Cursor(folder / "cursor")
        self._lock = threading.Lock()
        self._new_names = itertools.count()
        self._spare: Segment | None = None
        self._active: Segment | None = None
        self._to_sync: list[Segment] = []
        self._numbers: list[int] = []
        self._last_sequence = 0
        self._next_number = 1
        self._recover()
        self._synced = self._written()
        self._read_to = self._resumed()
        self._reading: Segment | None = None

    @property
    def last_sequence(self) -> int:
        """Of the event appended last; 0 if there never was one."""
        return self._last_sequence

    @property
    def largest_event(self) -> int:
        """How many bytes `append` takes at most."""
        return self._segment_bytes - HEADER_BYTES - FRAME_BYTES - _END_BYTES

    @property
    def synced(self) -> int:
        """The sequence up to which everything survives a power cut."""
        return self._synced.sequence

    @property
    def acknowledged(self) -> int:
        """The sequence up to which everything is delivered."""
        return self._cursor.position.sequence

    @property
    def size_bytes(self) -> int:
        """Room taken on the disk."""
        return (len(self._numbers) + (self._spare is not None)) * self._segment_bytes

    def append(self, account_hash: int, start: bytes) -> int:
        """Store an event (`encode_start`); return its sequence. SpoolFull if there is no room.

        Once this returns, the event survives the death of the process.
        """
        with self._lock:
            if self._is_closed:
                raise PublisherClosed(f"{self.folder}: the spool is closed")
            sequence = self._last_sequence + 1
            event = start + self._complete(self.publisher, sequence)
            active = self._active
            if active is None or not active.has_room(len(event)):
                active = self._next_segment(sequence)
            active.append(sequence, account_hash, event)
            self._last_sequence = sequence
            return sequence

    def sync(self) -> bool:
        """Bring what was appended to the disk; say whether there was anything."""
        written = self._written()
        if written.sequence == self._synced.sequence:
            return False
        active = self._active
        done = list(self._to_sync)  # `append` puts a segment here before it makes the next active
        for segment in done:
            segment.sync()
        if active is not None and active not in done:
            active.sync()
        if done:
            _sync_folder(self.folder)
        self._synced = written
        if done:
            with self._lock:
                self._to_sync = self._to_sync[len(done) :]
                for segment in done:
                    if segment is not self._reading:
                        segment.close()
        return True

    def prepare(self) -> None:
        """Make the next segment before it is needed, if there is room for it."""
        if self._spare is None and len(self._numbers) < self._max_segments:
            try:
                spare = self._create()
            except OSError:
                return  # `append` finds out, and says so to whom it concerns
            with self._lock:
                self._spare = spare

    def read(self, most_bytes: int) -> Window | None:
        """Return the next synced events after what was acknowledged; None if there are none."""
        while True:
            segment = self._open_next()
            if segment is None or segment.number > self._synced.segment:
                return None
            place = max(self._read_to.place, HEADER_BYTES)
            end = segment.end
            if segment.number == self._synced.segment:
                end = min(end, self._synced.place)
            if place < end:
                events, place = segment.read(place, end, most_bytes)
                return Window(events, Position(segment.number, place, events[-1].sequence))
            if segment.number >= self._synced.segment:
                return None
            self._leave(segment)

    def acknowledge(self, window: Window) -> None:
        """Note that Kafka has these events: they are not read again."""
        self._cursor.move(window.after)
        self._read_to = window.after

    def close(self) -> None:
        """Sync, and let go of the folder, in any case. OSError if the disk fails."""
        try:
            self.sync()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._spare is not None:
                self._spare.close()
                self._spare.path.unlink(missing_ok=True)
            for segment in (self._reading, self._active):
                if segment is not None:
                    segment.close()
        self._cursor.close()
        self.let_go()

    def let_go(self) -> None:
        """Give the folder back. In a forked child, the parent still has it."""
        _held.discard(self)
        os.close(self._hold)

    def _next_segment(self, sequence: int) -> Segment:
        segment, self._spare = self._spare, None
        if segment is None:
            segment = self._create_or_refuse()
        if self._active is not None:
            self._to_sync.append(self._active)
        segment.begin(self._numbers[-1] + 1 if self._numbers else self._next_number, sequence)
        self._numbers.append(segment.number)
        self._active = segment
        return segment

    def _create_or_refuse(self) -> Segment:
        limit = self._max_segments * self._segment_bytes
        if len(self._numbers) >= self._max_segments:
            self.refused += 1
            raise SpoolFull(f"{self.folder}: {limit} bytes wait for Kafka, and that is the limit")
        try:
            return self._create()
        except OSError as error:
            self.refused += 1
            raise SpoolFull(f"{self.folder}: {error.strerror or error}") from error

    def _create(self) -> Segment:
        path = self.folder / f"{next(self._new_names)}.new"
        return Segment.create(path, self._segment_bytes)

    def _written(self) -> Position:
        """Return how far events stand: in this order, the sequence is never ahead of the place."""
        sequence, active = self._last_sequence, self._active
        if active is None:
            return self._cursor.position
        return Position(active.number, active.end, sequence)

    def _open_next(self) -> Segment | None:
        """Return the segment to read from, opened; None if there is none."""
        if self._reading is not None:
            return self._reading
        with self._lock:
            number = next((n for n in self._numbers if n >= self._read_to.segment), None)
            if number is None:
                return None
            held = [*self._to_sync, *([self._active] if self._active else [])]
            self._reading = next((s for s in held if s.number == number), None)
            if self._reading is not None:
                return self._reading
        segment = self._recovered(self.folder / f"{number:012d}.spool")
        if segment is None:  # a power cut took it before it was synced
            with self._lock:
                self._numbers.remove(number)
            return self._open_next()
        self._reading = segment
        return segment

    def _leave(self, segment: Segment) -> None:
        """Delete a segment that is done, and go on with the next one."""
        position = Position(segment.number + 1, HEADER_BYTES, self._read_to.sequence)
        self._cursor.move(position)
        self._read_to = position
        with self._lock:
            self._reading = None
            self._numbers.remove(segment.number)
            segment.close()
        segment.path.unlink(missing_ok=True)

    def _recover(self) -> None:
        """Find the segments, go on in the last one, and with the sequence where it ended."""
        for abandoned in self.folder.glob("*.new"):
            abandoned.unlink()
        self._numbers = sorted(int(path.stem) for path in self.folder.glob("*.spool"))
        while self._numbers and self._active is None:
            path = self.folder / f"{self._numbers[-1]:012d}.spool"
            self._active = self._recovered(path)
            if self._active is None:
                path.unlink()
                self._numbers.pop()
        self._next_number = max(1, self._cursor.position.segment)
        last = self._active.last_sequence if self._active else 0
        self._last_sequence = max(last, self._cursor.position.sequence)

    def _resumed(self) -> Position:
        """Return where to read on; a power cut may have taken what the cursor had passed."""
        position, active = self._cursor.position, self._active
        if active is not None and position.segment == active.number:
            return position._replace(place=min(position.place, active.end))
        return position

    def _recovered(self, path: Path) -> Segment | None:
        segment = Segment.recover(path)
        if segment is None:
            return None
        segment.sync()
        if segment.damaged:
            with suppress(OSError):  # a full disk; what was cut is told all the same
                path.with_suffix(".damaged").write_bytes(segment.damaged)
            self.damages.append(Damage(segment.number, len(segment.damaged)))
        return segment


_held: "weakref.WeakSet[Spool]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Let a forked child not keep the folder locked when its parent has died."""
    for spool in list(_held):
        spool.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


def _hold(folder: Path) -> int:
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


def _publisher(folder: Path, name: str) -> str:
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
    _sync_folder(folder)
    return made


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
