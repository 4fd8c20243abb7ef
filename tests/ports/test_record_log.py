"""RecordLog: ends that count what is open, reads that show only what is committed."""

import pytest

from engine.ports import LogStalled, TopicPartition, Write, next_append
from tests.ports.adapters import Adapters, joined

USAGE = TopicPartition("usage", 0)
OTHER = TopicPartition("usage", 1)
JOURNAL = TopicPartition("journal", 0)


def test_an_empty_partition_ends_at_zero_and_has_nothing_to_read(adapters: Adapters) -> None:
    log = adapters.log()
    assert log.ends([USAGE, OTHER]) == {USAGE: 0, OTHER: 0}
    assert list(log.read(USAGE, 0, 0)) == []


def test_no_partitions_have_no_ends(adapters: Adapters) -> None:
    assert adapters.log().ends([]) == {}


def test_a_record_is_read_as_it_was_written(adapters: Adapters) -> None:
    adapters.append(USAGE, b"value", b"acme", (("ce_id", b"e1"), ("ce_id", b"e2")))
    (record,) = adapters.log().read(USAGE, 0, 1)
    assert record._replace(appended_at=0) == (
        *("usage", 0, 0, 0, b"acme", b"value"),
        (("ce_id", b"e1"), ("ce_id", b"e2")),
    )


def test_a_record_without_key_and_headers_has_none(adapters: Adapters) -> None:
    adapters.append(USAGE, b"")
    (record,) = adapters.log().read(USAGE, 0, 1)
    assert (record.key, record.value, record.headers) == (None, b"", ())


def test_times_are_whole_milliseconds_and_never_go_back(adapters: Adapters) -> None:
    for number in range(5):
        adapters.append(USAGE, b"%d" % number)
    times = [record.appended_at for record in adapters.log().read(USAGE, 0, 5)]
    assert times == sorted(times)
    assert all(time > 0 and time % 1_000 == 0 for time in times)


def test_records_of_a_range_are_read_in_order_without_its_end(adapters: Adapters) -> None:
    for number in range(6):
        assert adapters.append(USAGE, b"%d" % number) == number
    records = list(adapters.log().read(USAGE, 2, 5))
    assert [(record.offset, record.value) for record in records] == [
        (2, b"2"),
        (3, b"3"),
        (4, b"4"),
    ]


def test_partitions_are_apart(adapters: Adapters) -> None:
    adapters.append(USAGE, b"zero")
    adapters.append(OTHER, b"one")
    adapters.append(OTHER, b"two")
    log = adapters.log()
    assert log.ends([USAGE, OTHER]) == {USAGE: 1, OTHER: 2}
    assert [record.value for record in log.read(OTHER, 0, 2)] == [b"one", b"two"]


def test_the_end_of_a_transaction_takes_one_offset(adapters: Adapters) -> None:
    transactions, inputs = adapters.transactions("worker-1"), adapters.inputs("worker-1")
    membership = joined(inputs).membership
    (landed,) = transactions.commit([Write(*JOURNAL, None, b"commit")], {}, membership)
    log = adapters.log()
    assert (landed, log.ends([JOURNAL])[JOURNAL]) == (0, next_append(0))
    assert [record.value for record in log.read(JOURNAL, 0, 2)] == [b"commit"]


def test_the_end_counts_an_open_transaction_and_reading_up_to_it_stalls(
    adapters: Adapters,
) -> None:
    adapters.append(JOURNAL, b"before")
    adapters.append_and_leave_open("worker-1", Write(*JOURNAL, None, b"open"))
    log = adapters.log()
    assert log.ends([JOURNAL])[JOURNAL] == 2
    with pytest.raises(LogStalled, match="stuck at 1, expected to reach 2"):
        list(log.read(JOURNAL, 0, 2))
    assert [record.value for record in log.read(JOURNAL, 0, 1)] == [b"before"]


def test_what_stands_behind_an_open_transaction_waits_for_it(adapters: Adapters) -> None:
    adapters.append_and_leave_open("worker-1", Write(*JOURNAL, None, b"open"))
    adapters.append(JOURNAL, b"behind")
    log = adapters.log()
    with pytest.raises(LogStalled):
        list(log.read(JOURNAL, 0, 2))
    adapters.transactions("worker-1").fence()
    assert [record.value for record in log.read(JOURNAL, 0, 2)] == [b"behind"]


def test_records_of_an_aborted_transaction_are_never_read(adapters: Adapters) -> None:
    adapters.append_and_leave_open("worker-1", Write(*JOURNAL, None, b"aborted"))
    adapters.transactions("worker-1").fence()
    log = adapters.log()
    end = log.ends([JOURNAL])[JOURNAL]
    assert end == next_append(0)
    assert list(log.read(JOURNAL, 0, end)) == []
