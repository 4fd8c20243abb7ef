"""Snapshots as files: torn, flipped, without room, and what killed processes leave."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from engine.adapters.snapshots import FolderSnapshots
from engine.ports import Stamp

OLD, NEW = Stamp(5, b"o" * 32, 10), Stamp(9, b"n" * 32, 18)
DATA = bytes(range(256)) * 40

WITHOUT_ROOM = """
import os, resource, sys
from pathlib import Path
from engine.adapters.snapshots import FolderSnapshots
from engine.ports import Stamp
resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
try:
    FolderSnapshots(Path(sys.argv[1])).save(3, Stamp(9, bytes(32), 18), os.urandom(2**20))
except OSError as error:
    print(error.errno)
"""


@pytest.fixture
def snapshots(tmp_path: Path) -> FolderSnapshots:
    """Return a folder with two snapshots of partition 3."""
    found = FolderSnapshots(tmp_path)
    found.save(3, OLD, b"old" + DATA)
    found.save(3, NEW, b"new" + DATA)
    return found


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "partition-0003").iterdir())


def stored(snapshots: FolderSnapshots) -> list[Stamp]:
    """Return the stamps of what is whole; each of the others must have been warned of."""
    with capture_logs() as logs:
        found = [stamp for stamp, _ in snapshots.stored(3)]
    assert [log["log_level"] for log in logs] == ["warning"] * (2 - len(found))
    return found


def test_files_are_named_by_partition_and_commit(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    assert stored(snapshots) == [NEW, OLD]
    assert names(tmp_path) == ["5.snapshot", "9.snapshot"]


def test_whichever_byte_is_flipped_the_one_before_is_used(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    file = tmp_path / "partition-0003" / "9.snapshot"
    whole = file.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        file.write_bytes(flipped)
        assert stored(snapshots) == [OLD], place
    file.write_bytes(whole)
    assert stored(snapshots) == [NEW, OLD]


def test_wherever_a_file_is_torn_the_one_before_is_used(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    file = tmp_path / "partition-0003" / "9.snapshot"
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert stored(snapshots) == [OLD], size
    file.write_bytes(whole + b"\0")
    assert stored(snapshots) == [OLD]


def test_a_file_under_the_name_of_another_commit_is_not_used(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    folder = tmp_path / "partition-0003"
    (folder / "9.snapshot").rename(folder / "12.snapshot")
    assert stored(snapshots) == [OLD]


def test_a_snapshot_that_can_not_be_read_is_skipped(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    file = tmp_path / "partition-0003" / "9.snapshot"
    file.unlink()
    file.mkdir()
    assert stored(snapshots) == [OLD]


def test_without_room_the_older_ones_stand_and_nothing_is_left_over(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    limited = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROOM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert limited.stdout.strip() == str(errno.EFBIG)
    assert stored(snapshots) == [NEW, OLD]
    assert names(tmp_path) == ["5.snapshot", "9.snapshot"]


def test_what_a_killed_process_left_unfinished_is_neither_read_nor_kept(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    left = tmp_path / "partition-0003" / "7.snapshot.4711.unfinished"
    left.write_bytes(b"half of it")
    assert stored(snapshots) == [NEW, OLD]
    snapshots.save(3, Stamp(10, bytes(32), 20), DATA)
    assert names(tmp_path) == ["10.snapshot", "9.snapshot"]


def test_files_of_others_in_the_folder_are_left_alone(
    snapshots: FolderSnapshots, tmp_path: Path
) -> None:
    (tmp_path / "partition-0003" / "notes.snapshot").write_bytes(b"not ours")
    snapshots.save(3, Stamp(10, bytes(32), 20), DATA)
    assert names(tmp_path) == ["10.snapshot", "9.snapshot", "notes.snapshot"]
