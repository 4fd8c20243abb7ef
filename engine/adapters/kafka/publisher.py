"""Publishing: tariffs, account commands and usage, acknowledged by all in-sync replicas.

Usage goes out in batches of many events of one partition: Kafka's cost is per record, whatever its
size. Every record carries the account (or tariff) id as its key and its partition is Kafka's own
murmur2 of it.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import kafka
from kafka.errors import KafkaError, KafkaTimeoutError

from engine.adapters.avro.account import encode_advance, encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.exchange import encode_exchange_rate
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import Fields, encode_usage_batch
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.signing import sign
from engine.rating.authority import SourceRegistration
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.errors import InvalidDocument, TollbookError
from engine.rating.exchange import ExchangeRate
from engine.rating.tariff import TariffVersion
from engine.settings import KafkaSettings

BATCH_EVENTS = 50
_ACKNOWLEDGE_SECONDS = 30
_MAX_UNACKNOWLEDGED = 1_000


class Placed(NamedTuple):
    """Where a record was written."""

    topic: str
    partition: int
    offset: int


class NotAcknowledged(TollbookError):
    """Kafka did not acknowledge a record; it may or may not have been written."""


class KafkaPublisher:
    """Publishes to a deployment's topics; a context manager.

    `linger_ms` is how long a record may wait for company before it is sent; `signing_key` signs
    the usage records of a source whose registration asks for it; `patience_seconds` is how long it
    tries to find a broker at first.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        linger_ms: int = 5,
        signing_key: bytes | None = None,
        patience_seconds: float = 30.0,
    ) -> None:
        self._settings = settings
        self._signing_key = signing_key
        self._producer = kafka.KafkaProducer(
            acks="all",
            compression_type="lz4",
            batch_size=256 * 1024,
            linger_ms=linger_ms,
            max_request_size=16 * 1024 * 1024,
            allow_auto_create_topics=False,
            max_block_ms=10_000,
            bootstrap_timeout_ms=round(patience_seconds * 1_000),
            **settings.client(),
        )
        self._open: dict[int, list[Fields]] = {}
        self._sent: list[Any] = []
        topic = settings.topic("usage")
        try:
            self._partitions = len(self._producer.partitions_for(topic))
        except KafkaTimeoutError as error:
            self._producer.close(timeout=1)
            raise InvalidDocument(
                f"topic {topic}", "none", "the topics of `tollbook topics create`"
            ) from error

    def tariff(self, version: TariffVersion) -> Placed:
        """Publish a tariff version and wait until it is written."""
        return self._write("tariffs", version.tariff_id, 0, encode_tariff(version))

    def source(self, registration: SourceRegistration) -> Placed:
        """Publish a source's registration and wait until it is written."""
        return self._write("tariffs", registration.source, 0, encode_registration(registration))

    def rules(self, revision: int, principal: str = "") -> Placed:
        """Adopt a revision of the rating rules and wait until that is written."""
        return self._write("tariffs", "rules", 0, encode_revision(revision, principal))

    def exchange_rate(self, exchange: ExchangeRate) -> Placed:
        """Publish an exchange rate and wait until it is written."""
        key = f"{exchange.base}/{exchange.quote}"
        return self._write("tariffs", key, 0, encode_exchange_rate(exchange))

    def command(self, command: AccountCommand) -> Placed:
        """Publish an account command and wait until it is written."""
        partition = partition_of(command.account_id, self._partitions)
        return self._write("accounts", command.account_id, partition, encode_command(command))

    def commands(self, commands: Sequence[AccountCommand]) -> None:
        """Publish many account commands; `flush` waits until they are written."""
        for command in commands:
            partition = partition_of(command.account_id, self._partitions)
            self._send("accounts", command.account_id, partition, encode_command(command))

    def advance(self, order: AdvanceTo) -> list[Placed]:
        """Tell every partition of `accounts` how late it is, and wait until that is written."""
        value = encode_advance(order)
        sent = []
        for partition in range(self._partitions):
            self._append("accounts", partition, None, value, ())
            sent.append(self._sent[-1])
        self.flush()
        return [
            Placed("accounts", partition, future.value.offset)
            for partition, future in enumerate(sent)
        ]

    def usage(self, fields: Fields) -> None:
        """Add a usage event to its partition's batch; `flush` waits until all are written."""
        partition = partition_of(fields["account_id"], self._partitions)
        batch = self._open.setdefault(partition, [])
        batch.append(fields)
        if len(batch) >= BATCH_EVENTS:
            self._send_batch(partition)

    def usage_record(self, key: str, value: bytes) -> None:
        """Send a record as it is to the partition of its key: single events, foreign encodings."""
        self._send("usage", key, partition_of(key, self._partitions), value)

    def record(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Placed:
        """Append a record as it is, unsigned, and wait until it is written."""
        self._append(topic, partition, key, value, headers)
        return self._placed(topic, partition)

    def flush(self) -> None:
        """Wait until everything is written. NotAcknowledged if Kafka does not say so."""
        for partition in list(self._open):
            self._send_batch(partition)
        self._producer.flush()
        self._settle()

    def _send_batch(self, partition: int) -> None:
        batch = self._open.pop(partition)
        self._send("usage", batch[0]["account_id"], partition, encode_usage_batch(batch))

    def _write(self, topic: str, key: str, partition: int, value: bytes) -> Placed:
        self._send(topic, key, partition, value)
        return self._placed(topic, partition)

    def _placed(self, topic: str, partition: int) -> Placed:
        future = self._sent[-1]
        self.flush()
        return Placed(topic, partition, future.value.offset)

    def _send(self, topic: str, key: str, partition: int, value: bytes) -> None:
        headers = []
        if self._signing_key is not None and topic == "usage":
            headers = [sign(self._signing_key, value)]
        self._append(topic, partition, key.encode(), value, headers)

    def _append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        if len(self._sent) >= _MAX_UNACKNOWLEDGED:
            self._settle()
        name = self._settings.topic(topic)
        self._sent.append(
            self._producer.send(
                name, key=key, value=value, partition=partition, headers=list(headers) or None
            )
        )

    def _settle(self) -> None:
        sent, self._sent = self._sent, []
        for future in sent:
            try:
                future.get(timeout=_ACKNOWLEDGE_SECONDS)
            except KafkaError as error:
                raise NotAcknowledged(f"{type(error).__name__}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            self._producer.close(timeout=5)
