"""A recovery that ends early, wherever it does, is made good by the next one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.snapshot import encode_snapshot
from engine.adapters.memory_caches import MemoryIdentityIndexes, MemorySnapshots
from engine.ports import LogRecord, TopicPartition
from engine.stream import recovery
from engine.stream.recovery import Recovered, recover
from tests.properties.streams import Input, Worker, lives, run


class JournalLog:
    """A log with the journal of one partition, one record per commit, that may go away."""

    def __init__(self, commits: Sequence[bytes], reads: int | None = None) -> None:
        self._commits = commits
        self._reads = reads

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self._commits))

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        for offset in range(start, end):
            if self._reads is not None:
                if not self._reads:
                    raise InterruptedError
                self._reads -= 1
            yield LogRecord("journal", partition.partition, offset, 0, None, self._commits[offset])


@given(lives(), st.data())
def test_a_rebuild_of_the_state_that_is_broken_off_leaves_the_identities_as_good_as_they_were(
    stream: list[Input], data: st.DataObject
) -> None:
    """Without a snapshot everything is folded again, also what the index holds already."""
    worker = run(stream, {*range(len(stream))})
    indexes = MemoryIdentityIndexes()
    reads = data.draw(st.integers(0, len(worker.journal)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "MAX_UNWRITTEN", 1)
        first = recovered(worker, indexes)
        with suppress(InterruptedError):
            recovered(worker, indexes, reads)
        again = recovered(worker, indexes)
    assert encode_snapshot(again.state) == encode_snapshot(first.state)
    assert again.last == first.last


def recovered(
    worker: Worker, indexes: MemoryIdentityIndexes, reads: int | None = None
) -> Recovered:
    """Recover from the journal and the index, without a snapshot; write the index at the end."""
    index = indexes.open(0)
    try:
        log = JournalLog(worker.journal, reads)
        found = recover(0, log, worker.book, index, MemorySnapshots())
        index.write(found.last)
        return found
    finally:
        index.close()
