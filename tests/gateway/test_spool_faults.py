"""The spool when the disk, the folder or the interpreter do what they seldom do."""

import gc
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.gateway.errors import PublisherClosed, SpoolFull
from engine.gateway.segment import Segment, name_of
from engine.gateway.spool import Spool
from tests.gateway.test_spool import EVENT, SEGMENT_BYTES, abandon, drain, fill, small


def test_a_spool_that_can_not_be_opened_lets_go_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "cursor").mkdir()
    with pytest.raises(IsADirectoryError):
        small(tmp_path)
    (tmp_path / "cursor").rmdir()
    small(tmp_path).close()


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.spool", "7.spool"):
        (tmp_path / name).write_text("mine")
    spool = small(tmp_path)
    assert spool.append(7, EVENT) == 1
    assert drain(spool) == [1]
    spool.close()
    assert (tmp_path / "notes.spool").read_text() == (tmp_path / "7.spool").read_text() == "mine"


def test_a_segment_that_somebody_deleted_holds_nothing_up(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 40)
    spool.close()
    again = small(tmp_path)
    (tmp_path / name_of(2)).unlink()
    assert drain(again)[-1] == 40
    assert [tuple(damage) for damage in again.damages] == [(2, 0)]
    assert again.acknowledged == again.last_sequence == 40
    again.close()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_segment_whose_beginning_is_damaged_is_kept_aside(tmp_path: Path, number: int) -> None:
    spool = small(tmp_path)
    fill(spool, 40)
    assert len(list(tmp_path.glob("*.spool"))) == 3
    spool.close()
    path = tmp_path / name_of(number)
    data = path.read_bytes()
    path.write_bytes(b"?" + data[1:])
    again = small(tmp_path)
    fill(again, 3)
    found = drain(again)
    assert found == sorted(set(found))
    assert len(found) > 20
    assert again.acknowledged == again.last_sequence
    assert [damage.segment for damage in again.damages] == [number]
    kept = path.with_suffix(".damaged").read_bytes()
    assert kept == (b"?" + data[1:]).rstrip(b"\0")
    again.close()


def test_segments_that_were_all_deleted_are_not_taken_for_new_ones(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 5)
    assert drain(spool) == [1, 2, 3, 4, 5]
    spool.close()
    (tmp_path / name_of(1)).unlink()
    again = small(tmp_path)
    fill(again, 5)
    assert drain(again) == [6, 7, 8, 9, 10]
    again.close()


def test_a_segment_that_can_not_be_begun_refuses_and_the_one_before_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = small(tmp_path)
    fill(spool, 10)
    spool.prepare()

    def fail(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Segment, "begin", fail)
    taken = 10
    with pytest.raises(SpoolFull, match="Read-only file system"):  # noqa: PT012 - until it is full
        while True:
            spool.append(7, b"x" * 260)
            taken += 1
    assert spool.refused == 1
    assert spool.append(7, b"small") == taken + 1
    assert drain(spool) == list(range(1, taken + 2))
    assert spool.append(7, b"small") == taken + 2
    monkeypatch.undo()
    fill(spool, 20)
    assert drain(spool) == list(range(taken + 2, taken + 23))
    spool.close()
    assert not list(tmp_path.glob("*.new"))


