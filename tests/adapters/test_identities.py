"""The identity index on disk: locks, kills, damage, a full disk, memory."""

import operator
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import structlog
from rocksdict import Options, Rdict
from structlog.testing import capture_logs

from engine.adapters import identities
from engine.adapters.identities import RocksIdentityIndexes
from engine.ports import Stamp
from tests.adapters.identity_processes import PARTITION, PER_COMMIT, digest, identity, standing

GIBIBYTE_KIB = 2**20


@contextmanager
def process(command: str, folder: Path, *rest: str) -> Iterator[subprocess.Popen[str]]:
    """Run one command of identity_processes; kill it at the end."""
    arguments = [sys.executable, "-m", "tests.adapters.identity_processes", command, str(folder)]
    with subprocess.Popen(
        [*arguments, *rest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def fill(folder: Path, commit: int, *numbers: int) -> None:
    """Write numbers with a stamp."""
    index = RocksIdentityIndexes(folder).open(PARTITION)
    for number in numbers:
        index.add(identity(number), digest(number), standing(number))
    index.write(Stamp(commit, digest(commit), commit))
    index.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def directory(folder: Path) -> Path:
    """Return the one directory of the partition."""
    (found,) = folder.glob("partition-0003.*")
    return found


def test_a_process_lets_go_of_a_partition_by_closing_it(tmp_path: Path) -> None:
    fill(tmp_path, 7, 1)
    with process("hold", tmp_path) as other:
        assert line(other) == "holding 7"


def test_a_lock_that_is_let_go_of_in_time_is_waited_for(tmp_path: Path) -> None:
    fill(tmp_path, 7, 1)
    before = names(tmp_path)
    with process("hold", tmp_path) as other:
        line(other)
        other.kill()
        index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert index.get(identity(1)) == digest(1)
    assert names(tmp_path) == before
    index.close()


def test_a_partition_that_a_stopped_process_holds_gets_a_directory_beside_it(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 7, 1)
    with process("hold", tmp_path) as zombie:
        line(zombie)
        zombie.send_signal(signal.SIGSTOP)
        with capture_logs() as logs:
            index = RocksIdentityIndexes(tmp_path, lock_seconds=0.2).open(PARTITION)
        assert index.stamp == Stamp()
        assert [(log["log_level"], log["uses"]) for log in logs] == [("warning", index.place.name)]
        index.add(identity(2), digest(2), standing(2))
        index.write(Stamp(9, digest(9), 9))
        index.close()
        again = RocksIdentityIndexes(tmp_path, lock_seconds=0.2).open(PARTITION)
        assert (again.stamp.commit, again.get(identity(2))) == (9, digest(2))
        again.close()


def test_of_two_directories_the_one_that_went_further_is_kept(tmp_path: Path) -> None:
    fill(tmp_path, 7, 1)
    shutil.copytree(directory(tmp_path), tmp_path / "partition-0003.copy")
    fill_only = RocksIdentityIndexes(tmp_path / "other").open(PARTITION)
    fill_only.write(Stamp(9, digest(9), 9))
    fill_only.close()
    shutil.move(directory(tmp_path / "other"), tmp_path / "partition-0003.further")
    (tmp_path / "other").rmdir()
    index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert index.stamp.commit == 9
    assert names(tmp_path) == ["partition-0003.further"]
    index.close()


def test_other_partitions_with_a_similar_name_are_left_alone(tmp_path: Path) -> None:
    for partition in (1000, 10_000):
        index = RocksIdentityIndexes(tmp_path).open(partition)
        index.write(Stamp(partition, bytes(32), 0))
        index.close()
    index = RocksIdentityIndexes(tmp_path).open(1000)
    assert index.stamp.commit == 1000
    assert [name.partition(".")[0] for name in names(tmp_path)] == [
        "partition-1000",
        "partition-10000",
    ]
    index.close()


@pytest.mark.parametrize("file", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_a_directory_that_can_not_be_opened_makes_room_for_another(
    tmp_path: Path, file: str
) -> None:
    fill(tmp_path, 7, *range(100))
    damaged = directory(tmp_path)
    for path in damaged.glob(file):
        path.write_bytes(b"damaged" * 20)
    with capture_logs() as logs:
        index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert (index.stamp, index.get(identity(1))) == (Stamp(), None)
    assert [(log["log_level"], log["place"]) for log in logs] == [("warning", damaged.name)]
    assert not damaged.exists()
    index.add(identity(1), digest(1), standing(1))
    index.write(Stamp(1, digest(1), 1))
    index.close()


def test_a_directory_in_an_earlier_format_makes_room_for_another(tmp_path: Path) -> None:
    """Before voids it held digests alone; whoever opens it begins at the journal's first commit."""
    earlier = Rdict(str(tmp_path / "partition-0003.earlier"), Options(raw_mode=True))
    earlier[bytes.fromhex(identity(1))] = digest(1)
    earlier[b"stamp"] = struct.pack(">qq32s", 7, 12, digest(7))
    earlier.close()
    with capture_logs() as logs:
        index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert (index.stamp, index.get(identity(1))) == (Stamp(), None)
    assert "format of another version" in logs[0]["reason"]
    assert names(tmp_path) == [index.place.name]
    index.close()


def test_a_file_in_the_place_of_a_directory_is_no_reason_to_give_up(tmp_path: Path) -> None:
    (tmp_path / "partition-0003.file").write_bytes(b"?")
    with structlog.testing.capture_logs():
        index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert index.stamp == Stamp()
    index.close()


def test_a_damaged_block_raises_and_the_next_opening_starts_anew(tmp_path: Path) -> None:
    """A wrong answer would be a double charge; an error is a restart."""
    fill(tmp_path, 7, *range(50_000))
    (table,) = directory(tmp_path).glob("*.sst")
    content = bytearray(table.read_bytes())
    for place in range(0, len(content) // 4, 1_000):  # its filter and the stamp stand behind
        content[place] ^= 1
    table.write_bytes(content)
    index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    read = map(index.get, map(identity, range(50_000)))
    with pytest.raises(OSError, match="Corruption"):
        assert all(map(operator.eq, read, map(digest, range(50_000))))
    index.close()
    with capture_logs() as logs:
        again = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert again.stamp == Stamp()
    assert len(logs) == 1
    again.close()


def test_a_writer_that_is_killed_leaves_exactly_what_its_stamp_says(tmp_path: Path) -> None:
    chance, told = random.Random(11), 0  # noqa: S311 - moments of a kill, not secrets
    for _ in range(6):
        with process("write_on", tmp_path) as writer:
            for _ in range(chance.randrange(1, 12)):
                told = int(line(writer))
            time.sleep(chance.random() / 50)
            writer.kill()
            writer.wait()
        index = RocksIdentityIndexes(tmp_path).open(PARTITION)
        commit = index.stamp.commit
        assert commit >= told
        assert index.stamp == Stamp(commit, digest(commit), commit)
        end = commit * PER_COMMIT
        assert all(index.get(identity(n)) == digest(n) for n in range(end))
        assert not any(index.get(identity(n)) for n in range(end, end + 2 * PER_COMMIT))
        index.close()


def test_without_room_nothing_is_lost_and_the_next_write_tries_again(tmp_path: Path) -> None:
    with process("fill_up", tmp_path) as writer:
        output, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0, output
    *refused, written = output.split("\n")[:-1]
    assert [text.split()[0] for text in refused] == ["refused"] * 3
    commit = int(written.split()[1])
    index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert index.stamp == Stamp(commit, digest(commit), commit)
    assert all(index.get(identity(n)) == digest(n) for n in range(commit * PER_COMMIT))
    index.close()


@pytest.mark.parametrize(
    ("count", "limit_kib"),
    [
        (300_000, GIBIBYTE_KIB // 4),
        pytest.param(10_000_000, GIBIBYTE_KIB, marks=pytest.mark.soak),
    ],
)
def test_many_identities_stay_within_bounded_memory(
    tmp_path: Path, count: int, limit_kib: int
) -> None:
    """The requirement: ten million within 1 GiB of resident memory, process and all."""
    with process("grow", tmp_path, str(count)) as writer:
        output, _ = writer.communicate(timeout=600)
        assert writer.returncode == 0, output
    peak_kib = int(output.split()[0])
    assert peak_kib < limit_kib
    index = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert index.size == pytest.approx(count, rel=0.01)
    index.close()


def test_a_folder_that_is_deleted_under_a_live_index_never_mixes_with_the_next_one(
    tmp_path: Path,
) -> None:
    fill(tmp_path, 7, 1)
    live = RocksIdentityIndexes(tmp_path).open(PARTITION)
    shutil.rmtree(tmp_path)
    assert live.get(identity(1)) == digest(1)
    anew = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert (anew.stamp, anew.place == live.place) == (Stamp(), False)
    live.add(identity(2), digest(2), standing(2))
    for commit in (8, 9):
        with suppress(OSError):  # there is nothing left to write to
            live.write(Stamp(commit, digest(commit), commit))
    live.close()
    anew.write(Stamp(1, digest(1), 1))
    anew.close()
    again = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert (again.stamp.commit, again.get(identity(2))) == (1, None)
    again.close()


def test_an_index_that_opens_again_to_something_else_refuses_to_be_written(tmp_path: Path) -> None:
    """After a failed write it opens again; the identities before must still be there."""
    fill(tmp_path, 7, 1)
    live = RocksIdentityIndexes(tmp_path).open(PARTITION)
    shutil.rmtree(live.place)
    live.place.mkdir()
    live._failed = True  # noqa: SLF001 - as after a full disk
    with pytest.raises(OSError, match=live.place.name):
        live.write(Stamp(8, digest(8), 8))
    live.close()
    anew = RocksIdentityIndexes(tmp_path).open(PARTITION)
    assert anew.stamp == Stamp()
    anew.close()


def test_a_directory_deleted_while_it_is_being_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def deleted_at_first(place: str, options: Options) -> Rdict:
        opened.append(place)
        database = Rdict(place, options)
        if len(opened) > 1:
            return database
        database.close()
        shutil.rmtree(tmp_path)
        message = f"IO error: No such file or directory: While renaming a file to {place}/IDENTITY"
        raise Exception(message)  # noqa: TRY002 - what rocksdict raised in such a moment

    monkeypatch.setattr(identities, "Rdict", deleted_at_first)
    index = RocksIdentityIndexes(tmp_path / "identities").open(PARTITION)
    index.add(identity(1), digest(1), standing(1))
    index.write(Stamp(1, digest(1), 1))
    index.close()
    assert [Path(place).name for place in opened[1:]] == names(tmp_path / "identities")
