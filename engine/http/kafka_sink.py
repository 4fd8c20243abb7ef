"""The usage sink on Kafka: events of many requests, in batches by partition.

Kafka's cost is per record, whatever its size. So a thread of its own waits some milliseconds for
company, puts the events of all requests that arrived meanwhile into one usage batch per partition, and
ends each request's wait when every batch that holds one of its events is acknowledged by all in-sync
replicas. Nothing is kept beyond that: an event that was not acknowledged is the sender's to send again.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import kafka
from kafka.errors import KafkaError

from engine.adapters.avro.usage import Fields, encode_usage_batch
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.signing import sign
from engine.http.ports import NotAcknowledged, SinkFull
from engine.rating.errors import InvalidDocument
from engine.settings import KafkaSettings

BATCH_EVENTS = 250
_BATCH_BYTES = 1_000_000
"""Below the 1 MiB of a usage record; a batch of very long texts is split."""
_ACKNOWLEDGE_MS = 20_000
_BLOCK_MS = 5_000
_CLOSE_SECONDS = 10.0


class _Request:
    """Events of one call of `send`, and how many of their batches are not acknowledged yet."""

    def __init__(self, events: Sequence[Fields]) -> None:
        self.events = events
        self.future: Future[None] = Future()
        self._lock = threading.Lock()
        self._waiting = 1
        self._failure: BaseException | None = None

    def add(self) -> None:
        """Wait for one batch more."""
        with self._lock:
            self._waiting += 1

    def settle(self, failure: BaseException | None = None) -> None:
        """Have one batch acknowledged, or failed; the last one ends the wait."""
        with self._lock:
            self._waiting -= 1
            self._failure = self._failure or failure
            if self._waiting:
                return
        if self._failure is None:
            self.future.set_result(None)
        else:
            reason = f"{type(self._failure).__name__}: {self._failure}"
            self.future.set_exception(NotAcknowledged(reason))


class _Batch(NamedTuple):
    """Events of one partition, and the requests that wait for them."""

    partition: int
    signing_key: bytes | None
    events: list[Fields]
    requests: list[_Request]


class KafkaUsageSink:
    """`UsageSink` on Kafka.

    `linger_ms`: how long an event waits for company. `signing_keys` by source: records of such a
    source hold nothing else and are signed with its first key. `most_waiting`: events that may wait
    for an acknowledgement. InvalidDocument if the topic does not exist.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        linger_ms: int = 5,
        signing_keys: Mapping[str, Sequence[bytes]] | None = None,
        most_waiting: int = 50_000,
    ) -> None:
        self._topic = settings.topic("usage")
        self._linger_seconds = linger_ms / 1_000
        self._signing_keys = {name: keys[0] for name, keys in (signing_keys or {}).items() if keys}
        self._most_waiting = most_waiting
        self._producer = kafka.KafkaProducer(
            acks="all",
            # Once a batch of an idempotent producer has expired, kafka-python 3.0.12 asks for a new
            # producer id, and may wait for it for ever, deaf to all else. What is written twice is
            # charged once; one request at a time keeps the order of an account.
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            compression_type="lz4",
            batch_size=256 * 1024,
            linger_ms=0,  # the thread has waited already
            max_request_size=4 * 1024 * 1024,
            max_block_ms=_BLOCK_MS,
            request_timeout_ms=10_000,
            delivery_timeout_ms=_ACKNOWLEDGE_MS,
            allow_auto_create_topics=False,
            **settings.client(),
        )
        self._partitions = self._count_partitions()
        self._change = threading.Condition()
        self._pending: list[_Request] = []
        self._waiting = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="usage-sink", daemon=True)
        self._thread.start()

    def _count_partitions(self) -> int:
        try:
            return len(self._producer.partitions_for(self._topic))
        except KafkaError as error:
            self._producer.close(timeout=1)
            raise InvalidDocument(
                f"topic {self._topic}", "none", "the topics of `tollbook topics create`"
            ) from error

    @property
    def partitions(self) -> int:
        """How many partitions the usage topic has."""
        return self._partitions

    @property
    def waiting(self) -> int:
        """How many events wait for an acknowledgement."""
        return self._waiting

    def partition(self, account_id: str) -> int:
        """Return the partition of an account's usage."""
        return partition_of(account_id, self._partitions)

    def send(self, events: Sequence[Fields]) -> "Future[None]":
        """Take events in; see `UsageSink`."""
        request = _Request(events)
        with self._change:
            if self._is_closed:
                raise NotAcknowledged("the sink is closed")
            if self._waiting + len(events) > self._most_waiting:
                raise SinkFull(f"{self._waiting} events wait for Kafka")
            self._waiting += len(events)
            self._pending.append(request)
            self._change.notify()
        request.future.add_done_callback(lambda _: self._release(len(events)))
        return request.future

    def _release(self, events: int) -> None:
        with self._change:
            self._waiting -= events

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._pending and not self._is_closed:
                    self._change.wait()
                if not self._pending:
                    return
            time.sleep(self._linger_seconds)
            with self._change:
                requests, self._pending = self._pending, []
            for batch in self._batches(requests):
                self._produce(batch)
            for request in requests:
                request.settle()

    def _batches(self, requests: Sequence[_Request]) -> Iterator[_Batch]:
        """Yield batches of all events; an account's stay in order, as its partition's do."""
        opened: dict[tuple[int, bytes | None], _Batch] = {}
        for request in requests:
            for fields in request.events:
                partition = self.partition(fields["account_id"])
                signing_key = self._signing_keys.get(fields["source"])
                place = (partition, signing_key)
                batch = opened.get(place)
                if batch is None:
                    batch = opened[place] = _Batch(partition, signing_key, [], [])
                batch.events.append(fields)
                if not batch.requests or batch.requests[-1] is not request:
                    request.add()
                    batch.requests.append(request)
                if len(batch.events) >= BATCH_EVENTS:
                    yield opened.pop(place)
        yield from opened.values()

    def _produce(self, batch: _Batch) -> None:
        def settle(outcome: Any) -> None:
            failure = outcome if isinstance(outcome, BaseException) else None
            for request in batch.requests:
                request.settle(failure)

        try:
            value = encode_usage_batch(batch.events)
            if len(value) > _BATCH_BYTES and len(batch.events) > 1:
                self._produce_halves(batch)
                return
            headers = [sign(batch.signing_key, value)] if batch.signing_key else None
            self._producer.send(
                self._topic,
                key=batch.events[0]["account_id"].encode(),
                value=value,
                partition=batch.partition,
                headers=headers,
            ).add_both(settle)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must be told
            settle(error)

    def _produce_halves(self, batch: _Batch) -> None:
        for request in batch.requests:
            request.add()
        middle = len(batch.events) // 2
        for half in (batch.events[:middle], batch.events[middle:]):
            self._produce(batch._replace(events=half))

    def close(self) -> None:
        """Write what was taken, for as long as `_CLOSE_SECONDS`, and close the connections."""
        with self._change:
            self._is_closed = True
            self._change.notify()
        self._thread.join(_CLOSE_SECONDS)
        self._producer.close(timeout=_CLOSE_SECONDS)
