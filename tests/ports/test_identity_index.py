"""Identity indexes: exact for ever, written whole with their stamp, and nothing in between."""

from hashlib import sha256
from pathlib import Path

import pytest

from engine.adapters.identities import RocksIdentityIndexes
from engine.adapters.memory_caches import MemoryIdentityIndexes
from engine.ports import IdentityIndexes, Stamp

STAMP = Stamp(7, sha256(b"commit 7").digest(), 12)


def identity(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:32]


def digest(name: str) -> bytes:
    return sha256(name.encode()).digest()


@pytest.fixture(params=["memory", "rocks"])
def indexes(request: pytest.FixtureRequest, tmp_path: Path) -> IdentityIndexes:
    """Return a place for indexes, empty."""
    return MemoryIdentityIndexes() if request.param == "memory" else RocksIdentityIndexes(tmp_path)


def test_a_new_index_is_empty_and_has_taken_no_commit_in(indexes: IdentityIndexes) -> None:
    index = indexes.open(3)
    assert (index.stamp, index.commit, index.size, index.unwritten) == (Stamp(), 0, 0, 0)
    assert index.get(identity("a")) is None
    index.close()


def test_what_was_added_is_found_before_it_is_written_and_after(indexes: IdentityIndexes) -> None:
    index = indexes.open(3)
    index.add(identity("a"), digest("a"), b"it stands")
    assert (index.get(identity("a")), index.unwritten) == (digest("a"), 1)
    index.write(STAMP)
    assert (index.get(identity("a")), index.unwritten) == (digest("a"), 0)
    assert index.get(identity("b")) is None
    assert (index.stamp, index.size) == (STAMP, 1)
    index.close()


def test_what_stands_of_an_event_is_kept_beside_its_digest(indexes: IdentityIndexes) -> None:
    index = indexes.open(3)
    for name, standing in (("usage", b"it stands"), ("void", b"a"), ("unknown", b"")):
        index.add(identity(name), digest(name), standing)
    index.write(STAMP)
    index.add(identity("usage"), digest("usage"), b"v")
    assert index.standing(identity("usage")) == b"v"
    index.close()
    again = indexes.open(3)
    names = ("usage", "void", "unknown", "never")
    stands = [again.standing(identity(name)) for name in names]
    assert stands == [b"it stands", b"a", b"", b""]
    assert again.get(identity("unknown")) == digest("unknown")
    again.close()


def test_the_commit_is_the_one_of_opening_and_does_not_move(indexes: IdentityIndexes) -> None:
    index = indexes.open(3)
    index.write(STAMP)
    assert index.commit == 0
    index.close()
    again = indexes.open(3)
    again.write(STAMP._replace(commit=9))
    assert (again.commit, again.stamp.commit) == (7, 9)
    again.close()


def test_what_was_written_outlives_closing_and_what_was_not_is_gone(
    indexes: IdentityIndexes,
) -> None:
    index = indexes.open(3)
    index.add(identity("written"), digest("written"), b"it stands")
    index.write(STAMP)
    index.add(identity("aborted"), digest("aborted"), b"it stands")
    index.close()
    again = indexes.open(3)
    assert (again.stamp, again.commit) == (STAMP, 7)
    assert again.get(identity("written")) == digest("written")
    assert again.get(identity("aborted")) is None
    again.close()


def test_an_identity_that_is_added_again_has_its_latest_digest(indexes: IdentityIndexes) -> None:
    index = indexes.open(3)
    for number in range(3):
        index.add(identity("a"), digest(f"a{number}"), b"it stands")
        index.write(STAMP._replace(commit=number + 1))
    index.add(identity("a"), digest("a3"), b"it stands")
    assert index.get(identity("a")) == digest("a3")
    index.close()
    again = indexes.open(3)
    assert again.get(identity("a")) == digest("a2")
    again.close()


def test_a_stamp_is_written_alone_when_nothing_was_added(indexes: IdentityIndexes) -> None:
    index = indexes.open(3)
    index.write(STAMP)
    index.close()
    again = indexes.open(3)
    assert (again.stamp, again.size) == (STAMP, 0)
    again.close()


def test_clearing_forgets_what_was_written_what_was_added_and_the_stamp(
    indexes: IdentityIndexes,
) -> None:
    index = indexes.open(3)
    index.add(identity("a"), digest("a"), b"it stands")
    index.write(STAMP)
    index.close()
    index = indexes.open(3)
    index.add(identity("b"), digest("b"), b"it stands")
    index.clear()
    assert (index.stamp, index.commit, index.size, index.unwritten) == (Stamp(), 0, 0, 0)
    assert [index.get(identity(name)) for name in "ab"] == [None, None]
    index.add(identity("c"), digest("c"), b"it stands")
    index.write(STAMP)
    index.close()
    again = indexes.open(3)
    assert [again.get(identity(name)) for name in "abc"] == [None, None, digest("c")]
    again.close()


def test_partitions_are_apart_and_open_at_the_same_time(indexes: IdentityIndexes) -> None:
    first, second = indexes.open(0), indexes.open(1)
    first.add(identity("a"), digest("a"), b"it stands")
    first.write(STAMP)
    assert (second.get(identity("a")), second.stamp) == (None, Stamp())
    first.close()
    second.close()


def test_closing_twice_is_allowed(indexes: IdentityIndexes) -> None:
    index = indexes.open(0)
    index.close()
    index.close()


def test_a_stamp_keeps_its_largest_and_smallest_values(indexes: IdentityIndexes) -> None:
    for stamp in (Stamp(2**62, b"\xff" * 32, 2**62), Stamp(1, bytes(32), -1)):
        index = indexes.open(0)
        index.write(stamp)
        index.close()
        again = indexes.open(0)
        assert again.stamp == stamp
        again.close()
