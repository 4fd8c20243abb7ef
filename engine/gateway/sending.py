"""Delivery: a thread reads the spool in order and hands it to Kafka.

A window of events is packed, sent with acks=all by an idempotent producer, and waited for; only
then does the cursor move and the next window begin. Whatever goes wrong, the producer is thrown
away, the thread waits (longer each time, up to a bound) and sends the same window again: what had
arrived already is a duplicate, which the engine recognises. It tries for ever.

Kafka may also take a connection and never answer, and then the thread is held up for longer than a
closing publisher may wait. So it is the closing thread that closes the spool, and the held up one
finds that out before it touches the spool again: the folder may be another publisher's by then.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import kafka
from kafka.errors import KafkaError, KafkaTimeoutError

from engine.gateway.packing import Outgoing, pack
from engine.gateway.spool import Spool, Window
from engine.gateway.telling import Log
from engine.settings import KafkaSettings

WINDOW_BYTES = 2 * 1024 * 1024
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
_ACKNOWLEDGE_SECONDS = 30.0
_BOOTSTRAP_SECONDS = 5.0
_log = Log()


class Outlet(Protocol):
    """Where records go. `send` returns once all are acknowledged, and raises if they are not."""

    def partitions(self) -> int:
        """Return how many partitions the usage topic has."""

    def send(self, records: Sequence[Outgoing]) -> None:
        """Write records, in order within each partition, and wait for them."""

    def close(self) -> None:
        """Let go of the connection, whatever was not acknowledged; a `send` under way fails.

        From any thread, and more than once.
        """


class KafkaOutlet:
    """An idempotent producer for the usage topic of a deployment."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.topic("usage")
        self._producer = kafka.KafkaProducer(
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            batch_size=1024 * 1024,
            linger_ms=0,
            max_request_size=16 * 1024 * 1024,
            allow_auto_create_topics=False,
            max_block_ms=round(_BOOTSTRAP_SECONDS * 1_000),
            bootstrap_timeout_ms=round(_BOOTSTRAP_SECONDS * 1_000),
            request_timeout_ms=10_000,
            delivery_timeout_ms=round(_ACKNOWLEDGE_SECONDS * 1_000),
            **settings.client(),
        )

    def partitions(self) -> int:
        """Return the topic's partition count. KafkaTimeoutError if it is not there."""
        return len(self._producer.partitions_for(self._topic) or ())

    def send(self, records: Sequence[Outgoing]) -> None:
        """Send all, then wait for all."""
        sent = [
            self._producer.send(
                self._topic,
                key=record.key,
                value=record.value,
                partition=record.partition,
                headers=list(record.headers) or None,
            )
            for record in records
        ]
        for future in sent:
            future.get(timeout=_ACKNOWLEDGE_SECONDS + _BOOTSTRAP_SECONDS)

    def close(self) -> None:
        """Break off, without waiting. The client by itself would go on with what was not sent."""
        self._producer._sender.force_close()  # noqa: SLF001 - `close` fails before it does this
        with suppress(KafkaError):  # that it could not send the rest: it is sent again
            self._producer.close(timeout=0)


class Sender:
    """Delivers a spool, from a thread of its own, until `stop` closes the spool.

    The thread uses the spool only while it holds `_moved` and the spool is not closed. `signing_key`
    signs every record. `last_error` is empty while all is well.
    """

    def __init__(
        self, spool: Spool, connect: Callable[[], Outlet], signing_key: bytes | None = None
    ) -> None:
        self.last_error = ""
        self.delivered = 0
        self._spool = spool
        self._connect = connect
        self._signing_key = signing_key
        self._outlet: Outlet | None = None
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._moved = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tollbook-sender", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        self._news.set()

    def stop(self, timeout_seconds: float) -> None:
        """End after the window under way, or after this time without it; close the spool.

        A window that was not acknowledged by then is sent again by the next one that has the spool.
        """
        self._stopping.set()
        self._news.set()
        self._thread.join(timeout_seconds)
        with self._moved:
            self._closed.set()
            try:
                self._spool.close()
            except OSError as error:
                _log.error("spool_not_synced", reason=str(error))
            self._moved.notify_all()
        self._disconnect()

    def wait_for(self, sequence: int, timeout_seconds: float | None) -> bool:
        """Wait until everything up to a sequence is acknowledged; say whether it is."""
        with self._moved:
            return self._moved.wait_for(
                lambda: self._spool.acknowledged >= sequence or self._closed.is_set(),
                timeout_seconds,
            ) and (self._spool.acknowledged >= sequence)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                self._drain()
            except Exception as error:  # noqa: BLE001 - whatever the client raises, it is tried again
                if self._closed.is_set():
                    break
                self._away(error, pause)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                pause = FIRST_PAUSE_SECONDS
                self._news.wait()
                self._news.clear()
        self._disconnect()

    def _drain(self) -> None:
        """Deliver what is there, window by window."""
        while window := self._next():
            self._deliver(window)

    def _next(self) -> Window | None:
        with self._moved:
            window = None if self._stopping.is_set() else self._spool.read(WINDOW_BYTES)
            if window is None:
                self._moved.notify_all()
            return window

    def _deliver(self, window: Window) -> None:
        outlet = self._connected()
        if self._closed.is_set():
            return
        partitions = outlet.partitions()
        if not partitions:
            raise KafkaTimeoutError("the usage topic does not exist")
        outlet.send(list(pack(window.events, partitions, self._signing_key)))
        with self._moved:
            if self._closed.is_set():
                return
            self._spool.acknowledge(window)
            self.delivered += len(window.events)
            self._moved.notify_all()
        if self.last_error:
            self.last_error = ""
            _log.info("broker_available", waiting=self._waiting())

    def _connected(self) -> Outlet:
        outlet = self._outlet
        if outlet is None:
            outlet = self._outlet = self._connect()
        return outlet

    def _away(self, error: Exception, pause: float) -> None:
        self._disconnect()
        self.last_error = f"{type(error).__name__}: {error}"
        _log.warning("broker_unavailable", reason=self.last_error, pause_seconds=pause)

    def _waiting(self) -> int:
        return self._spool.last_sequence - self._spool.acknowledged

    def _disconnect(self) -> None:
        outlet, self._outlet = self._outlet, None
        if outlet is None:
            return
        try:
            outlet.close()
        except Exception as error:  # noqa: BLE001 - it is done with, whatever it says
            _log.warning(
                "broker_unavailable", reason=f"{type(error).__name__}: {error}", pause_seconds=0.0
            )
