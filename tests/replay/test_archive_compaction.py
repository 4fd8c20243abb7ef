"""Compaction: fewer files, the same records, at every moment."""

import contextlib
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters.memory import MemoryLog
from engine.ports import LogRecord
from replay.archive import compaction, folder, segments
from replay.archive.archiver import Archived, Archiver, Limits
from replay.archive.compaction import compact, runs_to_merge
from replay.archive.errors import BrokenArchive
from replay.archive.folder import Archive
from replay.archive.layout import FORMAT
from replay.archive.log import ArchiveLog
from replay.archive.manifest import Segment, save_manifest
from replay.archive.tables import Table, arrow_table, table_of
from tests.properties.streams import streams
from tests.replay.clusters import (
    IDENTITY,
    USAGE,
    append_stream,
    archived,
    filled,
    new_cluster,
    read_all,
)
from tests.replay.deaths import Killed, steps_until_killed


def compact_all(archive: Archive) -> int:
    """Compact every partition; return how many merges there were."""
    with archive.writing():
        return sum(len(list(compact(archive, name))) for name in archive.names())


@settings(max_examples=10)  # each writes and forces tens of files to disk
@given(stream=streams(), size=st.integers(1, 4))
def test_a_compacted_archive_has_the_same_records_in_fewer_segments(
    stream: list[object], size: int
) -> None:
    cluster = new_cluster()
    append_stream(cluster, stream, {2, 3, 4, 9})  # type: ignore[arg-type]  # hypothesis widens
    with tempfile.TemporaryDirectory() as path:
        archive = archived(cluster, Path(path), Limits(records=size))
        names = archive.names()
        before = sum(len(archive.manifest(name).segments) for name in names)
        merges = compact_all(archive)
        after = sum(len(archive.manifest(name).segments) for name in names)
        assert read_all(ArchiveLog(archive), names) == read_all(MemoryLog(cluster), names)
        assert (after < before) == (merges > 0)
        assert [archive.strays(name) for name in names] == [[]] * len(names)
        archived(cluster, Path(path))  # and an archiver goes on behind it


@settings(max_examples=15)  # as above
@given(kills=st.lists(st.integers(0, 25), max_size=5))
def test_a_compaction_killed_at_any_step_leaves_the_same_records(kills: list[int]) -> None:
    cluster = filled(12)
    with tempfile.TemporaryDirectory() as path:
        archive = archived(cluster, Path(path), Limits(records=1))
        for steps in kills:
            with pytest.MonkeyPatch.context() as monkeypatch:
                steps_until_killed(monkeypatch, steps)
                with contextlib.suppress(Killed):
                    compact_all(archive)
            assert read_all(ArchiveLog(archive), [USAGE]) == read_all(MemoryLog(cluster), [USAGE])
        compact_all(archive)
        assert read_all(ArchiveLog(archive), [USAGE]) == read_all(MemoryLog(cluster), [USAGE])
        assert archive.strays(USAGE) == []


def segments_of(*sizes: int) -> list[Segment]:
    return [Segment(n, n + 1, 1, 1, size, "", FORMAT) for n, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        ((), []),
        ((5,), []),
        ((1, 1), [(1, 1)]),
        ((1, 2), []),
        ((8, 1, 1, 1), [(1, 1, 1)]),
        ((4, 1, 1, 1, 1), [(4, 1, 1, 1, 1)]),
        ((1, 1, 9, 1, 1), [(1, 1), (1, 1)]),
        ((6, 6, 6), []),
        ((5, 5, 5), [(5, 5)]),
        ((99, 1, 1), [(1, 1)]),
    ],
)
def test_a_merge_stays_within_the_target_and_doubles_its_largest_segment(
    sizes: tuple[int, ...], merged: list[tuple[int, ...]]
) -> None:
    runs = runs_to_merge(segments_of(*sizes), target_bytes=11)
    assert [tuple(segment.size for segment in run) for run in runs] == merged


