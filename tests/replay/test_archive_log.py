"""The archive gives back what Kafka gave: record for record, whatever it was cut into."""

import tempfile
from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters.memory import MemoryLog
from engine.ports import LogPruned, LogRecord, LogStalled, TopicPartition
from replay.archive.archiver import Archiver, Limits
from replay.archive.folder import Archive
from replay.archive.layout import TOPICS
from replay.archive.log import ArchiveLog, CombinedLog
from replay.balances import AsOf, replay_balances
from schemas.loader import NAMES
from tests.properties.streams import BEGIN, streams
from tests.replay.clusters import (
    HEADERS,
    IDENTITY,
    USAGE,
    Journaling,
    append_stream,
    archived,
    filled,
    new_cluster,
    read_all,
    records_of,
)

LIMITS = st.builds(Limits, records=st.integers(1, 9), bytes=st.integers(1, 4_000))
CUTS = st.sets(st.integers(0, 30), max_size=8)
PARTITIONS = [TopicPartition(topic, number) for topic in TOPICS for number in (0, 1)][:-1]


@settings(max_examples=15)  # each writes and forces tens of files to disk
@given(stream=streams(), cuts=CUTS, limits=LIMITS)
def test_the_archive_of_any_stream_cut_into_any_segments_is_the_log(
    stream: list[object], cuts: set[int], limits: Limits
) -> None:
    cluster = new_cluster()
    append_stream(cluster, stream, cuts)  # type: ignore[arg-type]  # hypothesis widens
    with tempfile.TemporaryDirectory() as folder:
        archive = archived(cluster, Path(folder), limits)
        names = archive.names()
        log, original = ArchiveLog(archive), MemoryLog(cluster)
        assert read_all(log, names) == read_all(original, names)
        assert replay_balances(log, 1) == replay_balances(original, 1)
        at = BEGIN + 5
        assert replay_balances(log, 1, AsOf(at)) == replay_balances(original, 1, AsOf(at))
        archived(cluster, Path(folder), limits)
        assert read_all(log, names) == read_all(original, names)


RECORDS = st.one_of(st.binary(max_size=30), st.just(b""), *map(records_of, NAMES))


@settings(max_examples=30)
@given(
    values=st.lists(st.tuples(RECORDS, st.none() | st.binary(max_size=3), HEADERS), max_size=12),
    topic=st.sampled_from(["usage", "usage-forwarded", "accounts"]),
    limits=LIMITS,
)
def test_whatever_stands_in_a_topic_comes_back_byte_for_byte(
    values: list[tuple[bytes, bytes | None, tuple[tuple[str, bytes], ...]]],
    topic: str,
    limits: Limits,
) -> None:
    cluster = new_cluster()
    name = TopicPartition(topic, 1)
    for value, key, headers in values:
        cluster.append(name, value, key, headers)
    with tempfile.TemporaryDirectory() as folder:
        log = ArchiveLog(archived(cluster, Path(folder), limits))
        assert read_all(log, [name]) == read_all(MemoryLog(cluster), [name])


def test_any_range_of_the_archive_is_that_range_of_the_log(tmp_path: Path) -> None:
    cluster = filled(9)
    log = ArchiveLog(archived(cluster, tmp_path, Limits(records=4)))
    for start, end in combinations_with_replacement(range(10), 2):
        found = list(log.read(USAGE, start, end))
        assert found == list(MemoryLog(cluster).read(USAGE, start, end))


def test_reading_past_the_archive_stalls_with_a_message(tmp_path: Path) -> None:
    cluster = new_cluster()
    cluster.append(USAGE, b"one")
    log = ArchiveLog(archived(cluster, tmp_path))
    with pytest.raises(LogStalled, match=r"usage\[0\]: ends at 1, expected to reach 2"):
        list(log.read(USAGE, 0, 2))


def test_the_archive_knows_its_topics_and_how_many_partitions_they_have(tmp_path: Path) -> None:
    log = ArchiveLog(archived(new_cluster(), tmp_path))
    assert [log.partitions(name) for name in (*TOPICS, "charges")] == [2, 2, 2, 1, 2, 0]
    assert log.ends(PARTITIONS) == dict.fromkeys(PARTITIONS, 0)


class Pruned(MemoryLog):
    """A log whose records before an offset were deleted."""

    before = 0

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        if start < min(end, self.before):
            raise LogPruned(f"{start} was deleted")
        return super().read(partition, start, end)


@settings(max_examples=20)
@given(split=st.integers(0, 10), start=st.integers(0, 10), end=st.integers(0, 10))
def test_the_archive_and_a_log_pruned_behind_it_are_the_whole_log(
    split: int, start: int, end: int
) -> None:
    cluster = new_cluster()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(split):
            cluster.append(USAGE, b"%d" % number)
        archive = archived(cluster, Path(folder), Limits(records=3))
        for number in range(split, 10):
            cluster.append(USAGE, b"%d" % number)
        pruned = Pruned(cluster)
        pruned.before = split
        combined = CombinedLog(ArchiveLog(archive), pruned)
        assert combined.ends([USAGE]) == {USAGE: 10}
        assert combined.partitions("usage") == 2
        expected = list(MemoryLog(cluster).read(USAGE, start, end))
        assert list(combined.read(USAGE, start, end)) == expected


def test_a_hanging_transaction_holds_up_its_own_partition_only(tmp_path: Path) -> None:
    cluster = new_cluster()
    journaling = Journaling(cluster)
    cluster.append(TopicPartition("usage-forwarded", 0), b"before")
    journaling.leave_open(b"open", "usage-forwarded")
    cluster.append(TopicPartition("usage-forwarded", 0), b"behind")
    cluster.append(TopicPartition("accounts", 1), b"elsewhere")
    archive = Archive.of(tmp_path, IDENTITY)
    with archive.writing():
        (stall,) = Archiver(archive, MemoryLog(cluster)).catch_up()
    assert "stuck at 1, expected to reach 3" in str(stall)
    log = ArchiveLog(archive)
    assert [record.value for record in read_all(log, archive.names())] == [b"before", b"elsewhere"]
    journaling.abort(b"and ended", "usage-forwarded")
    archived(cluster, tmp_path)
    values = [record.value for record in read_all(log, archive.names("usage-forwarded"))]
    assert values == [b"before", b"behind"]
