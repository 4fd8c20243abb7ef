"""The spool: what was appended is read again in order, whatever happened in between."""

import os
import resource
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gateway.errors import SpoolFull, SpoolInUse
from engine.gateway.segment import FRAME_BYTES, HEADER_BYTES, name_of
from engine.gateway.spool import Spool

SEGMENT_BYTES = 4_096
EVENT = b"x" * 200


def small(folder: Path, segments: int = 8) -> Spool:
    return Spool(folder, "gateway", max_bytes=segments * SEGMENT_BYTES, segment_bytes=SEGMENT_BYTES)


def drain(spool: Spool, most_bytes: int = 1_000) -> list[int]:
    """Read and acknowledge everything; return the sequences in order."""
    spool.sync()
    found = []
    while window := spool.read(most_bytes):
        found += [each.sequence for each in window.events]
        spool.acknowledge(window)
    return found


def fill(spool: Spool, number: int) -> None:
    for _ in range(number):
        spool.append(7, EVENT)


def abandon(spool: Spool) -> None:
    """Leave a spool as a process that was killed does: nothing is synced or closed in order."""
    held = (spool._spare, spool._active, spool._reading, *spool._to_sync)  # noqa: SLF001
    for segment in held:
        if segment is not None:
            segment.close()
    spool._cursor.close()  # noqa: SLF001 - as the system closes it when a process ends
    os.close(spool._hold)  # noqa: SLF001


def test_events_come_out_in_order_over_many_segments(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 80)
    assert len(list(tmp_path.glob("*.spool"))) > 4
    assert drain(spool) == list(range(1, 81))
    assert len(list(tmp_path.glob("*.spool"))) == 1
    spool.close()


def test_what_is_not_acknowledged_is_read_again(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 10)
    spool.sync()
    first = spool.read(1_000)
    assert spool.read(1_000) == first
    assert drain(spool) == list(range(1, 11))
    spool.close()


def test_what_is_not_synced_is_not_read(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 3)
    assert spool.read(1_000) is None
    assert drain(spool) == [1, 2, 3]
    spool.close()


@pytest.mark.parametrize("prepared", [True, False])
def test_a_killed_process_loses_nothing_and_the_sequence_goes_on(
    tmp_path: Path, prepared: bool
) -> None:
    spool = small(tmp_path)
    if prepared:
        spool.prepare()
    fill(spool, 40)
    spool.sync()
    window = spool.read(1_000)
    assert window
    spool.acknowledge(window)
    fill(spool, 5)
    abandon(spool)
    again = small(tmp_path)
    assert again.publisher == spool.publisher
    fill(again, 5)
    done = window.after.sequence
    assert drain(again) == list(range(done + 1, 51))
    again.close()
    assert not list(tmp_path.glob("*.new"))


def test_a_drained_spool_keeps_its_sequence(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 30)
    drain(spool)
    spool.close()
    (tmp_path / "cursor").unlink()
    again = small(tmp_path)
    assert again.append(7, EVENT) == 31
    again.close()


def test_a_new_folder_is_another_publisher(tmp_path: Path) -> None:
    first, second = small(tmp_path / "a"), small(tmp_path / "b")
    assert first.publisher != second.publisher
    assert first.publisher.startswith("gateway-")
    first.close()
    second.close()


def test_a_full_spool_refuses_and_counts_and_takes_again_once_there_is_room(
    tmp_path: Path,
) -> None:
    spool = small(tmp_path, segments=2)
    taken = 2 * (
        (SEGMENT_BYTES - HEADER_BYTES) // (FRAME_BYTES + len(EVENT) + len("gateway-01234567") + 2)
    )
    fill(spool, taken)
    with pytest.raises(SpoolFull, match="8192 bytes wait for Kafka"):
        spool.append(7, EVENT)
    assert spool.refused == 1
    assert spool.size_bytes == 2 * SEGMENT_BYTES
    assert drain(spool) == list(range(1, taken + 1))
    assert spool.append(7, EVENT) == taken + 1
    spool.close()


def test_a_full_disk_refuses_before_anything_is_written(tmp_path: Path) -> None:
    spool = small(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SEGMENT_BYTES // 2, hard))
    try:
        spool.prepare()
        with pytest.raises(SpoolFull, match="File too large"):
            spool.append(7, EVENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob("*.new"))
    with pytest.raises(SpoolFull, match="File too large"):  # nobody has looked again
        spool.append(7, EVENT)
    spool.prepare()
    assert spool.append(7, EVENT) == 1
    assert drain(spool) == [1]
    spool.close()


def test_two_publishers_do_not_share_a_folder(tmp_path: Path) -> None:
    spool = small(tmp_path)
    with pytest.raises(SpoolInUse, match="a folder for each process"):
        small(tmp_path)
    spool.close()
    small(tmp_path).close()


def test_a_damaged_cursor_delivers_again_and_loses_nothing(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 10)
    drain(spool)
    spool.close()
    (tmp_path / "cursor").write_bytes(b"?" * 28)
    again = small(tmp_path)
    assert drain(again) == list(range(1, 11))
    again.close()


@given(cut=st.integers(0, 2_100), garbage=st.binary(max_size=64), more=st.integers(0, 30))
def test_whatever_a_crash_leaves_behind_whole_records_stay_and_the_rest_is_set_aside(
    tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes, more: int
) -> None:
    """The tail of the last segment is lost from any byte on, and garbage stands there."""
    folder = tmp_path_factory.mktemp("spool")
    spool = small(folder)
    for _ in range(8):
        spool.append(7, EVENT)
    active = spool._active  # noqa: SLF001
    assert active
    ends = active.end
    spool.close()
    place = min(HEADER_BYTES + cut, ends)
    path = folder / name_of(1)
    data = path.read_bytes()
    path.write_bytes((data[:place] + garbage).ljust(SEGMENT_BYTES, b"\0"))
    record = (ends - HEADER_BYTES) // 8
    whole = (place - HEADER_BYTES) // record
    again = small(folder)
    found_whole = again.last_sequence
    assert found_whole >= whole  # garbage may happen to be what stood there
    fill(again, more)
    assert drain(again) == list(range(1, found_whole + more + 1))
    again.close()
    shutil.rmtree(folder)


def test_a_segment_damaged_in_the_middle_shows_as_a_gap(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 40)
    spool.close()
    path = tmp_path / name_of(2)
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 30] ^= 1
    path.write_bytes(data)
    again = small(tmp_path)
    found = drain(again)
    assert found[0] == 1
    assert found[-1] == 40
    assert len(found) < 40
    assert [damage.segment for damage in again.damages] == [2]
    assert (tmp_path / "000000000002.damaged").stat().st_size > 0
    again.close()
