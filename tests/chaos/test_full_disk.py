"""A disk without room for snapshots or identities costs time at the next start and nothing else."""

import os
import resource
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.processes import start_with
from tests.chaos.stream import Started, Stream

pytestmark = pytest.mark.kafka

_NOTHING_FITS = 1_024
"""Bytes: less than what one batch of identities takes."""


def snapshot_folder(stream: Stream) -> Path:
    """Return the folder of the deployment's snapshots."""
    (identities,) = stream.folder.glob("home/state/*/*/identities")
    return identities.with_name("snapshots")


def charge_until(stream: Stream, worker: Started, event: str) -> None:
    """Charge usage until a worker has said something, and some more after that."""
    stream.send_until(lambda: bool(worker.events(event)), event)
    for _ in range(3):
        stream.send()
        stream.wait_until_decided()


def expect_short_start(stream: Stream) -> None:
    """Check that the next worker folds next to nothing: what was kept is whole again."""
    worker = stream.worker("worker-1")
    stream.send()
    stream.wait_until_decided()
    worker.stop()
    recovered = worker.events("partition_recovered")
    assert max(each["folded"] for each in recovered) <= 1, recovered
    assert min(each["commit"] for each in recovered) > 3, recovered


def test_without_room_for_snapshots_a_worker_goes_on_charging(stream: Stream) -> None:
    worker = stream.worker("worker-1")
    stream.send_until(lambda: bool(worker.events("partition_recovered")), "it has begun")
    folder = snapshot_folder(stream)
    shutil.rmtree(folder, ignore_errors=True)
    folder.touch()  # a file in its place: nobody, not even root, can put a snapshot there
    charge_until(stream, worker, "snapshot_not_written")
    folder.unlink()
    stream.send_until(folder.is_dir, "snapshots are written again")
    stream.wait_until_decided()
    worker.stop()
    assert not worker.events("identities_not_written")
    expect_short_start(stream)
    stream.expect_exactly_once()


@contextmanager
def limited_worker(stream: Stream) -> Iterator[Started]:
    """Start a worker whose files can be limited: its messages are written down by this process."""
    log = stream.folder / "limited.log"
    reading, writing = os.pipe()
    process = start_with(
        *(writing, stream.deployment.settings, "run", "--slot", "worker-1"),
        home=stream.folder / "home",
    )
    os.close(writing)

    def write_down() -> None:
        with os.fdopen(reading, "rb", buffering=0) as messages, log.open("ab", buffering=0) as file:
            while data := messages.read(65_536):
                file.write(data)

    writer = threading.Thread(target=write_down)
    log.touch()
    writer.start()
    try:
        yield Started(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        writer.join()


def limit_files(worker: Started, size: int) -> None:
    """Let no file of a process grow beyond a size, which it is told as it would be of a full disk."""
    _, most = resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (size, most))


def test_without_room_for_identities_a_worker_goes_on_charging(stream: Stream) -> None:
    with limited_worker(stream) as worker:
        stream.send_until(lambda: bool(worker.events("partition_recovered")), "it has begun")
        stream.wait_until_decided()  # every index is open: a join that is not over opens it again
        limit_files(worker, _NOTHING_FITS)
        charge_until(stream, worker, "identities_not_written")
        again = stream.sent[:50]
        stream.deployment.send_usage(again)  # known by heart, if not on the disk
        stream.sent += again
        stream.wait_until_decided()
        limit_files(worker, resource.RLIM_INFINITY)
        stream.send()
        stream.wait_until_decided()
        worker.stop()
    expect_short_start(stream)
    stream.expect_exactly_once(duplicates=50)
