"""The caches of a worker in memory: identity indexes and snapshots that pass the real ones' suite.

What is "on disk" is what outlives `close`: the dictionaries of the store, not those of the index.
"""

from collections.abc import Iterator

from engine.ports import Stamp

KEPT = 2
"""How many snapshots of a partition are kept."""


class _Written:
    """What a partition's index has written."""

    def __init__(self) -> None:
        self.stamp = Stamp()
        self.identities: dict[str, tuple[bytes, bytes]] = {}


class MemoryIdentityIndexes:
    """Identity indexes that live as long as this object."""

    def __init__(self) -> None:
        self._written: dict[int, _Written] = {}

    def open(self, partition: int) -> "MemoryIdentityIndex":
        """Open the index of a partition."""
        return MemoryIdentityIndex(self._written.setdefault(partition, _Written()))


class MemoryIdentityIndex:
    """The identities of one partition."""

    def __init__(self, written: _Written) -> None:
        self._written = written
        self._added: dict[str, tuple[bytes, bytes]] = {}
        self._commit = written.stamp.commit

    @property
    def commit(self) -> int:
        """The last commit whose identities were in here when it was opened."""
        return self._commit

    @property
    def stamp(self) -> Stamp:
        """How far the index went when it was last written."""
        return self._written.stamp

    @property
    def unwritten(self) -> int:
        """How many identities were added since."""
        return len(self._added)

    @property
    def size(self) -> int:
        """How many identities are written."""
        return len(self._written.identities)

    def get(self, identity: str) -> bytes | None:
        """Return the digest that occupies an identity, or None."""
        found = self._found(identity)
        return found and found[0]

    def standing(self, identity: str) -> bytes:
        """Return what stands of an event; empty: not known."""
        found = self._found(identity)
        return found[1] if found else b""

    def _found(self, identity: str) -> tuple[bytes, bytes] | None:
        return self._added.get(identity) or self._written.identities.get(identity)

    def add(self, identity: str, digest: bytes, standing: bytes) -> None:
        """Occupy an identity, or say what stands of it; only for this object until the next write."""
        self._added[identity] = (digest, standing)

    def write(self, stamp: Stamp) -> None:
        """Keep what was added, and the stamp."""
        self._written.identities.update(self._added)
        self._written.stamp = stamp
        self._added.clear()

    def clear(self) -> None:
        """Forget everything: the stamp is Stamp() again."""
        self._written.identities.clear()
        self._written.stamp = Stamp()
        self._added.clear()
        self._commit = 0

    def close(self) -> None:
        """Let go of it; what was not written is gone."""
        self._added.clear()


class MemorySnapshots:
    """Snapshots that live as long as this object."""

    def __init__(self) -> None:
        self._kept: dict[int, dict[int, tuple[Stamp, bytes]]] = {}

    def save(self, partition: int, stamp: Stamp, data: bytes) -> None:
        """Keep a snapshot."""
        kept = self._kept.setdefault(partition, {})
        kept[stamp.commit] = (stamp, data)
        others = sorted(kept.keys() - {stamp.commit}, reverse=True)
        for commit in others[KEPT - 1 :]:
            del kept[commit]

    def stored(self, partition: int) -> Iterator[tuple[Stamp, bytes]]:
        """Yield what is kept of a partition, the latest commit first."""
        kept = self._kept.get(partition, {})
        for commit in sorted(kept, reverse=True):
            yield kept[commit]
