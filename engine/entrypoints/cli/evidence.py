"""Where a replay reads from: Kafka, or an archive and Kafka for what came after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol

import typer

from engine.entrypoints.cli.common import kafka, opened_log, partition_count, say
from engine.ports import RecordLog
from engine.rating.errors import InvalidDocument
from replay.archive import Archive, ArchiveLog, CombinedLog

FromArchive = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        envvar="TOLLBOOK_ARCHIVE",
        help="Read this archive, and Kafka only for what came after it, if there is one.",
    ),
]


class Evidence(RecordLog, Protocol):
    """A log that knows how many partitions a topic has."""

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; 0 if it does not exist."""


@contextmanager
def opened_evidence(bootstrap: str | None, archive: Path | None) -> Iterator[tuple[Evidence, int]]:
    """Open what a replay reads; yield it with the partition count.

    Without Kafka an archive is read alone: it says everything up to where it ends.
    """
    if archive is None:
        with opened_log(kafka(bootstrap)) as log:
            yield log, partition_count(log)
        return
    opened = Archive(archive)
    own = ArchiveLog(opened)
    try:
        settings = kafka(bootstrap)
    except InvalidDocument:
        say(f"no Kafka: {archive} alone, up to where it ends")
        yield own, opened.identity.partitions
        return
    with opened_log(settings) as later:
        yield CombinedLog(own, later), opened.identity.partitions
