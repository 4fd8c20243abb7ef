"""The publisher of raw records: a request writes down what it got, and the rest happens later.

    publisher = Publisher("kafka:9092", "gateway-1", spool="/var/lib/gateway/usage")
    records = RecordPublisher(publisher)
    records.publish("openai_chat", body, Context(account_id="acme", event_id="call-77"))

To normalise a record takes several times as long as to publish an event. Here a request pays for a
little JSON and its copy into a spool. A thread normalises the records in order and hands the events
to the publisher; a record is done when its events are on the disk. What dies in between is done
again, to the same events with the same ids: duplicates, which the engine recognises.

A record that can not be understood is set aside (`unusable.jsonl` in the folder), and tried again by
the next process that opens the folder, as that may be a newer version.
"""

import atexit
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self, TypeVar

from engine.gateway.aside import Aside
from engine.gateway.errors import PublisherClosed, UsageRefused
from engine.gateway.keeping import Keeper
from engine.gateway.normalise import Context, Unusable, normalise
from engine.gateway.publisher import Publisher
from engine.gateway.spool import SEGMENT_BYTES, Spool
from engine.gateway.tally import Tally
from engine.rating.errors import Refusal, TollbookError

MAX_RECORD_BYTES = 1024 * 1024
MAX_SPOOL_BYTES = 256 * 1024 * 1024
_WINDOW_BYTES = 128 * 1024
_SYNC_SECONDS = 0.02
_PAUSE_SECONDS = 0.2
_CONTEXT = Context._fields
_T = TypeVar("_T")
_encode = json.JSONEncoder(separators=(",", ":")).encode


class RecordPublisher:
    """Publishes raw records through a publisher; a context manager.

    They wait in the folder `records` of the publisher's spool. `tally` counts what becomes of them.
    Make it after forking, one for a publisher; closing it closes the publisher.

    Raises SpoolInUse, OSError (the folder).
    """

    def __init__(
        self,
        publisher: Publisher,
        *,
        max_spool_bytes: int = MAX_SPOOL_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        tally: Tally | None = None,
    ) -> None:
        self.tally = tally or Tally()
        self.publisher = publisher
        self._spool = Spool(
            publisher.folder / "records",
            "records",
            max_bytes=max_spool_bytes,
            segment_bytes=segment_bytes,
            complete=_as_they_are,
        )
        self._aside = Aside(self._spool.folder)
        self._largest = min(MAX_RECORD_BYTES, self._spool.largest_event)
        self._news = threading.Event()
        self._closing = threading.RLock()
        self._is_open = True
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._last_event = 0
        self._process_id = os.getpid()
        self._keeper = Keeper(self._spool, _SYNC_SECONDS, self._news.set)
        self._thread = threading.Thread(target=self._run, name="tollbook-records", daemon=True)
        self._keeper.start()
        self._thread.start()
        atexit.register(self.close)

    def publish(self, form: str, record: Mapping[str, Any], context: Context) -> None:
        """Take the record of a call, in a format of `normalise.FORMATS` or ``auto``.

        Returns once the record survives a crash of this process; whether it can be understood is
        found out later, and counted. Never waits. Thread safe. Raises TypeError or ValueError (what
        JSON does not have), UsageRefused (too large), SpoolFull, PublisherClosed.
        """
        said = {name: value for name, value in zip(_CONTEXT, context, strict=True) if value}
        taken = _encode({"form": form, "context": said, "record": record}).encode()
        if len(taken) > self._largest:
            explanation = f"record: got {len(taken)} bytes, expected {self._largest} at most"
            raise UsageRefused(Refusal("record_too_large", explanation))
        if not self._is_open or os.getpid() != self._process_id:
            raise PublisherClosed(f"{self._spool.folder}: closed in this process")
        self._spool.append(0, taken)

    @property
    def waiting(self) -> int:
        """How many records are not published yet."""
        return self._spool.last_sequence - self._spool.acknowledged

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Take no more, and deliver what can be in this time; say whether all of it was.

        Closes the publisher too. The rest stays in the folder, for the next process that opens it.
        """
        until = time.monotonic() + timeout_seconds
        if os.getpid() == self._process_id:
            with self._closing:
                if self._is_open:
                    self._is_open = False
                    atexit.unregister(self.close)
                    self._end(timeout_seconds)
        is_delivered = self.publisher.close(max(0.0, until - time.monotonic()))
        return is_delivered and not self.waiting

    def _end(self, timeout_seconds: float) -> None:
        try:
            self._keeper.stop(timeout_seconds)
            self._stopping.set()
            self._news.set()
            self._thread.join(timeout_seconds)
        finally:
            self._stopping.set()
            self._giving_up.set()
            self._news.set()
            self._thread.join()

    def _run(self) -> None:
        try:
            self._insist(self._try_again)
            is_last = False
            while True:
                self._insist(self._publish_waiting)
                if is_last:
                    break
                self._news.wait()
                self._news.clear()
                is_last = self._stopping.is_set()
        except _TimeIsUp:
            pass  # the rest stays in the folder
        finally:
            self._spool.close()

    def _try_again(self) -> None:
        """Publish what an earlier process set aside, as far as this one understands it."""
        for taken in self._aside.from_before():
            self._publish_record(taken)
        self._wait_for_disk()
        self._aside.forget()

    def _publish_waiting(self) -> None:
        """Publish what waits in the spool, window by window."""
        while window := self._spool.read(_WINDOW_BYTES):
            for _, _, taken in window.events:
                self._publish_record(taken)
                time.sleep(0)  # a request that waits for the interpreter gets it
            self._wait_for_disk()
            self._insist(partial(self._spool.acknowledge, window))

    def _publish_record(self, taken: bytes) -> None:
        """Publish the events of a record, or set it aside."""
        if self._giving_up.is_set():
            raise _TimeIsUp
        try:
            told = json.loads(taken)
            normalised = normalise(told["record"], told["form"], Context(**told["context"]))
            for event in normalised.events:
                self._last_event = self._insist(partial(self.publisher.publish, event))
        except (_TimeIsUp, PublisherClosed) as over:
            raise _TimeIsUp from over
        except Exception as error:  # noqa: BLE001 - one odd record must not stop those behind it
            is_told = isinstance(error, Unusable | TollbookError)
            self._set_aside(taken, str(error) if is_told else repr(error))
            return
        if normalised.events:
            self.tally.add("published", len(normalised.events))
        else:
            self.tally.add("not_charged")

    def _set_aside(self, taken: bytes, reason: str) -> None:
        self.tally.not_published("unusable", reason)
        self._insist(partial(self._aside.keep, taken, reason))

    def _wait_for_disk(self) -> None:
        """Wait until what was published or set aside so far survives a power cut."""
        self._insist(self._aside.sync)
        while not self.publisher.is_on_disk(self._last_event):
            self._wait(_SYNC_SECONDS)

    def _insist(self, action: Callable[[], _T]) -> _T:
        """Do something as often as it takes: the disk may have no room, or fail."""
        while True:
            try:
                return action()
            except (_TimeIsUp, PublisherClosed, UsageRefused):
                raise
            except Exception as error:  # noqa: BLE001 - what was taken waits for this thread
                self.tally.not_yet(str(error) or repr(error))
            self._wait(_PAUSE_SECONDS)

    def _wait(self, seconds: float) -> None:
        if self._giving_up.wait(seconds):
            raise _TimeIsUp

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _TimeIsUp(Exception):
    """The thread ends before its work does."""


def _as_they_are(publisher: str, sequence: int) -> bytes:
    """Add nothing to a record: it has no place in a publisher's sequence yet."""
    del publisher, sequence
    return b""
