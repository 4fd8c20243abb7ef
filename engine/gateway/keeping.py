"""Keeping a spool: a thread brings it to the disk, and says what went wrong with it."""

import threading
import time
from collections.abc import Callable

import structlog

from engine.gateway.spool import Spool

_FAULT_SECONDS = 5.0
_log = structlog.get_logger()


class Keeper:
    """Syncs the spool and prepares its next segment, at an interval; wakes the sender."""

    def __init__(self, spool: Spool, sync_seconds: float, wake: Callable[[], None]) -> None:
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

    def stop(self) -> None:
        """End, after a last sync."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while True:
            try:
                self._spool.prepare()
                if self._spool.sync():
                    self._wake()
            except OSError as error:
                _log.error("spool_not_synced", reason=str(error))
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
