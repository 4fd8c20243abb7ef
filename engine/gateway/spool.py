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
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from engine.adapters.durable import sync_path
from engine.gateway.cursor import Cursor, Position
from engine.gateway.encoding import encode_end
from engine.gateway.errors import PublisherClosed, SpoolFull
from engine.gateway.folder import hold, publisher_of
from engine.gateway.segment import (
    CHECKED_AFTER,
    FRAME_BYTES,
    HEADER_BYTES,
    Segment,
    Spooled,
    framed,
    name_of,
)

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_BYTES = 1024 * 1024 * 1024
_END_BYTES = 1_024
"""More than the publisher's name, the sequence and the end of a segment take."""


class Window(NamedTuple):
    """Some events in order, and the position after them."""

    events: list[Spooled]
    after: Position


class Damage(NamedTuple):
    """Bytes of a segment that are no whole record, kept beside it; none: the file is gone."""

    segment: int
    size_bytes: int


class Spool:
    """The spool of one folder, held by this process alone. SpoolInUse if another one has it.

    `complete` gives what stands behind each event: the publisher's name and the event's sequence.

    `append` may be called from any thread. `sync` and `prepare` belong to one thread, `read` and
    `acknowledge` to one thread. Those two take the lock of `append` only where segments change: a
    thread that waits for the interpreter while it holds the lock holds up requests.

    The lock is one that its thread may take again: a signal handler, or a finaliser that the garbage
    collector runs, may publish or close while its own thread is in `append`.
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
        self._is_closed = False
        self._lock = threading.RLock()
        self._new_names = itertools.count()
        self._spare: Segment | None = None
        self._active: Segment | None = None
        self._to_sync: list[Segment] = []
        self._numbers: list[int] = []
        self._is_switching = False
        self._no_room = ""
        self._reading: Segment | None = None
        self._hold = hold(folder)
        _held.add(self)
        with ExitStack() as undoing:
            undoing.callback(self.let_go)
            self.publisher = publisher_of(folder, name)
            self._cursor = undoing.enter_context(Cursor(folder / "cursor"))
            self._last_sequence = self._recover()
            undoing.pop_all()
        self._synced = self._written()
        self._read_to = self._resumed()

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
            while True:
                if self._is_closed:
                    raise PublisherClosed(f"{self.folder}: the spool is closed")
                sequence = self._last_sequence + 1
                event = start + self._complete(self.publisher, sequence)
                active = self._active
                if active is None or not active.has_room(len(event)):
                    active = self._next_segment(sequence)
                head, checked = framed(sequence, account_hash, event)
                size = len(checked)
                if sequence == self._last_sequence + 1 and not self._is_closed:
                    # No call from here on: so nothing that publishes too can come in between.
                    place = active.end + CHECKED_AFTER
                    active.mapped[place : place + size] = checked
                    active.mapped[active.end : place] = head
                    active.end = place + size
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
        if done or written.segment != self._synced.segment:
            sync_path(self.folder)  # a new segment has its name
        self._synced = written
        if done:
            with self._lock:
                self._to_sync = self._to_sync[len(done) :]
                for segment in done:
                    if segment is not self._reading:
                        segment.close()
        return True

    def prepare(self) -> None:
        """Make the next segment before it is needed, if there is room for it.

        Once the disk has none, `append` refuses at once, until this finds some: to look takes long.
        """
        is_wanted = self._spare is None and not self._is_closed
        if is_wanted and len(self._numbers) < self._max_segments:
            try:
                spare = self._create()
            except OSError as error:
                self._no_room = error.strerror or str(error)
                return
            self._no_room = ""
            with self._lock:
                if not self._is_closed:
                    self._spare = spare
                    return
            spare.discard()

    def read(self, most_bytes: int) -> Window | None:
        """Return the next synced events after what was acknowledged; None if there are none."""
        while True:
            synced, segment = self._synced, self._open_next()
            if segment is None or segment.number > synced.segment:
                return None
            is_begun = segment.number == self._read_to.segment
            place = self._read_to.place if is_begun else HEADER_BYTES
            is_last = segment.number == synced.segment
            end = min(segment.end, synced.place) if is_last else segment.end
            if place < end:
                events, place = segment.read(place, end, most_bytes)
                return Window(events, Position(segment.number, place, events[-1].sequence))
            if is_last:
                if self.acknowledged < synced.sequence:  # what a power cut took waits for nothing
                    self._cursor.move(synced)
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
                self._spare.discard()
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
        if self._is_switching:  # a handler, as said above, has interrupted what follows
            raise self._full("the next segment is only just being made")
        self._is_switching = True
        try:
            segment, self._spare = self._spare, None
            if segment is None:
                segment = self._create_or_refuse()
            number = max(self._cursor.position.segment, *self._numbers[-1:], 0) + 1
            self._begin_or_refuse(segment, number, sequence)
            if self._active is not None:
                self._to_sync = [*self._to_sync, self._active]
            self._numbers = [*self._numbers, number]
            self._active = segment
        finally:
            self._is_switching = False
        return segment

    def _create_or_refuse(self) -> Segment:
        limit = self._max_segments * self._segment_bytes
        if len(self._numbers) >= self._max_segments:
            raise self._full(f"{limit} bytes wait for Kafka, and that is the limit")
        if self._no_room:
            raise self._full(self._no_room)
        try:
            return self._create()
        except OSError as error:
            raise self._full(error.strerror or str(error)) from error

    def _begin_or_refuse(self, segment: Segment, number: int, sequence: int) -> None:
        try:
            segment.begin(number, sequence)
        except OSError as error:
            segment.discard()
            raise self._full(error.strerror or str(error)) from error

    def _full(self, reason: str) -> SpoolFull:
        self.refused += 1
        return SpoolFull(f"{self.folder}: {reason}")

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
        segment = self._recovered(number)
        if segment is None:
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

    def _recover(self) -> int:
        """Find the segments, go on in the last one; return the sequence with which it ended."""
        for abandoned in self.folder.glob("*.new"):
            abandoned.unlink()
        done = self._cursor.position
        for path in sorted(self.folder.glob("*.spool")):
            if path.stem.isdecimal() and path.name == name_of(int(path.stem)):
                self._numbers.append(int(path.stem))
        while self._numbers and self._numbers[0] < done.segment:  # a power cut brought it back
            (self.folder / name_of(self._numbers.pop(0))).unlink()
        while self._numbers and self._active is None:
            self._active = self._recovered(self._numbers[-1])
            if self._active is None:
                self._numbers.pop()
        for number in self._numbers[:-1]:  # the last is synced by now
            sync_path(self.folder / name_of(number))
        sync_path(self.folder)
        return max(self._active.last_sequence if self._active else 0, done.sequence)

    def _resumed(self) -> Position:
        """Return where to read on; a power cut may have taken what the cursor had passed."""
        position, active = self._cursor.position, self._active
        if active is not None and position.segment == active.number:
            return position._replace(place=min(position.place, active.end))
        return position

    def _recovered(self, number: int) -> Segment | None:
        """Open a segment of an earlier process; None if none of it is left.

        A power cut may have taken the beginning of one that was not synced.
        """
        path = self.folder / name_of(number)
        try:
            segment = Segment.recover(path)
        except FileNotFoundError:
            self.damages.append(Damage(number, 0))
            return None
        if segment is None:
            self._keep_damaged(path, number, path.read_bytes().rstrip(b"\0"))
            path.unlink()
            return None
        segment.sync()
        self._keep_damaged(path, number, segment.damaged)
        return segment

    def _keep_damaged(self, path: Path, number: int, damaged: bytes) -> None:
        if damaged:
            with suppress(OSError):  # a full disk; what was cut is told all the same
                path.with_suffix(".damaged").write_bytes(damaged)
            self.damages.append(Damage(number, len(damaged)))


_held: "weakref.WeakSet[Spool]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Let a forked child not keep the folder locked when its parent has died."""
    for spool in list(_held):
        spool.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
