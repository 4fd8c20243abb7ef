"""Transactions: all or nothing, where they were expected, by whoever holds slot and membership."""

import pytest

from engine.ports import CommitFailed, RecordLog, TopicPartition, Transactions, Write, next_append
from tests.ports.adapters import Adapters, assigned, joined, poll_until

USAGE = TopicPartition("usage", 0)
JOURNAL = TopicPartition("journal", 0)
OTHER = TopicPartition("journal", 1)


def write(value: bytes, partition: TopicPartition = JOURNAL, at: int | None = None) -> Write:
    return Write(partition.topic, partition.partition, None, value, at)


def values(log: RecordLog, partition: TopicPartition = JOURNAL) -> list[bytes]:
    """Return what read_committed readers see."""
    return [record.value for record in log.read(partition, 0, log.ends([partition])[partition])]


def refused(transactions: Transactions, *writes: Write, membership: object) -> None:
    """Commit what must fail, and end what it may have left open."""
    with pytest.raises(CommitFailed):
        transactions.commit(writes, {USAGE: 7}, membership)
    transactions.fence()


def test_a_commit_returns_where_each_record_landed(adapters: Adapters) -> None:
    membership = joined(adapters.inputs("worker-1")).membership
    transactions = adapters.transactions("worker-1")
    first = transactions.commit([write(b"a"), write(b"b"), write(b"c", OTHER)], {}, membership)
    second = transactions.commit([write(b"d")], {}, membership)
    assert (list(first), list(second)) == ([0, 1, 0], [next_append(1)])
    assert values(adapters.log()) == [b"a", b"b", b"d"]
    assert values(adapters.log(), OTHER) == [b"c"]


def test_offsets_are_committed_with_the_records(adapters: Adapters) -> None:
    inputs, transactions = adapters.inputs("worker-1"), adapters.transactions("worker-1")
    membership = joined(inputs).membership
    assert inputs.committed(USAGE) == 0
    transactions.commit([write(b"a")], {USAGE: 7}, membership)
    assert inputs.committed(USAGE) == 7


def test_offsets_can_be_committed_alone(adapters: Adapters) -> None:
    inputs, transactions = adapters.inputs("worker-1"), adapters.transactions("worker-1")
    assert list(transactions.commit([], {USAGE: 3}, joined(inputs).membership)) == []
    assert inputs.committed(USAGE) == 3


def test_a_record_without_a_value_is_a_tombstone(adapters: Adapters) -> None:
    membership = joined(adapters.inputs("worker-1")).membership
    adapters.transactions("worker-1").commit([Write(*JOURNAL, b"k", None)], {}, membership)
    (record,) = adapters.log().read(JOURNAL, 0, 1)
    assert (record.key, record.value) == (b"k", b"")


def test_records_that_land_where_they_were_expected_are_committed(adapters: Adapters) -> None:
    membership = joined(adapters.inputs("worker-1")).membership
    transactions, expected = adapters.transactions("worker-1"), 0
    for number in range(3):
        transactions.commit([write(b"%d" % number, at=expected)], {}, membership)
        expected = next_append(expected)
    assert values(adapters.log()) == [b"0", b"1", b"2"]


def test_a_record_that_lands_elsewhere_aborts_everything_with_it(adapters: Adapters) -> None:
    inputs, transactions = adapters.inputs("worker-1"), adapters.transactions("worker-1")
    membership = joined(inputs).membership
    adapters.append(JOURNAL, b"foreign")
    with pytest.raises(CommitFailed, match="landed at 1, expected 0: another worker appended"):
        transactions.commit([write(b"x", OTHER, at=0), write(b"y", at=0)], {USAGE: 7}, membership)
    transactions.fence()
    log = adapters.log()
    assert (values(log), values(log, OTHER), inputs.committed(USAGE)) == ([b"foreign"], [], 0)


def test_after_a_failure_the_next_commit_goes_through(adapters: Adapters) -> None:
    membership = joined(adapters.inputs("worker-1")).membership
    transactions = adapters.transactions("worker-1")
    refused(transactions, write(b"x", at=5), membership=membership)
    end = adapters.log().ends([JOURNAL])[JOURNAL]
    assert end == next_append(0)
    transactions.commit([write(b"y", at=end)], {}, membership)
    assert values(adapters.log()) == [b"y"]


def test_a_slot_that_is_taken_again_fences_its_earlier_holder(adapters: Adapters) -> None:
    inputs = adapters.inputs("worker-1")
    membership = joined(inputs).membership
    zombie, heir = adapters.transactions("worker-1"), adapters.transactions("worker-1")
    zombie.commit([write(b"a")], {}, membership)
    heir.fence()
    with pytest.raises(CommitFailed):
        zombie.commit([write(b"stale")], {USAGE: 7}, membership)
    assert values(adapters.log()) == [b"a"]
    assert inputs.committed(USAGE) == 0


def test_taking_a_slot_ends_the_transaction_that_was_left_open_in_it(adapters: Adapters) -> None:
    adapters.append_and_leave_open("worker-1", write(b"open"))
    adapters.append_and_leave_open("worker-2", write(b"other", OTHER))
    adapters.transactions("worker-1").fence()
    assert values(adapters.log()) == []


def test_fencing_twice_changes_nothing(adapters: Adapters) -> None:
    membership = joined(adapters.inputs("worker-1")).membership
    transactions = adapters.transactions("worker-1")
    transactions.fence()
    transactions.fence()
    transactions.commit([write(b"a", at=0)], {}, membership)
    assert values(adapters.log()) == [b"a"]


def test_nobody_commits_without_being_a_member(adapters: Adapters) -> None:
    inputs, transactions = adapters.inputs("worker-1"), adapters.transactions("worker-1")
    before_joining = inputs.poll(0).membership
    for membership in (None, object()):
        refused(transactions, write(b"x"), membership=membership)
    if getattr(before_joining, "generation_id", -1) < 0:
        refused(transactions, write(b"x"), membership=before_joining)
    assert values(adapters.log()) == []


def test_a_membership_of_an_earlier_generation_commits_nothing(adapters: Adapters) -> None:
    """Two members: once the second has joined, what the first polled before is stale."""
    first, second = adapters.inputs("worker-1"), adapters.inputs("worker-2")
    stale = joined(first).membership
    assigned(second, others=[first])
    transactions = adapters.transactions("worker-1")
    refused(transactions, write(b"stale"), membership=stale)
    assert values(adapters.log()) == []
    assert first.committed(USAGE) == 0
    fresh = poll_until(first, lambda batch: batch.membership != stale, "a membership of now")
    transactions.commit([write(b"fresh")], {USAGE: 1}, fresh.membership)
    assert values(adapters.log()) == [b"fresh"]
