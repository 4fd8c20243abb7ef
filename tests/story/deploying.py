"""A deployment in memory to tell stories to: records in their topics, a worker, evidence that it fits."""

from typing import Any

from engine.adapters.avro.account import encode_advance, encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.journal import decode_commit
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.adapters.tariff_log import TARIFFS
from engine.ports import TopicPartition
from engine.rating.account import Account
from engine.rating.authority import OPEN
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AdvanceTo, Order
from engine.rating.event import AccountEvent
from engine.rating.journal import Counts
from engine.rating.rules import LATEST_REVISION
from engine.rating.tariff import TariffVersion
from replay.balances import replay_balances
from replay.statement import Statement, statement
from replay.verify import Verifier
from tests.properties.memory_deployment import PARTITIONS, TOPICS, MemoryWorker, fold, work
from tests.rating.scenario import Quantities, at, usage_fields

HOME, AWAY = 0, 1


class Deployment:
    """One account at home in partition 0, acme unless said; every input is a record of its own."""

    def __init__(self, version: TariffVersion, account_id: str = "acme") -> None:
        self.account_id = account_id
        self.cluster = MemoryCluster(TOPICS)
        self._homes = {account_id: HOME}
        self._worker = MemoryWorker(self.cluster, homes=self._homes)
        self._commands = 0
        self.cluster.append(TARIFFS, encode_revision(LATEST_REVISION))
        self.cluster.append(TARIFFS, encode_registration(OPEN))
        self.cluster.append(TARIFFS, encode_tariff(version))

    def order(self, order: Order) -> None:
        """Ask something of the account, and let the worker decide it."""
        self._commands += 1
        command = AccountCommand(f"command-{self._commands}", self.account_id, "", order)
        self.command(command)

    def command(self, command: AccountCommand) -> None:
        """Append a command and let the worker decide it."""
        self.cluster.append(TopicPartition("accounts", HOME), encode_command(command))
        self.work()

    def advance(self, time: str | int) -> None:
        """Say how late it is (a text, or us UTC), to every partition."""
        until = at(time) if isinstance(time, str) else time
        for number in range(PARTITIONS):
            partition = TopicPartition("accounts", number)
            self.cluster.append(partition, encode_advance(AdvanceTo(until)))
        self.work()

    def use(self, event_id: str, occurred_at: str, quantities: Quantities, **rest: Any) -> None:
        """Report usage, and let the worker rate it."""
        self.report(usage_fields(event_id, occurred_at, quantities, **rest))
        self.work()

    def void(self, event_id: str, corrects: str, **rest: Any) -> None:
        """Take an event back, and let the worker do it."""
        self.use(event_id, "2026-12-31T00:00:00Z", {}, action="void", corrects=corrects, **rest)

    def report(self, fields: Any, partition: int = HOME) -> None:
        """Append a usage event to a partition, right or wrong."""
        self.cluster.append(TopicPartition("usage", partition), encode_usage(fields))

    def work(self, max_records: int = 100) -> None:
        """Let the worker take in all there is."""
        work(self.cluster, lambda: self._worker.turn(max_records))

    @property
    def account(self) -> Account:
        """The account, folded from the journal."""
        return fold(self.cluster, HOME).ledger.account(self.account_id)

    @property
    def counts(self) -> Counts:
        """The counts of all partitions together."""
        counts = (fold(self.cluster, number).counts for number in range(PARTITIONS))
        return next(counts).plus(next(counts))

    def records(self) -> list[Charge | AccountEvent]:
        """Return the account's records, as journaled."""
        name = TopicPartition("journal", HOME)
        read = MemoryLog(self.cluster).read(name, 0, self.cluster.end(name))
        found = (record for commit in read for record in decode_commit(commit.value).records)
        return [record for record in found if isinstance(record, Charge | AccountEvent)]

    def proved(self, period: str) -> Statement:
        """Return a statement, once all is proved: it adds up, counts hold, the journal verifies."""
        log = MemoryLog(self.cluster)
        live = {balance.account_id: balance for balance in replay_balances(log, PARTITIONS)}
        verified = Verifier(log, PARTITIONS, self._homes.__getitem__).verify(live)
        assert verified.holds, verified.difference
        assert verified.stands == verified.again
        assert self.counts.conserved
        found = statement(self.records(), period)
        assert found.problems == ()
        return found
