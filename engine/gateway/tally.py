"""What became of a gateway's calls, counted; what went wrong is logged, once a second at most."""

import threading
import time

from engine.gateway.telling import Log

OUTCOMES = ("published", "not_charged", "no_account", "unusable", "lost")
_QUIET_SECONDS = 1.0
_log = Log("tollbook.gateway")


class Tally:
    """Counts by outcome (OUTCOMES), from any thread.

    published: usage events; not_charged: calls that cost nothing (errors, answers of a cache);
    no_account, unusable, lost: calls of which there is no usage event, and somebody must look.
    """

    def __init__(self) -> None:
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self._lock = threading.RLock()
        self._next_tell: dict[str, float] = {}

    def add(self, outcome: str, number: int = 1) -> int:
        """Count, and return the sum so far."""
        with self._lock:
            self.counts[outcome] += number
            return self.counts[outcome]

    def not_published(self, because: str, reason: str) -> None:
        """Count a call that was not published, and log why, without its content."""
        calls = self.add(because)
        if self._is_time_to_tell(because):
            _log.error("usage_not_published", because=because, reason=reason, calls=calls)

    def not_yet(self, reason: str) -> None:
        """Log why taken records wait."""
        if self._is_time_to_tell("waiting"):
            _log.warning("usage_waits", reason=reason)

    def _is_time_to_tell(self, what: str) -> bool:
        now = time.monotonic()
        if now < self._next_tell.get(what, 0.0):
            return False
        self._next_tell[what] = now + _QUIET_SECONDS
        return True
