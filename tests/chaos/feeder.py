"""A gateway that publishes usage all the time, and sends again what was not acknowledged.

Its stream is as unkind as real ones: events that come twice, events that clash with an earlier one
of the same identity, events on a wrong partition, records that nobody can read.
"""

import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import kafka
from kafka.errors import KafkaError

from engine.adapters.avro.usage import Fields, encode_usage, encode_usage_batch
from engine.adapters.kafka.partitioning import partition_of
from engine.settings import KafkaSettings
from tests.stream.deployment import PARTITIONS, usage

_PORTION_SECONDS = 0.1
_AGAIN, _CLASH, _MISROUTED, _GARBAGE, _SINGLE = 0.05, 0.01, 0.01, 0.05, 0.3


class Feeder:
    """Publishes from a thread of its own until the block ends, all of it acknowledged."""

    def __init__(
        self, settings: KafkaSettings, accounts: Sequence[str], seed: int, per_second: int
    ) -> None:
        self.sent: list[Fields] = []
        self.accounts = list(accounts)
        self._settings = settings
        self._chance = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
        self._portion = int(per_second * _PORTION_SECONDS)
        self._numbers = 0
        self._producer: Any = None
        self._stop = threading.Event()
        self._abandoned = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._abandoned = error is not None  # the test has failed: nobody waits for the last usage
        self._stop.set()
        self._thread.join(timeout=120)
        if error is None:
            assert not self._thread.is_alive(), "the last usage is still not acknowledged"
            if self._failure is not None:
                raise self._failure

    def _run(self) -> None:
        try:
            while not self._stop.wait(_PORTION_SECONDS):
                events = [self._next() for _ in range(self._portion)]
                self._publish(self._records(events))
                self.sent += events
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self._failure = error
        finally:
            self._discard()

    def _next(self) -> Fields:
        drawn = self._chance.random()
        if self.sent and drawn < _CLASH:
            return {**self._chance.choice(self.sent), "subject": "someone-else"}
        if self.sent and drawn < _CLASH + _AGAIN:
            return self._chance.choice(self.sent)
        self._numbers += 1
        tokens = self._chance.randrange(1, 1_000)
        account_id = self._chance.choice(self.accounts)
        return usage(f"e{self._numbers}", account_id, quantities={"input": tokens})

    def _records(self, events: Sequence[Fields]) -> list[tuple[int, bytes]]:
        """Return (partition, bytes) of records that hold these events, some of them alone."""
        together: dict[int, list[Fields]] = {}
        records = []
        for fields in events:
            partition = partition_of(fields["account_id"], PARTITIONS)
            if self._chance.random() < _MISROUTED:
                partition = (partition + self._chance.randrange(1, PARTITIONS)) % PARTITIONS
            if self._chance.random() < _SINGLE:
                records.append((partition, encode_usage(fields)))
            else:
                together.setdefault(partition, []).append(fields)
        records += [(partition, encode_usage_batch(each)) for partition, each in together.items()]
        if self._chance.random() < _GARBAGE:
            records.append((self._chance.randrange(PARTITIONS), b"garbage"))
        self._chance.shuffle(records)
        return records

    def _publish(self, records: Sequence[tuple[int, bytes]]) -> None:
        """Send until all is acknowledged; what was written and not acknowledged comes twice."""
        topic = self._settings.topic("usage")
        while not self._abandoned:
            try:
                producer = self._open()
                sent = [producer.send(topic, value=data, partition=to) for to, data in records]
                for future in sent:
                    future.get(timeout=15)
            except KafkaError:
                self._discard()
                self._stop.wait(_PORTION_SECONDS)
            else:
                return

    def _open(self) -> Any:
        if self._producer is None:
            self._producer = kafka.KafkaProducer(
                acks="all", max_block_ms=10_000, **self._settings.client()
            )
        return self._producer

    def _discard(self) -> None:
        if self._producer is not None:
            with suppress(KafkaError):  # that it could not send the rest: it is sent again
                self._producer.close(timeout=1)
            self._producer = None
