"""A checkpoint: a name for what was known at a moment, over all partitions.

Offsets of different partitions can't be compared, so "as known at K" needs a list: the last commit
of every journal partition, each with its digest. A journal that continues the same history holds
these very commits (semantics section 8).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from engine.rating.errors import BrokenChain, InvalidDocument
from engine.rating.journal import JournalCommit, PartitionState


class KnownCommit(NamedTuple):
    """A commit of one partition by number and digest (hex)."""

    commit: int
    digest: str


class Checkpoint(NamedTuple):
    """The last commit of each partition, by partition number."""

    commits: tuple[KnownCommit, ...]

    def knows(self, commit: JournalCommit, digest: bytes) -> bool:
        """Whether a commit was known. BrokenChain if the journal is not the one that was named."""
        known = self.commits[commit.partition]
        if commit.commit == known.commit and digest.hex() != known.digest:
            raise BrokenChain(
                f"journal partition {commit.partition}, commit {commit.commit}: its digest is "
                f"{digest.hex()}, the checkpoint names {known.digest}"
            )
        return commit.commit <= known.commit


def checkpoint_of(states: list[PartitionState]) -> Checkpoint:
    """Return the checkpoint of what these states have folded."""
    return Checkpoint(tuple(KnownCommit(state.commit, state.digest.hex()) for state in states))


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint to a new file. InvalidDocument if the file is there: names stay."""
    text = json.dumps({"commits": [entry._asdict() for entry in checkpoint.commits]}, indent=1)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError as error:
        raise InvalidDocument(str(path), "a file that exists", "a new name") from error


def read_checkpoint(path: Path, partitions: int) -> Checkpoint:
    """Read a checkpoint. InvalidDocument if it is none, or of other partitions."""
    expected = "a file of `tollbook replay checkpoint`"
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        found = tuple(
            KnownCommit(int(row["commit"]), str(row["digest"])) for row in data["commits"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidDocument(str(path), f"{type(error).__name__}: {error}", expected) from error
    if len(found) != partitions:
        raise InvalidDocument(f"{path}, commits", len(found), f"{partitions}, one per partition")
    return Checkpoint(found)
