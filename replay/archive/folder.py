"""An archive's folder: whose it is, its manifests, and the one process that may write it.

`archive.json` names the deployment (prefix, partition count and, where it is known, the cluster),
so that two deployments can not mix. Any number of readers need no permission; a writer holds a
lock that the operating system takes back when the process ends, however it ends.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.adapters.durable import replace_file
from engine.ports import TopicPartition
from replay.archive.errors import ArchiveBusy, ArchiveError, BrokenArchive, ForeignArchive
from replay.archive.layout import FORMAT, IDENTITY, LOCK, TOPICS, partition_folder
from replay.archive.manifest import Manifest, Segment, load_manifest


class Identity(NamedTuple):
    """Whose archive it is. `cluster`: Kafka's cluster id; empty where there is none."""

    prefix: str
    partitions: int
    cluster: str = ""


class Archive:
    """An archive that exists."""

    def __init__(self, path: Path) -> None:
        """Open an archive. ArchiveError if there is none, BrokenArchive if it can not be read."""
        self.path = path
        try:
            document = json.loads((path / IDENTITY).read_bytes())
            self.identity = Identity(**{name: document[name] for name in Identity._fields})
        except FileNotFoundError as error:
            raise ArchiveError(
                f"{path}: no archive here (tollbook archive write makes one)"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenArchive(f"{path / IDENTITY}: can not be read: {error}") from error
        if document.get("format") != FORMAT:
            raise ArchiveError(
                f"{path}: format {document.get('format')}, expected {FORMAT}; upgrade this program"
            )

    @classmethod
    def of(cls, path: Path, identity: Identity) -> "Archive":
        """Open a deployment's archive, or make it. ForeignArchive if it is another's."""
        if not (path / IDENTITY).exists():
            path.mkdir(parents=True, exist_ok=True)
            document = {"format": FORMAT, **identity._asdict()}
            replace_file(path / IDENTITY, json.dumps(document, indent=1).encode())
        archive = cls(path)
        archive.require(identity)
        return archive

    def require(self, identity: Identity) -> None:
        """Refuse another deployment. ForeignArchive."""
        if self.identity != identity:
            raise ForeignArchive(
                f"{self.path}: is the archive of {_shown(self.identity)}, got {_shown(identity)}"
            )

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if it is not archived."""
        if topic not in TOPICS:
            return 0
        return 1 if topic == "tariffs" else self.identity.partitions

    def names(self, *topics: str) -> list[TopicPartition]:
        """Return the partitions of these topics; of all that are archived if none is named."""
        return [
            TopicPartition(topic, number)
            for topic in topics or TOPICS
            for number in range(self.partitions(topic))
        ]

    def manifest(self, partition: TopicPartition) -> Manifest:
        """Return a partition's manifest as it is now."""
        return load_manifest(self.path, partition)

    def file(self, partition: TopicPartition, segment: Segment) -> Path:
        """Return where a segment is."""
        return partition_folder(self.path, partition) / segment.name

    def strays(self, partition: TopicPartition) -> list[Path]:
        """Return files that no manifest names: what a killed writer left. They do not count."""
        named = {segment.name for segment in self.manifest(partition).segments}
        folder = partition_folder(self.path, partition)
        return sorted(
            file
            for file in folder.glob("*")
            if file.suffix in (".parquet", ".tmp") and file.name not in named
        )

    def remove_strays(self) -> None:
        """Remove what a killed writer left. Only for the one that holds the lock."""
        for partition in self.names():
            for file in self.strays(partition):
                file.unlink()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer; begin by removing what a killed one left. ArchiveBusy if not alone."""
        with (self.path / LOCK).open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ArchiveBusy(
                    f"{self.path}: another process writes this archive; one at a time"
                ) from error
            self.remove_strays()
            yield


def _shown(identity: Identity) -> str:
    cluster = f" on cluster {identity.cluster}" if identity.cluster else ""
    return f"{identity.prefix!r} with {identity.partitions} partitions{cluster}"
