"""The usage sink in memory: what was sent stays in a list."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from engine.adapters.avro.usage import Fields
from engine.adapters.kafka.partitioning import partition_of
from engine.http.ports import NotAcknowledged, SinkFull


class MemoryUsageSink:
    """`UsageSink` in memory, with switches for what can go wrong outside.

    `acknowledges`: whether writes succeed; `most_events`: how many it has room for.
    """

    def __init__(self, partitions: int = 4, most_events: int = 1_000_000) -> None:
        self._partitions = partitions
        self._most_events = most_events
        self._lock = threading.Lock()
        self._is_closed = False
        self.acknowledges = True
        self.events: list[Fields] = []

    def partition(self, account_id: str) -> int:
        """Return the partition of an account's usage."""
        return partition_of(account_id, self._partitions)

    def send(self, events: Sequence[Fields]) -> "Future[None]":
        """Keep events, or refuse them."""
        future: Future[None] = Future()
        with self._lock:
            if self._is_closed:
                raise NotAcknowledged("the sink is closed")
            if len(self.events) + len(events) > self._most_events:
                raise SinkFull(f"room for {self._most_events} events")
            if self.acknowledges:
                self.events += events
        if self.acknowledges:
            future.set_result(None)
        else:
            future.set_exception(NotAcknowledged("told not to"))
        return future

    def close(self) -> None:
        """Take nothing more."""
        self._is_closed = True
