"""A deployment, the usage that a test has sent to it, and the workers that it has started."""

import itertools
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engine.adapters.avro.usage import Fields
from tests.chaos.expectations import expect_exactly_once
from tests.chaos.fleet import events
from tests.chaos.processes import start, stop, wait_until
from tests.stream.deployment import Deployment, flat, usage

ACCOUNTS = [f"tenant-{number}" for number in range(6)]
"""At home on all three partitions."""


class Started(NamedTuple):
    """A worker process and its own log."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of one name that it has logged."""
        return list(events(self.log, name))

    def stop(self) -> None:
        """Ask it to stop, once it has begun: it must end in peace."""
        wait_until(lambda: any(self.events("worker_started")), "the worker has begun")
        code = stop(self.process)
        assert code == 0, f"ended with {code}: {self.log.read_text()[-2000:]}"

    @property
    def is_stopped(self) -> bool:
        """Whether a SIGSTOP holds it."""
        state = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state == "T"

    def has_killed_itself(self) -> bool:
        """Whether it is gone; by anything but a SIGKILL is a failure."""
        code = self.process.poll()
        assert code in (None, -signal.SIGKILL), f"{code}: {self.log.read_text()[-2000:]}"
        return code is not None


class Stream:
    """Usage of six accounts on a deployment, and workers with one home."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.deployment = Deployment(bootstrap, prefix)
        self.deployment.publish_tariff(flat("1", per=3))
        self.deployment.open_accounts("plan", ACCOUNTS)
        self.folder = folder
        self.sent: list[Fields] = []
        self._numbers = itertools.count()
        self._starts = itertools.count()

    def close(self) -> None:
        """Close the connections."""
        self.deployment.close()

    def send(self, number: int = 60) -> None:
        """Send some more usage."""
        numbers = itertools.islice(self._numbers, number)
        some = [usage(f"e{n}", ACCOUNTS[n % 6], quantities={"input": n + 1}) for n in numbers]
        self.deployment.send_usage(some)
        self.sent += some

    def send_until(self, done: Callable[[], bool], what: str) -> None:
        """Keep usage coming until something happens."""

        def done_after_more() -> bool:
            if not done():
                self.send()
            return done()

        wait_until(done_after_more, what)

    def worker(self, slot: str) -> Started:
        """Start a worker as it is."""
        log = self._new_log(slot)
        return Started(start(self.deployment.settings, "run", "--slot", slot, log=log), log)

    def stopping(self, slot: str, step: str, name: str, *more: str) -> Started:
        """Start a worker that sends a signal at a step of its second transaction with usage."""
        log = self._new_log(slot)
        process = start(
            self.deployment.settings,
            *("--slot", slot, "--at", step, "--signal", name, "--transaction", "2", *more),
            log=log,
            module="tests.chaos.stopping_worker",
        )
        return Started(process, log)

    def _new_log(self, slot: str) -> Path:
        return self.folder / f"{next(self._starts)}-{slot}.log"

    def wait_until_decided(self) -> None:
        """Wait until the journal has an outcome for everything sent."""
        wait_until(
            lambda: self.deployment.counts().consumed >= len(self.sent),
            f"all {len(self.sent)} events decided",
        )

    def expect_exactly_once(self, duplicates: int = 0) -> None:
        """Check the journal against what was sent: all of it charged, nothing else a duplicate."""
        expect_exactly_once(self.deployment, self.sent)
        counts = self.deployment.counts()
        assert (counts.duplicates, counts.rejections) == (duplicates, 0)
