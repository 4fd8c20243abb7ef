"""Verification finds every way in which an archive was altered; pruning stays behind it."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.ports import TopicPartition
from engine.rating.journal import NextOffset
from replay.archive.archiver import Limits
from replay.archive.folder import Archive
from replay.archive.layout import MANIFEST, partition_folder
from replay.archive.log import ArchiveLog
from replay.archive.manifest import save_manifest
from replay.archive.pruning import plan
from replay.archive.segments import fingerprint
from replay.archive.verification import compare, verify, verify_columns
from tests.replay.clusters import JOURNAL, USAGE, archived, filled, journal_of, new_cluster

ACCOUNTS = TopicPartition("accounts", 0)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    cluster = filled(6)
    journal_of(cluster, 4)
    return archived(cluster, tmp_path, Limits(records=2))


def files(archive: Archive, partition: TopicPartition = USAGE) -> list[Path]:
    return [archive.file(partition, s) for s in archive.manifest(partition).segments]


def found(archive: Archive, partition: TopicPartition = USAGE) -> list[str]:
    return [f"{f.place}: {f.problem}" for f in verify(archive, partition).findings]


def test_a_sound_archive_has_no_findings(archive: Archive) -> None:
    verified = [verify(archive, name) for name in archive.names()]
    assert [f for v in verified for f in v.findings] == []
    assert sum(v.records for v in verified) == 10
    assert [f for name in archive.names() for f in verify_columns(archive, name)] == []


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_one_flipped_bit_anywhere_is_found(share: float, archive: Archive) -> None:
    file = files(archive)[1]
    flip(file, int(file.stat().st_size * share))
    (problem,) = found(archive)
    assert problem.startswith(f"{file.name}: the file has ")
    assert "the manifest says" in problem


def test_a_missing_a_cut_and_a_swapped_segment_are_found(archive: Archive) -> None:
    first, second, third = files(archive)
    data = second.read_bytes()
    second.write_bytes(third.read_bytes())
    third.write_bytes(data)
    first.unlink()
    assert [problem.partition(":")[0] for problem in found(archive)] == [
        first.name,
        second.name,
        third.name,
    ]
    third.write_bytes(third.read_bytes()[:-1])
    assert "bytes with SHA-256" in found(archive)[2]


def test_a_broken_manifest_is_a_finding(archive: Archive) -> None:
    (partition_folder(archive.path, USAGE) / MANIFEST).write_text("{}")
    assert "no manifest" in found(archive)[0]


def forge(archive: Archive, partition: TopicPartition, number: int, change: Callable[[pa.Table], pa.Table]) -> None:  # fmt: skip
    """Alter a segment and its manifest so that they agree again."""
    manifest = archive.manifest(partition)
    segment = manifest.segments[number]
    file = archive.file(partition, segment)
    pq.write_table(change(pq.ParquetFile(file).read()), file)
    size, digest = fingerprint(file)
    segments = list(manifest.segments)
    segments[number] = segment._replace(size=size, sha256=digest)
    save_manifest(archive.path, manifest._replace(segments=tuple(segments)))


def test_a_record_that_is_left_out_is_found_though_file_and_manifest_agree(
    archive: Archive,
) -> None:
    forge(archive, USAGE, 1, lambda table: table.slice(1))
    (problem,) = found(archive)
    assert "holds 1 records in 1 rows, the manifest says 2 in 2" in problem


def test_a_record_out_of_its_range_is_found(archive: Archive) -> None:
    forge(archive, USAGE, 1, lambda table: table.take([1, 0]))
    assert "offset 2 stands where 4 or later is expected" in found(archive)[0]


def test_a_journal_that_was_rewritten_with_its_manifest_breaks_its_chain(archive: Archive) -> None:
    def other(table: pa.Table) -> pa.Table:
        values = [
            value and value.replace(b"usage", b"USAGE") for value in table["value"].to_pylist()
        ]
        place = table.schema.get_field_index("value")
        return table.set_column(place, "value", pa.array(values, pa.binary()))

    forge(archive, JOURNAL, 0, other)
    (problem,) = found(archive, JOURNAL)
    assert problem.startswith("chain: journal[0] offset 2: got commit 2 after")


def test_columns_that_were_altered_are_found_by_deriving_them_again(archive: Archive) -> None:
    def other(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("refusal")
        refusals = pa.array(["none of your business"] * len(table), pa.string())
        return table.set_column(place, "refusal", refusals)

    forge(archive, USAGE, 2, other)
    assert found(archive) == []
    (finding,) = verify_columns(archive, USAGE)
    assert (finding.place, finding.problem) == (
        files(archive)[2].name,
        "the columns do not say what the original bytes say",
    )


def other_log(*values: bytes) -> MemoryLog:
    cluster = new_cluster()
    for value in values:
        cluster.append(USAGE, value)
    return MemoryLog(cluster)


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ((b"0", b"1", b"2", b"3", b"4", b"5"), None),
        ((b"0", b"1", b"two", b"3", b"4", b"5"), ("offset 2", "differ in value")),
        ((b"0", b"1", b"2"), ("offset 3", "the archive has a record here, Kafka has none")),
    ],
)
def test_the_archive_is_compared_with_the_log_record_for_record(
    values: tuple[bytes, ...], finding: tuple[str, str] | None, archive: Archive
) -> None:
    log = other_log(*values)
    end = log.ends([USAGE])[USAGE]
    compared = list(compare(ArchiveLog(archive), _Short(log, end), USAGE, 0, 6))
    if finding is None:
        assert compared == []
    else:
        assert (compared[0].place, compared[0].problem[-len(finding[1]) :]) == finding
    (missing, *_) = compare(_Short(log, 1), log, USAGE, 0, 2)
    assert missing.problem == "Kafka has a record here, the archive has none"


class _Short(MemoryLog):
    """A log whose end is nearer than what is asked for."""

    def __init__(self, log: MemoryLog, end: int) -> None:
        super().__init__(log._cluster)  # noqa: SLF001 - the same cluster
        self._end = end

    def read(self, partition: TopicPartition, start: int, end: int):  # type: ignore[no-untyped-def]
        return super().read(partition, start, min(end, self._end))


def pruned_to(archive: Archive, *, with_journal: bool = False) -> dict[tuple[str, int], int]:
    return {
        (found.partition.topic, found.partition.partition): found.before
        for found in plan(archive, with_journal=with_journal)
        if found.before
    }


def test_inputs_may_go_as_far_as_the_archived_journal_has_read_them(tmp_path: Path) -> None:
    cluster = filled(6)
    assert pruned_to(archived(cluster, tmp_path)) == {}
    journal_of(cluster, 1, NextOffset("accounts", 9), NextOffset("usage", 4))
    archive = archived(cluster, tmp_path)
    assert pruned_to(archive) == {("usage", 0): 4}
    assert pruned_to(archive, with_journal=True) == {("usage", 0): 4, ("journal", 0): 2}
    (usage, *_) = plan(archive, with_journal=False)
    assert usage.reason == "that is how far the archived journal has read it"


def test_nothing_goes_from_the_first_segment_on_that_does_not_verify(archive: Archive) -> None:
    assert pruned_to(archive) == {("usage", 0): 6}
    file = files(archive)[1]
    flip(file, 200)
    assert pruned_to(archive) == {("usage", 0): 2}
    (usage, *_) = plan(archive, with_journal=False)
    assert usage.reason.startswith(f"{file.name}: the file has")


def test_tariffs_are_never_pruned(tmp_path: Path) -> None:
    cluster: MemoryCluster = new_cluster()
    cluster.append(TopicPartition("tariffs", 0), b"any")
    topics = {
        found.partition.topic for found in plan(archived(cluster, tmp_path), with_journal=True)
    }
    assert topics == {"usage", "usage-forwarded", "accounts", "journal"}
