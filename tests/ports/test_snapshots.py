"""Snapshots: bytes by partition and commit, the latest first, the newest two kept."""

from hashlib import sha256
from pathlib import Path

import pytest

from engine.adapters.memory_caches import MemorySnapshots
from engine.adapters.snapshots import FolderSnapshots
from engine.ports import Snapshots, Stamp


def stamp(commit: int, name: str = "") -> Stamp:
    return Stamp(commit, sha256(f"{commit}{name}".encode()).digest(), 2 * commit)


@pytest.fixture(params=["memory", "folder"])
def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> Snapshots:
    """Return a place for snapshots, empty."""
    return MemorySnapshots() if request.param == "memory" else FolderSnapshots(tmp_path / "new")


def test_a_partition_without_snapshots_has_none(snapshots: Snapshots) -> None:
    assert list(snapshots.stored(3)) == []


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5_000])
def test_a_snapshot_is_kept_byte_for_byte(snapshots: Snapshots, data: bytes) -> None:
    snapshots.save(3, stamp(5), data)
    assert list(snapshots.stored(3)) == [(stamp(5), data)]


def test_the_latest_commit_comes_first_and_two_are_kept(snapshots: Snapshots) -> None:
    for commit in (9, 10, 11, 100):
        snapshots.save(3, stamp(commit), b"%d" % commit)
    assert list(snapshots.stored(3)) == [(stamp(100), b"100"), (stamp(11), b"11")]


def test_partitions_are_apart(snapshots: Snapshots) -> None:
    snapshots.save(0, stamp(5), b"zero")
    snapshots.save(1, stamp(6), b"one")
    assert list(snapshots.stored(0)) == [(stamp(5), b"zero")]
    assert list(snapshots.stored(1)) == [(stamp(6), b"one")]


def test_a_commit_that_is_saved_again_replaces_what_was_there(snapshots: Snapshots) -> None:
    snapshots.save(3, stamp(5, "foreign"), b"foreign")
    snapshots.save(3, stamp(5), b"own")
    assert list(snapshots.stored(3)) == [(stamp(5), b"own")]


def test_what_was_saved_last_is_kept_also_below_what_an_earlier_journal_left(
    snapshots: Snapshots,
) -> None:
    for commit in (500, 600, 1, 2):
        snapshots.save(3, stamp(commit), b"%d" % commit)
    assert list(snapshots.stored(3)) == [(stamp(600), b"600"), (stamp(2), b"2")]


def test_a_stamp_without_an_offset_is_kept(snapshots: Snapshots) -> None:
    snapshots.save(0, Stamp(), b"nothing yet")
    assert list(snapshots.stored(0)) == [(Stamp(), b"nothing yet")]
