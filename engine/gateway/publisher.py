"""The publisher of a gateway: usage to Kafka, nothing lost, and the request never waits.

    with Publisher("kafka:9092", "gateway-1", spool="/var/lib/gateway/usage") as publisher:
        publisher.publish({"event_id": event_id("call-77"), "account_id": "acme", ...})

`publish` checks the event, writes it as the bytes that Kafka gets, and copies it into the spool:
some 10 us, with no call to the disk or the network. Once it has returned, the event is charged once
whatever dies: the process, Kafka, both. Threads of its own deliver the spool in order.

The event id makes publishing idempotent: the same call always has the same id, so sending it again
is a duplicate and no second charge. The publisher itself numbers its events without a gap, so that
loss between here and the engine can be proved (`tollbook usage completeness`).
"""

import atexit
import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from engine.adapters.avro.usage import Fields
from engine.adapters.documents.usage import parse_usage
from engine.gateway.encoding import encode_start
from engine.gateway.errors import PublisherClosed, UsageRefused
from engine.gateway.spool import MAX_BYTES, SEGMENT_BYTES, Spool
from engine.rating.errors import InvalidDocument, Refusal
from engine.rating.usage import MAX_TEXT, REQUIRED_TEXTS, UNPRINTABLE
from engine.settings import DEFAULT_PREFIX, KafkaSettings, checked_bootstrap

if TYPE_CHECKING:  # the Kafka client takes longer to import than all of the rest
    from collections.abc import Callable

    from engine.gateway.sending import Outlet

MAX_EVENT_BYTES = 64 * 1024
_MAX_NAME = 128
_LEAST_SECONDS = 0.2
"""For threads to end when delivering has taken all of the time."""


class Stats(NamedTuple):
    """What a publisher has done and holds, for metrics.

    Counted since it was made: `published` (taken into the spool), `delivered` (acknowledged by
    Kafka), `refused_events` (malformed), `refused_full` (no room). Of the spool: `waiting` events,
    `spool_bytes` on the disk, the `publisher`'s name and its `last_sequence`. `last_error` is why
    nothing is delivered (Kafka can not be reached, the disk does not take the spool), empty while
    all is well.
    """

    publisher: str
    published: int
    delivered: int
    refused_events: int
    refused_full: int
    waiting: int
    spool_bytes: int
    last_sequence: int
    last_error: str


def event_id(call_id: str, attempt: int = 1) -> str:
    """Return the id of an attempt of a call: what it used is charged once, and each attempt apart.

    The call id comes from the gateway and stays the same when the same usage is reported again.
    """
    return call_id if attempt == 1 else f"{call_id}/{attempt}"


