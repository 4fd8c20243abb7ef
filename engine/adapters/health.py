"""Health: whether a process is worth waiting for.

Four states. `starting`: no partitions yet, or some are being recovered, which may take minutes
without a snapshot. `ok`. `unavailable`: Kafka does not answer, nothing is lost, and a restart would
not help. `stuck`: no turn began for far longer than a turn may take; only this calls for a restart.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

STUCK_SECONDS = 90.0
"""Longer than a read may stall (60 s), a commit (30 s) and the longest pause of a broker away."""
STUCK_STARTING_SECONDS = 1_800.0
"""Folding a long journal without a snapshot is one turn."""


class Health(NamedTuple):
    """How a process is. `commits`: the latest commit number by partition, as far as known."""

    status: str
    role: str
    slot: str
    seconds_since_turn: float
    partitions: tuple[int, ...]
    recovering: tuple[int, ...]
    commits: dict[int, int]

    @property
    def is_ready(self) -> bool:
        """Whether it works or will without help."""
        return self.status in ("ok", "starting")

    @property
    def is_alive(self) -> bool:
        """Whether a restart would gain nothing."""
        return self.status != "stuck"


class Vitals:
    """What a process's health is told from. Written by its main thread, read by any."""

    def __init__(self, role: str, slot: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._role = role
        self._slot = slot
        self._clock = clock
        self._lock = threading.Lock()
        self._turned_at = clock()
        self._is_away = False
        self._assigned: tuple[int, ...] | None = None
        self._recovered: set[int] = set()
        self._commits: dict[int, int] = {}

    def turned(self) -> None:
        """Note that a turn begins."""
        with self._lock:
            self._turned_at = self._clock()

    def assigned(self, partitions: Sequence[int]) -> frozenset[int]:
        """Note what is worked on; return the partitions that were and are no more."""
        with self._lock:
            lost = frozenset(self._assigned or ()) - frozenset(partitions)
            self._assigned = tuple(sorted(partitions))
            self._recovered &= set(partitions)
            for partition in lost:
                self._commits.pop(partition, None)
        return lost

    def recovered(self, partition: int) -> None:
        """Note that a partition may be worked on."""
        with self._lock:
            self._turned_at = self._clock()
            self._recovered.add(partition)

    def dropped(self) -> None:
        """Note that every partition must be recovered first."""
        with self._lock:
            self._recovered.clear()

    def committed(self, partition: int, commit: int) -> None:
        """Note a commit."""
        with self._lock:
            self._commits[partition] = commit

    def unavailable(self, is_away: bool) -> None:
        """Note whether Kafka answers."""
        with self._lock:
            self._is_away = is_away

    def health(self) -> Health:
        """Return how the process is now."""
        with self._lock:
            since = self._clock() - self._turned_at
            partitions = self._assigned or ()
            recovering = tuple(p for p in partitions if p not in self._recovered)
            is_starting = self._assigned is None or bool(recovering)
            return Health(
                _status(since, is_starting=is_starting, is_away=self._is_away),
                self._role,
                self._slot,
                round(since, 3),
                partitions,
                recovering,
                dict(self._commits),
            )


def _status(since: float, *, is_starting: bool, is_away: bool) -> str:
    if since > (STUCK_STARTING_SECONDS if is_starting else STUCK_SECONDS):
        return "stuck"
    if is_away:
        return "unavailable"
    return "starting" if is_starting else "ok"