def test_a_following_archiver_waits_until_enough_segments_stand_there() -> None:
    assert runs_to_merge(segments_of(1, 1, 1), target_bytes=11, fewest=4) == []
    assert len(runs_to_merge(segments_of(1, 1, 1, 1), target_bytes=11, fewest=4)) == 1


@given(st.lists(st.just(1), min_size=1, max_size=200))
def test_however_often_it_runs_a_row_is_rewritten_a_few_times_only(arrivals: list[int]) -> None:
    sizes: list[int] = []
    rewritten = 0
    for arrival in arrivals:
        sizes.append(arrival)
        for run in runs_to_merge(segments_of(*sizes), target_bytes=10**9):
            total = sum(segment.size for segment in run)
            rewritten += total
            start = run[0].first_offset
            sizes[start : start + len(run)] = [total]
    assert rewritten <= len(arrivals) * len(arrivals).bit_length()


def test_compaction_between_two_segments_of_one_catching_up_loses_neither(tmp_path: Path) -> None:
    cluster = filled(9)
    archive = Archive.of(tmp_path, IDENTITY)

    def merge(found: Archived) -> None:
        list(compact(archive, found.partition))

    with archive.writing():
        Archiver(archive, MemoryLog(cluster), Limits(records=1), merge).catch_up()
    assert read_all(ArchiveLog(archive), [USAGE]) == read_all(MemoryLog(cluster), [USAGE])
    assert len(archive.manifest(USAGE).segments) < 9


def test_a_reader_in_the_midst_of_segments_that_are_merged_reads_on(tmp_path: Path) -> None:
    cluster = filled(8)
    archive = archived(cluster, tmp_path, Limits(records=2))
    reading = ArchiveLog(archive).read(USAGE, 0, 8)
    found: list[LogRecord] = [next(reading)]
    compact_all(archive)
    found += reading
    assert found == list(MemoryLog(cluster).read(USAGE, 0, 8))


def test_a_merge_that_would_change_a_record_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archived(filled(4), tmp_path, Limits(records=2))
    before = archive.manifest(USAGE)

    def doubled(*given: object) -> list[object]:
        return [table for table in list(real(*given)) for _ in (1, 2)]  # type: ignore[arg-type]

    real = compaction._groups  # noqa: SLF001 - the step that this test breaks
    monkeypatch.setattr(compaction, "_groups", doubled)
    with pytest.raises(BrokenArchive, match="differs from the segments that it merges"):
        compact_all(archive)
    assert archive.manifest(USAGE) == before


def test_segments_of_an_older_schema_get_todays_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = filled(4)
    with monkeypatch.context() as earlier:
        older = Table(pa.schema(list(table_of("usage").schema)[:-1]), {})
        for module in (segments, compaction):
            earlier.setattr(module, "table_of", lambda _: older)
        earlier.setattr(
            segments,
            "arrow_table",
            lambda topic, records: arrow_table(topic, records).select(older.schema.names),
        )
        archive = archived(cluster, tmp_path, Limits(records=2))
        (first, *_) = archive.manifest(USAGE).segments
        assert "usage_event" not in pq.read_schema(archive.file(USAGE, first)).names
    compact_all(archive)
    (merged,) = archive.manifest(USAGE).segments
    assert pq.read_schema(archive.file(USAGE, merged)).equals(table_of("usage").schema)
    assert read_all(ArchiveLog(archive), [USAGE]) == read_all(MemoryLog(cluster), [USAGE])


def test_a_missing_segment_is_named_by_whoever_reads_it(tmp_path: Path) -> None:
    archive = archived(filled(2), tmp_path)
    archive.file(USAGE, archive.manifest(USAGE).segments[0]).unlink()
    with pytest.raises(BrokenArchive, match=r"parquet: is missing"):
        read_all(ArchiveLog(archive), [USAGE])
    assert folder.Archive(tmp_path).strays(USAGE) == []
    save_manifest(tmp_path, archive.manifest(USAGE)._replace(segments=()))
    assert read_all(ArchiveLog(archive), [USAGE]) == []
