"""Writing an archive: killed anywhere, by one process at a time, of one deployment only."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters.memory import MemoryLog
from engine.ports import TopicPartition
from engine.rating.errors import BrokenChain
from replay.archive import manifest
from replay.archive.archiver import Archived, Archiver, Limits
from replay.archive.errors import ArchiveBusy, ArchiveError, BrokenArchive, ForeignArchive
from replay.archive.folder import Archive, Identity
from replay.archive.layout import MANIFEST, partition_folder
from replay.archive.log import ArchiveLog
from tests.properties.streams import run, streams
from tests.replay.clusters import (
    IDENTITY,
    JOURNAL,
    USAGE,
    Journaling,
    append_stream,
    archived,
    filled,
    new_cluster,
    read_all,
)
from tests.replay.deaths import Killed, steps_until_killed


@settings(max_examples=15)  # each writes and forces tens of files to disk
@given(
    stream=streams(),
    kills=st.lists(st.integers(0, 60), max_size=6),
    limits=st.builds(Limits, records=st.integers(1, 6)),
)
def test_an_archiver_killed_at_any_step_leaves_no_gap_and_nothing_double(
    stream: list[object], kills: list[int], limits: Limits
) -> None:
    cluster = new_cluster()
    append_stream(cluster, stream, {3, 4, 9})  # type: ignore[arg-type]  # hypothesis widens
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive"
        for steps in kills:
            with pytest.MonkeyPatch.context() as monkeypatch:
                steps_until_killed(monkeypatch, steps)
                try:
                    archived(cluster, path, limits)
                except Killed:
                    continue
        archive = archived(cluster, path, limits)
        names = archive.names()
        assert read_all(ArchiveLog(archive), names) == read_all(MemoryLog(cluster), names)
        assert [archive.strays(name) for name in names] == [[]] * len(names)


@pytest.mark.parametrize("size", [0, 100, None])
def test_a_half_written_segment_does_not_count_and_is_written_again(
    size: int | None, tmp_path: Path
) -> None:
    cluster = filled(6)
    archive = archived(cluster, tmp_path, Limits(records=2))
    known = archive.manifest(USAGE)
    manifest.save_manifest(tmp_path, known._replace(segments=known.segments[:2]))
    file = archive.file(USAGE, known.segments[2])
    file.write_bytes(file.read_bytes()[:size])
    assert archive.strays(USAGE) == [file]
    assert len(read_all(ArchiveLog(archive), [USAGE])) == 4
    archived(cluster, tmp_path)
    assert read_all(ArchiveLog(archive), [USAGE]) == read_all(MemoryLog(cluster), [USAGE])


def test_a_second_archiver_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    archive = archived(filled(1), tmp_path)
    with archive.writing(), pytest.raises(ArchiveBusy, match="another process writes"):
        archived(filled(2), tmp_path)
    archived(filled(2), tmp_path)


@pytest.mark.parametrize(
    "other", [Identity("other.", 2), Identity("test.", 3), Identity("test.", 2, "cluster-b")]
)
def test_the_archive_of_another_deployment_is_refused(other: Identity, tmp_path: Path) -> None:
    archived(new_cluster(), tmp_path)
    with pytest.raises(ForeignArchive, match=r"is the archive of 'test.' with 2 partitions, got"):
        Archive.of(tmp_path, other)


def test_a_log_that_ends_before_its_archive_is_refused(tmp_path: Path) -> None:
    archived(filled(5), tmp_path)
    with pytest.raises(ForeignArchive, match=r"archived up to 5, but the log ends at 4"):
        archived(filled(4), tmp_path)


@settings(max_examples=5)  # the streams only have to differ
@given(stream=streams())
def test_a_journal_that_does_not_continue_the_archived_one_is_refused(stream: list[object]) -> None:
    first, other = run(stream, {2, 5}).journal, run(stream, {1, 3, 4}).journal  # two deployments
    cluster, foreign = new_cluster(), new_cluster()
    for data in first[:2]:
        Journaling(cluster).commit(data)
    for data in other:
        Journaling(foreign).commit(data)
    with tempfile.TemporaryDirectory() as folder:
        archived(cluster, Path(folder))
        with pytest.raises(BrokenChain, match=r"journal\[0\] offset 4: got commit 3 after"):
            archived(foreign, Path(folder))


def test_what_is_no_commit_never_enters_the_archived_journal(tmp_path: Path) -> None:
    cluster = new_cluster()
    cluster.append(JOURNAL, b"no commit")
    with pytest.raises(
        BrokenChain, match=r"journal\[0\] offset 0: got .*expected a journal_commit"
    ):
        archived(cluster, tmp_path)


def test_each_segment_is_reported_once_it_counts(tmp_path: Path) -> None:
    cluster = filled(5)
    archive = Archive.of(tmp_path, IDENTITY)
    told: list[Archived] = []

    def note(found: Archived) -> None:
        assert found.segment in archive.manifest(found.partition).segments
        told.append(found)

    with archive.writing():
        Archiver(archive, MemoryLog(cluster), Limits(records=2), note).catch_up()
    assert [(a.segment.first_offset, a.segment.next_offset) for a in told] == [
        (0, 2),
        (2, 4),
        (4, 5),
    ]


def test_a_segment_ends_at_a_number_of_records_or_of_bytes(tmp_path: Path) -> None:
    cluster = new_cluster()
    for size in (10, 10, 50, 10, 10, 10):
        cluster.append(USAGE, bytes(size))
    archive = archived(cluster, tmp_path, Limits(records=3, bytes=60))
    assert [s.records for s in archive.manifest(USAGE).segments] == [3, 3]
    assert archive.manifest(USAGE).records == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("segments"), "no manifest"),
        (lambda d: d.update(topic="accounts"), r"is of accounts\[0\], expected usage\[0\]"),
        (lambda d: d["segments"].pop(0), "where a segment from 0 on is expected"),
        (lambda d: d["segments"].reverse(), "where a segment from 0 on is expected"),
        (lambda d: d["segments"][0].update(next_offset="2"), "a number is none"),
        (lambda d: d["segments"][0].update(format=99), "format 99, expected 1 at most"),
    ],
)
def test_an_unsound_manifest_is_refused(
    change: Callable[[object], object], message: str, tmp_path: Path
) -> None:
    archive = archived(filled(4), tmp_path, Limits(records=2))
    path = partition_folder(tmp_path, USAGE) / MANIFEST
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(BrokenArchive, match=message):
        archive.manifest(USAGE)


def test_a_folder_without_an_archive_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"no archive here .tollbook archive write makes one"):
        Archive(tmp_path)


def test_a_newer_archive_asks_for_a_newer_program(tmp_path: Path) -> None:
    archived(new_cluster(), tmp_path)
    file = tmp_path / "archive.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ArchiveError, match="format 2, expected 1; upgrade"):
        Archive(tmp_path)


def test_the_layout_is_one_folder_per_partition_and_one_file_per_range(tmp_path: Path) -> None:
    archived(filled(3), tmp_path, Limits(records=2))
    found = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.*"))
    assert found == [
        "archive.json",
        "usage/partition=0000/00000000000000000000-00000000000000000002.parquet",
        "usage/partition=0000/00000000000000000002-00000000000000000003.parquet",
        "usage/partition=0000/_manifest.json",
    ]
    assert TopicPartition("usage", 1) in Archive(tmp_path).names()
