"""What the usage requests under way may hold together: so many at once, so many bytes of bodies.

No key has more than half of it, so that a sender who is slow, or means harm, keeps no other waiting.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from engine.http.problem import Problem

RETRY_SECONDS = 1
_ALL = ""
_REQUESTS = "requests"
_BYTES = "bytes of bodies"


class Room:
    """Not thread safe: one event loop has it."""

    def __init__(self, requests: int, body_bytes: int) -> None:
        self._most = {_REQUESTS: requests, _BYTES: body_bytes}
        self._held: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def entered(self, key_id: str) -> Iterator[Callable[[int], None]]:
        """Hold room for a request of a key meanwhile; what is given takes room for bytes of its body.

        Problem: busy.
        """
        taken: Counter[str] = Counter()
        take = partial(self._take, taken, key_id)
        try:
            take(_REQUESTS, 1)
            yield partial(take, _BYTES)
        finally:
            for what, amount in taken.items():
                for who in (_ALL, key_id):
                    self._held[who, what] -= amount

    def _take(self, taken: Counter[str], key_id: str, what: str, amount: int) -> None:
        for who, most in ((_ALL, self._most[what]), (key_id, self._most[what] // 2)):
            if self._held[who, what] + amount > most:
                whose = "of this key " if who else ""
                raise Problem(
                    "busy",
                    f"{self._held[who, what]} {what} {whose}are being answered, expected {most} at most",
                    {"Retry-After": str(RETRY_SECONDS)},
                )
        taken[what] += amount
        for who in (_ALL, key_id):
            self._held[who, what] += amount
