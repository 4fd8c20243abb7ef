"""Following a deployment while it runs: balances and counts, read as they are committed."""

from engine.adapters.avro.journal import read_counts
from engine.adapters.avro.views import balance_from
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.kafka.log import KafkaLog
from engine.ports import LogRecord, TopicPartition
from engine.rating.balance import Balance
from engine.rating.journal import Counts


class _Tail:
    """Reads what is new in every partition of a topic."""

    def __init__(self, log: KafkaLog, topic: str) -> None:
        self._log = log
        count = log.partitions(topic)
        self._next = {TopicPartition(topic, number): 0 for number in range(count)}

    def new_records(self) -> list[LogRecord]:
        """Return the records committed since the last call."""
        records: list[LogRecord] = []
        for partition, end in self._log.ends(list(self._next)).items():
            records += self._log.read(partition, self._next[partition], end)
            self._next[partition] = max(end, self._next[partition])
        return records


class LiveBalances:
    """The newest balance of each account, from the `balances` topic."""

    def __init__(self, log: KafkaLog) -> None:
        self._tail = _Tail(log, "balances")
        self.balances: dict[str, Balance] = {}

    def refresh(self) -> dict[str, Balance]:
        """Take in what is new and return all balances by account."""
        for record in self._tail.new_records():
            decoded = decode(record.value)
            if isinstance(decoded, Decoded):
                balance = balance_from(decoded.fields)
                self.balances[balance.account_id] = balance
        return self.balances


class LiveCounts:
    """The counts of all partitions together, from the journal."""

    def __init__(self, log: KafkaLog) -> None:
        self._tail = _Tail(log, "journal")
        self._by_partition: dict[int, Counts] = {}

    def refresh(self) -> Counts:
        """Take in what is new and return the sum over the partitions."""
        for record in self._tail.new_records():
            self._by_partition[record.partition] = read_counts(record.value)
        total = Counts()
        for counts in self._by_partition.values():
            total = total.plus(counts)
        return total
