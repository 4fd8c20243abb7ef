"""Keeping a spool: a thread brings it to the disk, and says what went wrong with it."""

import threading
import time
from collections.abc import Callable

from engine.gateway.spool import Spool
from engine.gateway.telling import Log

_FAULT_SECONDS = 5.0
_LEAST_SECONDS = 0.2
"""For a sync, when there is no time left."""
_log = Log()


class Keeper:
    """Syncs the spool and prepares its next segment, at an interval; wakes the sender.

    `last_error`: why the spool can not be synced, empty while it can.
    """

    def __init__(self, spool: Spool, sync_seconds: float, wake: Callable[[], None]) -> None:
        self.last_error = ""
        self._spool = spool
        self._sync_seconds = sync_seconds
        self._wake = wake
        self._stop = threading.Event()
        self._told_refused = spool.refused
        self._next_tell = 0.0
        self._thread = threading.Thread(target=self._run, name="tollbook-spool", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """End after a last sync, or after this time without it: the disk may hang."""
        self._stop.set()
        self._thread.join(max(_LEAST_SECONDS, timeout_seconds))

    def _run(self) -> None:
        is_last = False
        while True:
            try:
                self._spool.prepare()
                if self._spool.sync():
                    self._wake()
                    self.last_error = ""
            except Exception as error:  # noqa: BLE001 - what was taken waits for this thread
                self.last_error = f"{type(error).__name__}: {error}"
                _log.error("spool_not_synced", reason=self.last_error)
                self._stop.wait(_FAULT_SECONDS)
            self._tell()
            if is_last:
                return
            is_last = self._stop.wait(self._sync_seconds)

    def _tell(self) -> None:
        """Say what went wrong on the request path, and not from there: once a second at most."""
        tell_damages(self._spool)
        refused, now = self._spool.refused, time.monotonic()
        if refused != self._told_refused and now >= self._next_tell:
            self._told_refused, self._next_tell = refused, now + 1
            _log.error("spool_full", size_bytes=self._spool.size_bytes, refused=refused)


def tell_started(spool: Spool) -> None:
    """Say in what state a spool was found."""
    tell_damages(spool)
    _log.info(
        "publisher_started",
        publisher=spool.publisher,
        sequence=spool.last_sequence,
        waiting=spool.last_sequence - spool.acknowledged,
    )


def tell_damages(spool: Spool) -> None:
    """Say which segments ended in something that is no record."""
    while spool.damages:
        segment, size_bytes = spool.damages.pop(0)
        _log.warning("spool_damaged", segment=segment, size_bytes=size_bytes)
