"""Some workers and their supervisor: starts again what its own watchdog ended, and counts it.

A worker may end by itself for one reason only: a transaction hung and its watchdog ended the
process. One that was still starting or joining while the broker was away may say so and end, too.
"""

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine.adapters.kafka.transactions import EXIT_STUCK
from engine.settings import KafkaSettings
from tests.chaos.processes import kill, start

SLOTS = ("worker-1", "worker-2", "worker-3")
FROZEN_SECONDS = 8.0
"""Past the session timeout of 6 s."""
_BROKER_GRACE_SECONDS = 15.0


class Running(NamedTuple):
    """A worker process, when it was started, and where its messages begin in its slot's log."""

    process: "subprocess.Popen[bytes]"
    since: float
    log_offset: int


class Fleet:
    """Workers by slot. They share one home, as on one machine; each slot has a log of its own."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, Running] = {}
        self.frozen: dict[str, float] = {}
        self.counted: Counter[str] = Counter()
        self.broker_back_at = 0.0
        self._settings = settings

    @property
    def awake(self) -> list[str]:
        """The slots whose worker runs and is not frozen."""
        return sorted(self.running.keys() - self.frozen.keys())

    @property
    def free(self) -> list[str]:
        """The slots without a worker."""
        return sorted(set(SLOTS) - self.running.keys())

    def log(self, slot: str) -> Path:
        """Return the file with the messages of a slot's workers."""
        return self.folder / f"{slot}.log"

    def start(self, slot: str) -> None:
        """Start a worker."""
        log = self.log(slot)
        size = log.stat().st_size if log.exists() else 0
        process = start(self._settings, "run", "--slot", slot, log=log)
        self.running[slot] = Running(process, time.monotonic(), size)

    def kill(self, slot: str) -> None:
        """Kill a worker, frozen or not."""
        self.frozen.pop(slot, None)
        kill(self.running.pop(slot).process)
        self.counted["kills"] += 1

    def stop(self, slot: str) -> None:
        """Ask a worker to stop: it must end in peace, unless it hangs in a transaction."""
        ended = self.running.pop(slot)
        ended.process.terminate()
        code = ended.process.wait(timeout=120)
        self.counted["stops"] += 1
        if code == -signal.SIGTERM and "worker_started" not in self.messages(slot, ended):
            return  # it was still importing
        if not self._is_excused(slot, ended, code):
            assert code == 0, f"{slot} ended with {code}: {self.messages(slot, ended)[-3000:]}"

    def freeze(self, slot: str) -> None:
        """Stop a worker's clock for longer than its group waits for it."""
        self.running[slot].process.send_signal(signal.SIGSTOP)
        self.frozen[slot] = time.monotonic() + FROZEN_SECONDS
        self.counted["freezes"] += 1

    def thaw(self, slot: str) -> None:
        """Let a frozen worker go on."""
        del self.frozen[slot]
        self.running[slot].process.send_signal(signal.SIGCONT)

    def tend(self) -> None:
        """Thaw what was frozen long enough, and start again what may have ended by itself."""
        for slot, until in list(self.frozen.items()):
            if time.monotonic() >= until:
                self.thaw(slot)
        for slot, each in list(self.running.items()):
            code = each.process.poll()
            if code is None:
                continue
            del self.running[slot]
            self.frozen.pop(slot, None)
            assert self._is_excused(slot, each, code), (
                f"{slot} ended by itself with {code}: {self.messages(slot, each)[-3000:]}"
            )
            self.start(slot)

    def _is_excused(self, slot: str, ended: Running, code: int) -> bool:
        if code == EXIT_STUCK:
            self.counted["watchdog"] += 1
            return True
        was_away = ended.since < self.broker_back_at + _BROKER_GRACE_SECONDS
        messages = self.messages(slot, ended)
        if code == 1 and was_away and "worker_started" not in messages:
            self.counted["not_started"] += 1
            return True
        # A coordinator that dies while a member joins has forgotten its new member id, and takes
        # the one before for another process that holds the slot.
        if code == 1 and was_away and "a slot that another process uses" in messages:
            self.counted["taken_for_another"] += 1
            return True
        return False

    def messages(self, slot: str, of: Running) -> str:
        """Return what one process of a slot has said so far."""
        return self.log(slot).read_bytes()[of.log_offset :].decode(errors="replace")

    def works(self, slot: str) -> bool:
        """Whether a slot's worker has partitions, recovered: from now on it may commit."""
        return "partition_recovered" in self.messages(slot, self.running[slot])


def events(log: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the events of one name in a JSON log."""
    for line in log.read_text(errors="replace").splitlines():
        if f'"{name}"' in line and line.startswith("{"):
            found = json.loads(line)
            if found["event"] == name:
                yield found