def test_what_the_disk_refused_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system takes a page for clean that it could not write: it must be made dirty again."""
    spool = small(tmp_path)
    fill(spool, 5)
    assert spool.sync()
    fill(spool, 1)
    sync = os.fdatasync

    def refuse(descriptor: int) -> None:
        sync(descriptor)  # the page is clean, as after a failure
        raise OSError(5, "Input/output error")

    assert not is_clean(tmp_path)
    monkeypatch.setattr(os, "fdatasync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        spool.sync()
    assert spool.synced == 5
    assert not is_clean(tmp_path)
    monkeypatch.undo()
    assert drain(spool) == [1, 2, 3, 4, 5, 6]
    assert is_clean(tmp_path)
    spool.close()


def is_clean(folder: Path) -> bool:
    """Say whether no page of the first segment waits to be written."""
    about = Path("/proc/self/smaps").read_text().partition(str(folder / name_of(1)))[2]
    lines = [line.split() for line in about.splitlines()[1:24]]
    sizes = {words[0]: int(words[1]) for words in lines if words[0].endswith("_Dirty:")}
    return sum(sizes.values()) == 0


def test_a_spare_segment_that_comes_after_the_end_is_deleted(tmp_path: Path) -> None:
    spool = small(tmp_path)
    fill(spool, 1)
    spool.close()
    spool.prepare()
    assert not list(tmp_path.glob("*.new"))


def test_a_folder_that_is_deleted_meanwhile_takes_no_more_than_it_has_room_for(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "spool"
    spool = small(folder)
    fill(spool, 10)
    spool.sync()
    shutil.rmtree(folder)
    with pytest.raises(SpoolFull, match="No such file or directory"):
        fill(spool, 10)
    assert drain(spool) == list(range(1, spool.last_sequence + 1))
    spool.close()


class Interrupting:
    """Does something else in the middle of `append`: where the first of three events is completed.

    The second is of the other append, the third is the first one again.
    """

    def __init__(self, action: Callable[[], Any]) -> None:
        self._action = action
        self._calls = 0

    def __call__(self, publisher: str, sequence: int) -> bytes:
        """Complete an event."""
        self._calls += 1
        if self._calls % 3 == 1:
            self._action()
        return f"{publisher}{sequence}".encode()


def interrupted(folder: Path, action: Callable[[Spool], Any]) -> Spool:
    spool = Spool(
        folder,
        "gateway",
        max_bytes=8 * SEGMENT_BYTES,
        segment_bytes=SEGMENT_BYTES,
        complete=Interrupting(lambda: action(spool)),
    )
    return spool


def test_a_handler_may_publish_while_its_thread_does(tmp_path: Path) -> None:
    spool = interrupted(tmp_path, lambda spool: spool.append(8, EVENT))
    assert [spool.append(7, EVENT) for _ in range(40)] == list(range(2, 82, 2))
    spool.sync()
    events = []
    while window := spool.read(10_000):
        events += window.events
        spool.acknowledge(window)
    assert [each.sequence for each in events] == list(range(1, 81))
    assert [each.account_hash for each in events] == [8, 7] * 40
    spool.close()


def test_a_handler_that_publishes_while_a_segment_is_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = small(tmp_path)
    refused: list[str] = []
    create = Segment.create

    def creating(path: Path, size: int) -> Segment:
        with pytest.raises(SpoolFull) as told:
            spool.append(8, EVENT)
        refused.append(str(told.value))
        return create(path, size)

    monkeypatch.setattr(Segment, "create", creating)
    fill(spool, 40)
    assert len(refused) == spool.refused == 3
    assert drain(spool) == list(range(1, 41))
    spool.close()


def test_a_handler_may_close_the_spool_while_its_thread_publishes(tmp_path: Path) -> None:
    spool = interrupted(tmp_path, Spool.close)
    with pytest.raises(PublisherClosed):
        spool.append(7, EVENT)
    again = small(tmp_path)
    assert again.append(7, EVENT) == 1
    again.close()


def test_signals_at_any_moment_take_no_number_twice(tmp_path: Path) -> None:
    """The handler publishes too, and now and then raises through `append`."""
    spool = Spool(tmp_path, "gateway", segment_bytes=64 * 1024)
    taken: dict[int, bytes] = {}
    calls = 0
    is_appending = False

    def publish(what: str) -> None:
        event = f"{what}-{calls}".encode()
        taken[spool.append(7, event)] = event

    def handle(*_: Any) -> None:
        nonlocal calls
        calls += 1
        with suppress(SpoolFull):  # a segment is just being made
            publish("handler")
        if calls % 3 == 0 and is_appending:
            raise InterruptedError

    gc.disable()  # what a finaliser raises goes elsewhere
    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        while calls < 2_000:
            try:
                is_appending = True
                publish("thread")
                is_appending = False
            except (InterruptedError, SpoolFull):
                is_appending = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    abandon(spool)
    again = Spool(tmp_path, "gateway", segment_bytes=64 * 1024)
    again.sync()
    found: dict[int, bytes] = {}
    while window := again.read(1_000_000):
        for each in window.events:
            assert each.sequence not in found
            found[each.sequence] = each.event
        again.acknowledge(window)
    again.close()
    assert list(found) == list(range(1, max(found) + 1))
    for number, event in taken.items():
        assert found[number].startswith(event)
