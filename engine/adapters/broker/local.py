"""A broker of one's own: one Apache Kafka node as a child process, in one folder.

The folder is the broker: its data, its logs, its properties, and the state file through which any
later process finds it again. `start` is idempotent per folder; `kill` and `restart` exist because
tests of crash recovery need a broker that dies without a goodbye and comes back, on the same port,
with the same data.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Self

from engine.adapters.broker.errors import (
    AlreadyRunning,
    BrokerDidNotStop,
    BrokerError,
    NoBrokerRecorded,
)
from engine.adapters.broker.launch import launch
from engine.adapters.broker.probe import cluster_id_at
from engine.adapters.broker.state import BrokerState, read_state

_GRACE_SECONDS = 20.0
_AFTER_KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What is true of a folder's broker now.

    `running`: the recorded process exists and is ours. `answering`: the recorded port answers with
    the recorded cluster id. Running without answering is a broker that is starting, or stuck.
    """

    running: bool
    answering: bool
    explanation: str
    state: BrokerState


class LocalBroker:
    """The broker of one folder. Get one with `start` or `attach`, never directly."""

    def __init__(self, folder: Path, state: BrokerState, *, started_here: bool) -> None:
        self.folder = folder
        self.state = state
        self.started_here = started_here

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None) -> Self:
        """Start the folder's broker, or find it running, and return once it answers.

        Without `port`: the port it had last time if that is free, else any free one. Raises
        `PortTaken`, `AlreadyRunning` (on another port), `JavaNotFound`, `JarsUnavailable`,
        `ExtraNotInstalled`, `BrokerDidNotStart`, `UnusableState`.
        """
        folder = folder.expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        with _one_start_at_a_time(folder):
            recorded = read_state(folder)
            if recorded is None or not recorded.process.is_running():
                return cls(folder, launch(folder, port), started_here=True)
        if port not in (None, recorded.port):
            raise AlreadyRunning(folder, recorded.bootstrap, port)
        return cls(folder, recorded, started_here=False)

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """Return the broker that the folder's state file records, running or not.

        Raises `NoBrokerRecorded`, `UnusableState`.
        """
        folder = folder.expanduser().absolute()
        recorded = read_state(folder)
        if recorded is None:
            raise NoBrokerRecorded(folder)
        return cls(folder, recorded, started_here=False)

    @property
    def bootstrap(self) -> str:
        """Where clients connect: host:port."""
        return self.state.bootstrap

    def status(self) -> BrokerStatus:
        """Return whether the broker runs and answers, asked of the process and of the port."""
        who = f"process {self.state.process_id} at {self.bootstrap}"
        if not self.state.process.is_running():
            return BrokerStatus(
                running=False,
                answering=False,
                explanation=f"no broker is running; the last one was {who}",
                state=self.state,
            )
        answered = cluster_id_at(self.bootstrap)
        answering = answered == self.state.cluster_id
        return BrokerStatus(
            running=True,
            answering=answering,
            explanation=f"{who} is running" if answering else f"{who} does not answer (yet)",
            state=self.state,
        )

    def stop(self) -> None:
        """Ask the broker to end, wait, and kill it if it does not. No error if it has ended.

        Raises `BrokerDidNotStop`.
        """
        self.state.process.send(SIGTERM)
        if not self.state.process.has_ended_within(_GRACE_SECONDS):
            self.kill()

    def kill(self) -> None:
        """End the broker at once, as a crash would. Raises `BrokerDidNotStop`."""
        self.state.process.send(SIGKILL)
        if not self.state.process.has_ended_within(_AFTER_KILL_SECONDS):
            raise BrokerDidNotStop(self.state.process_id, _AFTER_KILL_SECONDS)

    def restart(self) -> None:
        """Stop the broker if it runs, and start it again with the same data on the same port.

        Raises what `stop` and `start` raise.
        """
        self.stop()
        with _one_start_at_a_time(self.folder):
            self.state = launch(self.folder, self.state.port)
        self.started_here = True


@contextmanager
def _one_start_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the folder's start lock, which the system releases even if we are killed."""
    try:
        import fcntl  # noqa: PLC0415 (absent on Windows, where this module must still import)
    except ImportError as error:
        raise BrokerError(
            "a local broker needs a POSIX system; expected TOLLBOOK_BOOTSTRAP or Docker instead"
        ) from error
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
