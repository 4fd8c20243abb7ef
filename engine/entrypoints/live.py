"""Following a deployment while it runs: balances, alerts and counts, read as they are committed."""

from collections.abc import Iterator, Mapping

from engine.adapters.avro.charge import charge_of
from engine.adapters.avro.journal import read_counts
from engine.adapters.avro.views import alert_from, balance_from
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.kafka.log import KafkaLog
from engine.entrypoints.watching import AccountWatch, Watched
from engine.ports import LogRecord, TopicPartition
from engine.rating.alert import Alert
from engine.rating.balance import Balance
from engine.rating.journal import Counts
from engine.rating.month import month_of
from engine.rating.period import UTC_ZONE

_DAY = 86_400 * 1_000_000


class _Tail:
    """Reads what is new in partitions of a topic: from an offset on, and with one key if it is given."""

    def __init__(
        self, log: KafkaLog, start: Mapping[TopicPartition, int], key: bytes | None = None
    ) -> None:
        self._log = log
        self._next = dict(start)
        self._key = key

    @classmethod
    def of_all(cls, log: KafkaLog, topic: str) -> "_Tail":
        """Return one that reads every partition of a topic from its beginning."""
        return cls(log, {TopicPartition(topic, n): 0 for n in range(log.partitions(topic))})

    def new_records(self) -> Iterator[LogRecord]:
        """Yield the records committed since the last call, to be taken before anything else is read."""
        for partition, end in self._log.ends(list(self._next)).items():
            for record in self._log.read(partition, self._next[partition], end):
                if self._key is None or record.key == self._key:
                    yield record
            self._next[partition] = max(end, self._next[partition])


class LiveBalances:
    """The newest balance of each account, from the `balances` topic."""

    def __init__(self, log: KafkaLog) -> None:
        self._tail = _Tail.of_all(log, "balances")
        self.balances: dict[str, Balance] = {}

    def refresh(self) -> dict[str, Balance]:
        """Take in what is new and return all balances by account."""
        for record in self._tail.new_records():
            decoded = decode(record.value)
            if isinstance(decoded, Decoded):
                balance = balance_from(decoded.fields)
                self.balances[balance.account_id] = balance
        return self.balances


class LiveAlerts:
    """Alerts as they are raised, from the `alerts` topic."""

    def __init__(self, log: KafkaLog, account_id: str | None = None) -> None:
        self._tail = _Tail.of_all(log, "alerts")
        self._account_id = account_id

    def refresh(self) -> Iterator[Alert]:
        """Yield what was alerted since the last call, partition by partition."""
        for alert in _alerts(self._tail):
            if self._account_id in (None, alert.account_id):
                yield alert


def _alerts(tail: _Tail) -> Iterator[Alert]:
    for record in tail.new_records():
        decoded = decode(record.value)
        if isinstance(decoded, Decoded):
            yield alert_from(decoded.fields)


class LiveBalance:
    """The newest balance of one account, from its partition of the `balances` topic."""

    def __init__(self, log: KafkaLog, partition: int, account_id: str) -> None:
        self._tail = _Tail(log, {TopicPartition("balances", partition): 0}, account_id.encode())

    def refresh(self) -> Balance | None:
        """Return the newest balance since the last call; None if there is none."""
        newest = None
        for record in self._tail.new_records():
            newest = decode(record.value)
        return balance_from(newest.fields) if isinstance(newest, Decoded) else None


class LiveAccount:
    """One account, from what is projected to its partition of `balances`, `charges` and `alerts`."""

    def __init__(self, log: KafkaLog, partition: int, account_id: str) -> None:
        self._log = log
        self._partition = partition
        self._key = account_id.encode()
        self._watch = AccountWatch()
        self._balance = LiveBalance(log, partition, account_id)
        self._others: tuple[_Tail, _Tail] | None = None

    def refresh(self) -> Watched | None:
        """Return what is to be seen now; None if that is what the last call has returned."""
        balance = self._balance.refresh()
        if balance is None:
            return None
        if self._others is None:
            since = _begin(balance)
            self._others = self._tail("charges", since), self._tail("alerts", since)
        charges, alerts = self._others
        charged = (decode(record.value) for record in charges.new_records())
        return self._watch.take(
            balance,
            (charge_of(found.fields) for found in charged if isinstance(found, Decoded)),
            _alerts(alerts),
        )

    def _tail(self, topic: str, since: int) -> _Tail:
        """Return what reads the account's records, from the first one appended since (us UTC)."""
        partition = TopicPartition(topic, self._partition)
        return _Tail(self._log, {partition: self._log.since(partition, since)}, self._key)


def _begin(balance: Balance) -> int:
    """Return a time (us UTC) before any charge of the latest month that has one was projected."""
    month = month_of(max((label for label, _ in balance.periods), default=""), UTC_ZONE)
    started_at = balance.as_of if month is None else min(month.starts_at, balance.as_of)
    return max(0, started_at - 2 * _DAY)


class LiveCounts:
    """The counts of all partitions together, from the journal."""

    def __init__(self, log: KafkaLog) -> None:
        self._tail = _Tail.of_all(log, "journal")
        self._by_partition: dict[int, Counts] = {}

    def refresh(self) -> Counts:
        """Take in what is new and return the sum over the partitions."""
        for record in self._tail.new_records():
            self._by_partition[record.partition] = read_counts(record.value)
        total = Counts()
        for counts in self._by_partition.values():
            total = total.plus(counts)
        return total
