"""Recovery: a partition's state is what its journal says, and only that.

The end is read as read_uncommitted and folded up to as read_committed, so a transaction that a
dead owner left in flight must end first; folding only to the last stable offset could fold short
(commit protocol, rule 5).
"""

from typing import NamedTuple

from engine.adapters.avro.journal import commit_digest, decode_commit
from engine.ports import RecordLog, TopicPartition
from engine.rating.journal import PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.tariff_book import TariffBook


class Recovered(NamedTuple):
    """A partition's state, and where the next commit record must land."""

    state: PartitionState
    journal_end: int


def recover(partition: int, log: RecordLog, book: TariffBook) -> Recovered:
    """Fold a partition's whole journal. BrokenChain if a commit does not follow."""
    journal = TopicPartition("journal", partition)
    end = log.ends([journal])[journal]
    state = PartitionState(partition, book, MemoryIdentities())
    for record in log.read(journal, 0, end):
        state.fold(decode_commit(record.value), commit_digest(record.value))
    return Recovered(state, end)
