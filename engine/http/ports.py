"""What the HTTP ingest needs from outside: a sink for usage that says when it is safe.

`kafka_sink` is the real one, `memory_sink` one in memory that passes the same contract
(tests/http/test_sinks.py).
"""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from engine.adapters.avro.usage import Fields
from engine.rating.errors import TollbookError


class NotAcknowledged(TollbookError):
    """The events may or may not have been written: send them again, that is safe."""


class SinkFull(TollbookError):
    """Too many events wait for an acknowledgement; none of these was taken."""


class UsageSink(Protocol):
    """Takes usage events in, in order by account."""

    def partition(self, account_id: str) -> int:
        """Return the partition of an account's usage."""

    def send(self, events: Sequence[Fields]) -> "Future[None]":
        """Take events in; the future is done once all of them are written, and only then.

        It fails with NotAcknowledged. Never blocks on the outside; SinkFull, or NotAcknowledged if
        the sink is closed, is raised at once and nothing was taken. Safe from any thread.
        """

    def close(self) -> None:
        """Write what was taken, within bounded time, and let go of the outside."""
