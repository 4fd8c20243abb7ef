"""How much a key may send: a token bucket of events per second.

A request is let in while its bucket is not empty, and its events are taken from the bucket once they
are counted. So a large request may leave a debt, which the next ones wait for: the rate holds on the
average, and a body need not be read to be turned away.
"""

import time
from collections.abc import Callable


class TokenBucket:
    """Refills at `per_second`, up to `burst`. Not thread safe: one event loop has it."""

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._level = burst
        self._at = clock()

    def wait_seconds(self) -> float:
        """Return 0.0 if a request may come in now, else in how many seconds."""
        self._refill()
        return 0.0 if self._level >= 1 else (1 - self._level) / self._per_second

    def take(self, tokens: int) -> None:
        """Take tokens out; the bucket may owe some afterwards."""
        self._refill()
        self._level -= tokens

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._per_second)
        self._at = now
