"""A deployment in memory whose account acme has bought tokens: grants, voids, limits, the clock."""

from collections.abc import Callable, Sequence
from typing import Any

from engine.adapters.avro.account import encode_advance, encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.journal import (
    commit_digest,
    decode_commit,
    encode_commit,
    encode_record,
    read_commit,
)
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.adapters.tariff_log import TARIFFS
from engine.ports import LogRecord, TopicPartition
from engine.rating.authority import OPEN
from engine.rating.charge import Charge
from engine.rating.command import (
    AccountCommand,
    AdvanceTo,
    AssignTariff,
    IssueGrant,
    OpenAccount,
    Order,
)
from engine.rating.event import Record, Rejection
from engine.rating.grant import Grant, Rollover, Thresholds
from engine.rating.journal import JournalCommit
from engine.rating.money import PICO
from engine.rating.period import UTC_ZONE
from engine.rating.rules import LATEST_REVISION
from tests.properties.memory_deployment import HOMES, TOPICS, MemoryWorker, work
from tests.rating.scenario import ONE_DOLLAR_EACH, at, tariff, usage_fields

HOME = HOMES["acme"]
ACCOUNTS, USAGE, JOURNAL = (
    TopicPartition(topic, HOME) for topic in ("accounts", "usage", "journal")
)
OCTOBER, NOVEMBER, DECEMBER, NEW_YEAR = map(
    at,
    (
        "2026-10-01T00:00:00Z",
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    ),
)
MONTHLY = Grant(
    "monthly",
    "tokens",
    100 * PICO,
    NOVEMBER,
    None,
    OCTOBER,
    recurrence="calendar_month",
    rollover=Rollover(most=30 * PICO),
    thresholds=Thresholds(run_out=False),
)
"""A hundred tokens a month, of which thirty may roll over."""


class Prepaying:
    """Acme is open, on a tariff of one dollar each."""

    def __init__(
        self, max_commit_bytes: int = 4 * 1024 * 1024, text: str = ONE_DOLLAR_EACH
    ) -> None:
        self.cluster = MemoryCluster(TOPICS)
        self.log = MemoryLog(self.cluster)
        self._worker = MemoryWorker(self.cluster, max_commit_bytes=max_commit_bytes)
        self._commands = 0
        self.cluster.append(TARIFFS, encode_revision(LATEST_REVISION))
        self.cluster.append(TARIFFS, encode_registration(OPEN))
        self.cluster.append(TARIFFS, encode_tariff(tariff(text)))
        self.order(OpenAccount("USD", UTC_ZONE), AssignTariff("plan", NOVEMBER, None))

    def order(
        self, *orders: Order, principal: str = "", needs_approval: bool = False, name: str = ""
    ) -> None:
        """Append commands; their names are c1, c2 and so on unless said."""
        for order in orders:
            self._commands += 1
            command = AccountCommand(
                name or f"c{self._commands}", "acme", principal, order, needs_approval
            )
            self.cluster.append(ACCOUNTS, encode_command(command))

    def give(self, grant: Grant = MONTHLY) -> None:
        """Append a grant."""
        self.order(IssueGrant(grant))

    def advance(self, until: int) -> None:
        """Append the passing of time."""
        self.cluster.append(ACCOUNTS, encode_advance(AdvanceTo(until)))

    def use(self, event_id: str, quantity: int, day: str = "2026-11-02", **rest: Any) -> None:
        """Append usage of so many input tokens."""
        quantities = {"input": quantity} if quantity else {}
        fields = {**usage_fields(event_id, f"{day}T12:00:00Z", quantities), **rest}
        self.cluster.append(USAGE, encode_usage(fields))

    def void(self, event_id: str, corrects: str) -> None:
        """Append a void."""
        self.use(event_id, 0, action="void", corrects=corrects)

    def work(self) -> None:
        """Let the worker decide everything that was appended."""
        work(self.cluster, self._worker.turn)

    def commits(self) -> list[JournalCommit]:
        """Return the commits of acme's partition, after the worker has decided everything."""
        self.work()
        end = self.cluster.stable_end(JOURNAL)
        return [decode_commit(record.value) for record in self.log.read(JOURNAL, 0, end)]

    def records(self) -> list[Record]:
        """Return the records of acme's partition."""
        return [record for commit in self.commits() for record in commit.records]

    def charges(self, kind: str) -> list[Charge]:
        """Return the charges of a kind."""
        return [r for r in self.records() if isinstance(r, Charge) and r.kind == kind]


def forged(
    change: Callable[[Sequence[Record]], Sequence[Record]],
) -> Callable[[list[LogRecord]], list[LogRecord]]:
    """Change the records of every commit; number them and hash the chain again as a forger would."""

    def rewrite(records: list[LogRecord]) -> list[LogRecord]:
        rewritten: list[LogRecord] = []
        previous, sequences = bytes(32), dict.fromkeys(HOMES, 0)
        for record in records:
            commit, _ = read_commit(record.value)
            entries = [encode_record(_numbered(r, sequences)) for r in change(commit.records)]
            data = encode_commit(commit._replace(previous=previous), entries)
            previous = commit_digest(data)
            rewritten.append(record._replace(value=data))
        return rewritten

    return rewrite


def _numbered(record: Record, sequences: dict[str, int]) -> Record:
    if isinstance(record, Rejection):
        return record
    sequences[record.account_id] += 1
    return record._replace(sequence=sequences[record.account_id])


def without(is_left_out: Callable[[Record], bool]) -> Callable[[list[LogRecord]], list[LogRecord]]:
    """Leave records out of every commit."""
    return forged(lambda records: [record for record in records if not is_left_out(record)])


def changed(
    kind: type[Record], change: Callable[[Any], Any]
) -> Callable[[list[LogRecord]], list[LogRecord]]:
    """Change every record of a type."""
    return forged(
        lambda records: [
            change(record) if isinstance(record, kind) else record for record in records
        ]
    )
