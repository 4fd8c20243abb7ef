"""A deployment in memory that rejects: inputs, a worker, and what a person does about it."""

from collections.abc import Sequence
from typing import Any

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.journal import decode_commit
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import Fields, encode_usage, encode_usage_batch
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.adapters.signing import key_digest
from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.ports import TopicPartition
from engine.rating.authority import SourceRegistration
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AssignTariff, OpenAccount
from engine.rating.period import FIRST_INSTANT, UTC_ZONE
from engine.rating.rules import DEFAULT_LATENESS, LATEST_REVISION
from replay.redrive import Impossible, Outcome, Planner, Resend, Signer, redrive
from replay.rejections import Found, Wanted, find_rejections
from tests.properties.memory_deployment import HOMES, PARTITIONS, TOPICS, MemoryWorker, fold, work
from tests.rating.scenario import ONE_DOLLAR_EACH, tariff, usage_fields

ANY = Wanted()
WHEN = "2026-12-31T23:00:00Z"
"""An hour before the first record of a cluster in memory is appended."""


def event(event_id: str, account_id: str = "acme", **fields: Any) -> Fields:
    """Return a usage event of one input token, an hour old."""
    found: Fields = usage_fields(event_id, WHEN, {"input": 1}, account_id=account_id, **fields)
    return found


class Rejecting:
    """Accounts acme (partition 0) and globex (1) are open; the source gateway-1 is registered."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster(TOPICS)
        self.log = MemoryLog(self.cluster)
        self._worker = MemoryWorker(self.cluster)
        self.cluster.append(TARIFFS, encode_revision(LATEST_REVISION, ""))
        self.cluster.append(TARIFFS, encode_tariff(tariff(ONE_DOLLAR_EACH)))
        self.register("gateway-1")
        for account_id, home in HOMES.items():
            for order in (OpenAccount("USD", UTC_ZONE), AssignTariff("plan", FIRST_INSTANT, None)):
                command = AccountCommand(type(order).__name__, account_id, "", order)
                self.command(home, encode_command(command))

    def register(self, source: str, *keys: bytes) -> None:
        """Register a source for every account."""
        digests = tuple(map(key_digest, keys))
        registration = SourceRegistration(source, ("*",), ("record",), DEFAULT_LATENESS, digests)
        self.cluster.append(TARIFFS, encode_registration(registration))

    def command(self, partition: int, value: bytes) -> None:
        """Append a record of `accounts`."""
        self.cluster.append(TopicPartition("accounts", partition), value)

    def usage(
        self,
        *values: bytes,
        partition: int = 0,
        key: bytes | None = None,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> None:
        """Append records of `usage`."""
        for value in values:
            self.cluster.append(TopicPartition("usage", partition), value, key, headers)

    def send(self, *events: Fields) -> None:
        """Append each event alone, on the partition of its account."""
        for fields in events:
            self.usage(encode_usage(fields), partition=HOMES[fields["account_id"]])

    def send_batch(self, *events: Fields) -> None:
        """Append events as one batch, on the partition of the first one's account."""
        self.usage(encode_usage_batch(events), partition=HOMES[events[0]["account_id"]])

    def work(self) -> None:
        """Let the worker decide everything."""
        work(self.cluster, self._worker.turn)

    def found(self, wanted: Wanted = ANY) -> list[Found]:
        """Return rejections, after the worker has decided everything."""
        self.work()
        return find_rejections(self.log, PARTITIONS, wanted)

    def charged(self) -> dict[str, int]:
        """Return how often each event was charged: the fold refuses a second time."""
        counts: dict[str, int] = {}
        for number in range(PARTITIONS):
            fold(self.cluster, number)
        for record in self._journal():
            if isinstance(record, Charge):
                counts[record.event_id] = counts.get(record.event_id, 0) + 1
        return counts

    def _journal(self) -> list[object]:
        names = [TopicPartition("journal", number) for number in range(PARTITIONS)]
        return [
            entry
            for name in names
            for record in self.log.read(name, 0, self.cluster.end(name))
            for entry in decode_commit(record.value).records
        ]

    def planner(self, **keys: Sequence[bytes]) -> Planner:
        """Return a planner that knows the registrations up to now, and these keys by source."""
        tariffs = TariffLog(self.log)
        tariffs.read_all()
        return Planner(HOMES.__getitem__, Signer(tariffs.authority, keys))

    def redrive(
        self, found: Sequence[Found], log: Any = None, **keys: Sequence[bytes]
    ) -> tuple[list[Outcome], list[Resend]]:
        """Send rejections again; return what became of each, and what went out."""
        sent: list[Resend] = []

        def send(resend: Resend) -> Impossible | None:
            sent.append(resend)
            name = TopicPartition(resend.topic, resend.partition)
            self.cluster.append(name, resend.value, resend.key, resend.headers)
            return None

        planner = self.planner(**keys)
        return list(redrive(log or self.log, found, planner.plan, send)), sent
