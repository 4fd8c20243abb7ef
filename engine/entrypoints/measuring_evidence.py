"""Measuring what comes after rating: recovery, archiving and verification of one history.

A worker (a process of its own) rates the usage and stops cleanly; then this process recovers every
partition from the caches it left, from fewer of them, and from none; archives the deployment; and
verifies the archive. Times are of this process alone, with the broker idle beside it.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engine.adapters.identities import RocksIdentityIndexes
from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.snapshots import FolderSnapshots
from engine.adapters.tariff_log import TariffLog
from engine.stream.keeping import Keeper
from engine.telemetry import Telemetry
from replay.archive import Archive, ArchiveLog, Identity
from replay.archive.archiver import Archived, Archiver
from replay.verify import Verifier


class Recovery(NamedTuple):
    """Recovering all partitions, one after the other."""

    caches: str
    seconds: float
    commits_folded: int
    accounts: int
    identities: int


class Archiving(NamedTuple):
    """Archiving a deployment from its start."""

    events: int
    seconds: float
    events_per_second: float
    megabytes_per_million_events: float


class Verifying(NamedTuple):
    """Verifying an archive."""

    charges: int
    seconds: float
    charges_per_second: float
    holds: bool


def measure_recovery(log: KafkaLog, folder: Path) -> list[Recovery]:
    """Recover from what a worker left in `folder`, then without it, part by part."""
    found = [_recover(log, folder, "snapshot and index")]
    shutil.rmtree(folder / "identities")
    found.append(_recover(log, folder, "snapshot, index rebuilt"))
    shutil.rmtree(folder / "snapshots")
    found.append(_recover(log, folder, "index, journal folded"))
    shutil.rmtree(folder / "snapshots")
    shutil.rmtree(folder / "identities")
    return [*found, _recover(log, folder, "none: journal folded")]


def _recover(log: KafkaLog, folder: Path, caches: str) -> Recovery:
    tariffs = TariffLog(log)
    tariffs.read_all()
    snapshots = FolderSnapshots(folder / "snapshots")
    keeper = Keeper(log, RocksIdentityIndexes(folder / "identities"), snapshots, Telemetry())
    partitions = range(log.partitions("journal"))
    started = time.monotonic()
    recovered = [keeper.recover(partition, tariffs.book) for partition in partitions]
    seconds = time.monotonic() - started
    states = [found.state for found in recovered]
    for found in recovered:
        keeper.keep(found.state, found.last)
        keeper.let_go(found.state.partition)
    return Recovery(
        caches,
        seconds,
        sum(found.folded for found in recovered),
        sum(len(state.ledger.accounts) for state in states),
        sum(state.counts.charges for state in states),
    )


def measure_archiving(log: KafkaLog, folder: Path, identity: Identity, events: int) -> Archiving:
    """Archive everything into a new folder."""
    archive = Archive.of(folder, identity)
    written: list[Archived] = []
    started = time.monotonic()
    with archive.writing():
        Archiver(archive, log, report=written.append).catch_up()
    seconds = time.monotonic() - started
    size = sum(archived.segment.size for archived in written)
    return Archiving(events, seconds, events / seconds, size / 1e6 / (events / 1e6))


def measure_verifying(folder: Path, progress: Callable[[int], None]) -> Verifying:
    """Verify an archive, rating everything again."""
    archive = Archive(folder)
    partitions = archive.identity.partitions
    started = time.monotonic()
    found = Verifier(
        ArchiveLog(archive),
        partitions,
        lambda account_id: partition_of(account_id, partitions),
        progress=progress,
    ).verify({})
    seconds = time.monotonic() - started
    return Verifying(found.charges, seconds, found.charges / seconds, found.holds)
