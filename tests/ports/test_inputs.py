"""Inputs: partitions in ranges, quiet until they are started, and then in order."""

from engine.ports import TopicPartition, Write
from tests.ports.adapters import PARTITIONS, Adapters, assigned, joined, poll_until

USAGE = TopicPartition("usage", 0)
OTHER = TopicPartition("usage", 1)
ALL = frozenset(range(PARTITIONS))


def test_a_single_member_is_assigned_every_partition_once(adapters: Adapters) -> None:
    inputs = adapters.inputs("worker-1")
    assert assigned(inputs) == ALL
    assert inputs.take_assignment() is None
    inputs.poll(0)
    assert inputs.take_assignment() is None


def test_nothing_comes_before_a_partition_is_started(adapters: Adapters) -> None:
    for partition in (USAGE, OTHER):
        adapters.append(partition, b"x")
    inputs = adapters.inputs("worker-1")
    assigned(inputs)
    for _ in range(5):
        assert list(inputs.poll(100).records) == []
    inputs.start(1, {})
    batch = poll_until(inputs, lambda batch: bool(batch.records), "the record of partition 1")
    assert [(record.topic, record.partition) for record in batch.records] == [OTHER]


def test_reading_starts_where_it_is_told_to_and_is_told_by_topic(adapters: Adapters) -> None:
    for number in range(4):
        adapters.append(USAGE, b"%d" % number)
    adapters.append(TopicPartition("accounts", 0), b"command")
    inputs = adapters.inputs("worker-1", ("usage", "accounts"))
    assigned(inputs)
    inputs.start(0, {"usage": 2})
    seen: list[tuple[str, bytes]] = []

    def take(batch: object) -> bool:
        seen.extend((record.topic, record.value) for record in batch.records)  # type: ignore[attr-defined]
        return len(seen) >= 3

    poll_until(inputs, take, "two usage records and a command")
    assert sorted(seen) == [("accounts", b"command"), ("usage", b"2"), ("usage", b"3")]


def test_starting_again_reads_again(adapters: Adapters) -> None:
    adapters.append(USAGE, b"a")
    inputs = adapters.inputs("worker-1")
    assigned(inputs)
    for _ in range(2):
        inputs.start(0, {"usage": 0})
        batch = poll_until(inputs, lambda batch: bool(batch.records), "the record once more")
        assert [record.value for record in batch.records] == [b"a"]


def test_a_poll_brings_no_more_records_than_allowed_and_in_order(adapters: Adapters) -> None:
    for number in range(5):
        adapters.append(USAGE, b"%d" % number)
    inputs = adapters.inputs("worker-1", max_records=2)
    assigned(inputs)
    inputs.start(0, {})
    offsets: list[int] = []
    while len(offsets) < 5:
        batch = poll_until(inputs, lambda batch: bool(batch.records), "the next records")
        assert len(batch.records) <= 2
        offsets += [record.offset for record in batch.records]
    assert offsets == list(range(5))


def test_an_open_transaction_holds_back_what_follows_it(adapters: Adapters) -> None:
    adapters.append(USAGE, b"before")
    adapters.append_and_leave_open("gateway", Write(*USAGE, None, b"open"))
    adapters.append(USAGE, b"behind")
    inputs = adapters.inputs("worker-1")
    assigned(inputs)
    inputs.start(0, {})
    first = poll_until(inputs, lambda batch: bool(batch.records), "what stands before it")
    assert [record.value for record in first.records] == [b"before"]
    assert list(inputs.poll(200).records) == []
    adapters.transactions("gateway").fence()
    second = poll_until(inputs, lambda batch: bool(batch.records), "what stands behind it")
    assert [record.value for record in second.records] == [b"behind"]


def test_nothing_was_committed_by_a_group_that_is_new(adapters: Adapters) -> None:
    inputs = adapters.inputs("worker-1")
    joined(inputs)
    assert inputs.committed(OTHER) == 0


def test_two_members_share_the_partitions(adapters: Adapters) -> None:
    first, second = adapters.inputs("worker-1"), adapters.inputs("worker-2")
    assert assigned(first) == ALL
    theirs = assigned(second, others=[first])
    mine = first.take_assignment() or assigned(first, others=[second])
    assert (len(mine), len(theirs)) == (1, 1)
    assert mine | theirs == ALL


def test_a_member_that_starts_again_in_its_slot_is_assigned_what_it_had(
    adapters: Adapters,
) -> None:
    assert assigned(adapters.inputs("worker-1")) == ALL
    assert assigned(adapters.inputs("worker-1")) == ALL


def test_what_the_group_committed_is_known_to_the_next_member(adapters: Adapters) -> None:
    membership = joined(adapters.inputs("worker-1")).membership
    adapters.transactions("worker-1").commit([], {USAGE: 5}, membership)
    again = adapters.inputs("worker-1")
    joined(again)
    assert again.committed(USAGE) == 5