class Publisher:
    """Publishes the usage of one gateway process; a context manager, sync and async.

    `source` is the registered origin of the events. `spool` is a folder for this process alone, on
    a local disk, kept over restarts; `publisher` names it in reports (the host's name if empty).
    `max_spool_bytes` bounds the disk: beyond it `publish` raises SpoolFull. `sync_seconds`: at most
    so much is lost in a power cut (a crash of the process loses nothing). `options` go to the Kafka
    client (security_protocol, sasl_...). `signing_key` signs each record, for a source whose
    registration asks for it: 16 bytes at least. Make it after forking: it does not survive a fork.

    Raises SpoolInUse, InvalidDocument (address, name, source or key), OSError (the folder).
    """

    def __init__(
        self,
        bootstrap: str,
        source: str,
        *,
        spool: Path | str,
        prefix: str = DEFAULT_PREFIX,
        publisher: str = "",
        max_spool_bytes: int = MAX_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        sync_seconds: float = 0.02,
        options: Mapping[str, str] | None = None,
        signing_key: bytes | None = None,
        outlet: "Callable[[], Outlet] | None" = None,
    ) -> None:
        from engine.adapters.kafka.partitioning import account_hash  # noqa: PLC0415 - see above
        from engine.adapters.signing import checked_key  # noqa: PLC0415 - as above
        from engine.gateway import keeping, sending  # noqa: PLC0415 - as above

        if signing_key is not None:
            checked_key("signing_key", signing_key)
        settings = KafkaSettings(
            checked_bootstrap(bootstrap, "bootstrap"), prefix, tuple((options or {}).items())
        )
        self._source = _checked_name("source", source)
        name = _checked_name("publisher", publisher or socket.gethostname())
        self._hash = account_hash
        self._spool = Spool(
            Path(spool), name, max_bytes=max_spool_bytes, segment_bytes=segment_bytes
        )
        self._sender = sending.Sender(
            self._spool, outlet or (lambda: sending.KafkaOutlet(settings)), signing_key
        )
        self._keeper = keeping.Keeper(self._spool, sync_seconds, self._sender.wake)
        self._largest = min(MAX_EVENT_BYTES, self._spool.largest_event)
        self._first_sequence = self._spool.last_sequence
        self._refused_events = 0
        self._closing = threading.RLock()
        self._process_id = os.getpid()
        self._is_open = True
        keeping.tell_started(self._spool)
        self._sender.wake()
        self._keeper.start()
        self._sender.start()
        atexit.register(self.close)

    def publish(self, event: Mapping[str, Any]) -> int:
        """Take a usage event in its native JSON form; `source` may be left out.

        Returns its number once the event survives a crash of this process. Never waits for Kafka or
        for room on the disk. Thread safe. Raises UsageRefused (malformed: say so to whoever wrote the
        integration), SpoolFull, PublisherClosed.
        """
        fields = self._checked(event)
        start = encode_start(fields)
        if len(start) > self._largest:
            raise self._refused(
                Refusal(
                    "record_too_large",
                    f"event: got {len(start)} bytes, expected {self._largest} at most",
                )
            )
        if not self._is_open or os.getpid() != self._process_id:
            raise PublisherClosed(f"{self._spool.folder}: the publisher is closed in this process")
        return self._spool.append(self._hash(fields["account_id"]), start)

    async def apublish(self, event: Mapping[str, Any]) -> int:
        """Do what `publish` does: it is short enough for the event loop."""
        return self.publish(event)

    def is_on_disk(self, number: int) -> bool:
        """Say whether the events up to this number survive a power cut too."""
        return self._spool.synced >= number

    def flush(self, timeout_seconds: float | None = None) -> bool:
        """Wait until Kafka has everything published so far; say whether it has.

        A forked child does not wait: it is its parent that delivers.
        """
        if os.getpid() != self._process_id:
            return self._is_all_delivered()
        self._sender.wake()
        return self._sender.wait_for(self._spool.last_sequence, timeout_seconds)

    def close(self, timeout_seconds: float = 10.0) -> bool:
        """Take no more, deliver what can be in this time; say whether all was delivered.

        The rest stays in the spool: the next publisher of the folder delivers it. Where this is
        interrupted (KeyboardInterrupt), all of the rest does. A signal handler had better set a flag
        and leave closing to the program: it may have interrupted what the threads here wait for.
        """
        if os.getpid() != self._process_id:
            return self._is_all_delivered()
        with self._closing:
            if self._is_open:
                self._is_open = False
                atexit.unregister(self.close)
                self._end(time.monotonic() + timeout_seconds)
            return self._is_all_delivered()

    def _end(self, until: float) -> None:
        try:
            self.flush(until - time.monotonic())
        finally:
            self._keeper.stop(until - time.monotonic())
            self._sender.stop(max(_LEAST_SECONDS, until - time.monotonic()))

    @property
    def folder(self) -> Path:
        """The folder of the spool."""
        return self._spool.folder

    @property
    def stats(self) -> Stats:
        """What was done so far."""
        spool = self._spool
        return Stats(
            publisher=spool.publisher,
            published=spool.last_sequence - self._first_sequence,
            delivered=self._sender.delivered,
            refused_events=self._refused_events,
            refused_full=spool.refused,
            waiting=spool.last_sequence - spool.acknowledged,
            spool_bytes=spool.size_bytes,
            last_sequence=spool.last_sequence,
            last_error=self._sender.last_error or self._keeper.last_error,
        )

    def _checked(self, event: Mapping[str, Any]) -> Fields:
        data = event if type(event) is dict else dict(event)
        if "source" not in data:
            data = {**data, "source": self._source}
        fields = parse_usage(data)
        if isinstance(fields, Refusal):
            raise self._refused(fields)
        if fields["source"] != self._source:
            raise self._refused(
                Refusal(
                    "invalid_field",
                    f"source: got {fields['source'][:MAX_TEXT]!r}, expected {self._source!r}",
                )
            )
        for name in REQUIRED_TEXTS[:3]:
            if not fields[name]:
                raise self._refused(
                    Refusal("missing_field", f"{name}: got nothing, expected a text")
                )
        return fields

    def _refused(self, refusal: Refusal) -> UsageRefused:
        self._refused_events += 1
        return UsageRefused(refusal)

    def _is_all_delivered(self) -> bool:
        return self._spool.acknowledged >= self._spool.last_sequence

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        import asyncio  # noqa: PLC0415 - whoever is here has it; a synchronous gateway need not

        await asyncio.to_thread(self.close)


def _checked_name(place: str, name: str) -> str:
    if name and len(name) <= _MAX_NAME and not UNPRINTABLE.search(name):
        return name
    raise InvalidDocument(place, name, f"a printable text of {_MAX_NAME} characters at most")
