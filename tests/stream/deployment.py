"""A deployment on a real Kafka, in the words of a test: open accounts, send usage, run the worker.

Every test has topics of its own. The worker and the projector are the real ones, driven turn by
turn in this process; `tests/chaos` runs them as processes.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import kafka

from engine.adapters.avro.journal import decode_commit, decode_record
from engine.adapters.avro.usage import DEFAULTS, NO_QUANTITIES, Fields
from engine.adapters.kafka.founding import found_deployment
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.stack import build_projector, build_worker
from engine.entrypoints.live import LiveBalances, LiveCounts
from engine.ports import LogRecord, TopicPartition
from engine.rating.balance import Balance
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AssignTariff, OpenAccount, Order
from engine.rating.event import AccountEvent, Record, Rejection
from engine.rating.journal import Counts, JournalCommit
from engine.rating.period import FIRST_INSTANT, UTC_ZONE
from engine.rating.tariff import TariffVersion
from engine.settings import KafkaSettings, WorkerSettings
from engine.stream.projector import Projector
from engine.stream.worker import Worker
from engine.telemetry import Telemetry
from replay.balances import replay_balances
from tests.rating.scenario import at, tariff

PARTITIONS = 3
PATIENCE_SECONDS = 60.0


def flat(
    price: str,
    version: int = 1,
    since: str = "2026-01-01T00:00:00Z",
    per: int = 1,
    minimum: str | None = None,
) -> TariffVersion:
    """Return a version of the tariff `plan` with one price for every kind, counted by month."""
    least = "" if minimum is None else f'minimum: "{minimum}"'
    return tariff(
        f"""
        tariff_id: plan
        version: {version}
        effective_from: {since}
        currency: USD
        components:
          - id: tokens
            kinds: ["*"]
            period: calendar_month
            price: {{model: unit, unit_price: "{price}", per: {per}}}
            {least}
        """
    )


def usage(event_id: str, account_id: str = "acme", when: str = "2026-11-24T09:00:00Z",
          quantities: dict[str, int] | None = None, **fields: Any) -> Fields:  # fmt: skip
    """Return one usage event; without quantities, one input token."""
    return {
        **DEFAULTS,
        "account_id": account_id,
        "source": "gateway-1",
        "event_id": event_id,
        "occurred_at": at(when),
        "provider": "openai",
        "model": "gpt-4o",
        **fields,
        "quantities": {**NO_QUANTITIES, **(quantities or {"input": 1})},
    }


class Deployment:
    """One deployment: its topics, and what a test does with them."""

    def __init__(self, bootstrap: str, prefix: str, *, to_any_source: bool = True) -> None:
        self.settings = KafkaSettings(bootstrap, prefix)
        found_deployment(self.settings, PARTITIONS, to_any_source=to_any_source)
        self.folder = Path(tempfile.mkdtemp(prefix="tollbook-test-"))
        self.log = KafkaLog(self.settings)
        self._counts = LiveCounts(self.log)

    def close(self) -> None:
        """Close the connections, and forget the caches."""
        self.log.close()
        shutil.rmtree(self.folder)

    def publish_tariff(self, *versions: TariffVersion) -> None:
        """Publish tariff versions, in order."""
        with KafkaPublisher(self.settings) as publisher:
            for version in versions:
                publisher.tariff(version)

    def open_accounts(self, tariff_id: str, account_ids: Iterable[str]) -> None:
        """Open accounts in USD and UTC, and assign a tariff from the beginning."""
        orders: tuple[Order, ...] = (
            OpenAccount("USD", UTC_ZONE),
            AssignTariff(tariff_id, FIRST_INSTANT, None),
        )
        with KafkaPublisher(self.settings) as publisher:
            for account_id in account_ids:
                publisher.commands(
                    [
                        AccountCommand(f"{account_id}/{number}", account_id, "", order)
                        for number, order in enumerate(orders)
                    ]
                )

    def send_usage(self, events: Iterable[Fields]) -> None:
        """Publish usage in batches and wait until it is acknowledged."""
        with KafkaPublisher(self.settings) as publisher:
            for fields in events:
                publisher.usage(fields)

    def home(self, account_id: str) -> int:
        """Return the partition of an account."""
        return partition_of(account_id, PARTITIONS)

    def send_raw(
        self,
        topic: str,
        partition: int,
        values: Sequence[bytes],
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> list[int]:
        """Put bytes into a topic as they are; return their offsets."""
        producer = kafka.KafkaProducer(
            bootstrap_servers=self.settings.bootstrap, compression_type="lz4",
            max_request_size=64 * 1024 * 1024,
        )  # fmt: skip
        try:
            name = self.settings.topic(topic)
            sent = [
                producer.send(name, value=value, partition=partition, headers=list(headers))
                for value in values
            ]
            return [future.get(timeout=30).offset for future in sent]
        finally:
            producer.close()

    @contextmanager
    def worker(
        self,
        slot: str = "worker-1",
        max_events: int = 500,
        settings: WorkerSettings | None = None,
    ) -> Iterator[Worker]:
        """Have a worker; the test drives its turns."""
        settings = settings or WorkerSettings(slot=slot, max_events=max_events)
        worker = build_worker(self.settings, settings, self.folder, Telemetry())
        try:
            yield worker
        finally:
            worker.close()
            log: Any = worker._log  # noqa: SLF001 - Kafka's, or with an archive behind it
            getattr(log, "_log", log).close()

    def work_until(self, worker: Worker, consumed: int) -> Counts:
        """Let a worker take turns until the journal has decided so many usage events."""
        turns_until(worker.turn, self.counts, lambda counts: counts.consumed >= consumed)
        return self.counts()

    def rate_all(self, consumed: int) -> Counts:
        """Run a worker until the journal has decided so many usage events."""
        with self.worker() as worker:
            return self.work_until(worker, consumed)

    @contextmanager
    def projector(self) -> Iterator[Projector]:
        """Have a projector; the test drives its turns."""
        projector = build_projector(self.settings, "projector-1", self.folder, Telemetry())
        try:
            yield projector
        finally:
            projector.close()
            projector._log.close()  # type: ignore[attr-defined]  # noqa: SLF001 - Kafka's

    def project_all(self) -> None:
        """Run a projector until it has projected every charge of the journal."""
        charges = len(self.charges())
        with self.projector() as projector:
            turns_until(
                projector.turn,
                lambda: len(self.records("charges")),
                lambda projected: projected >= charges,
            )

    def read(self, topic: str) -> list[LogRecord]:
        """Return the committed records of a topic, partition by partition."""
        names = [TopicPartition(topic, number) for number in range(self.log.partitions(topic))]
        ends = self.log.ends(names)
        return [record for name in names for record in self.log.read(name, 0, ends[name])]

    def commits(self) -> list[JournalCommit]:
        """Return every journal commit."""
        return [decode_commit(record.value) for record in self.read("journal")]

    def journal(self) -> list[Record]:
        """Return every record in the journal."""
        return [record for commit in self.commits() for record in commit.records]

    def charges(self) -> list[Charge]:
        """Return every charge in the journal."""
        return [record for record in self.journal() if isinstance(record, Charge)]

    def rejections(self) -> list[Rejection]:
        """Return every rejection in the journal."""
        return [record for record in self.journal() if isinstance(record, Rejection)]

    def account_events(self) -> list[AccountEvent]:
        """Return every account event in the journal."""
        return [record for record in self.journal() if isinstance(record, AccountEvent)]

    def records(self, topic: str) -> list[Record]:
        """Return the decoded records of `charges` or `rejections`."""
        return [decode_record(record.value) for record in self.read(topic)]

    def counts(self) -> Counts:
        """Return the counts of all partitions together."""
        return self._counts.refresh()

    def live_balances(self) -> list[Balance]:
        """Return the balances of the `balances` topic, by account."""
        balances = LiveBalances(self.log).refresh()
        return [balances[account_id] for account_id in sorted(balances)]

    def replayed_balances(self) -> list[Balance]:
        """Return the balances that the journal's fold gives, by account."""
        return replay_balances(self.log, PARTITIONS)


_Seen = TypeVar("_Seen")


def turns_until(
    turn: Callable[[], int], look: Callable[[], _Seen], done: Callable[[_Seen], bool]
) -> None:
    """Take turns until what is seen is enough; fail with what was seen if it never is."""
    since = time.monotonic()
    seen = look()
    while not done(seen):
        assert time.monotonic() - since < PATIENCE_SECONDS, f"nothing more happened: {seen}"
        turn()
        seen = look()
