"""The state file: how a later command finds the broker that an earlier one started.

It is written as soon as the process exists, before the broker answers, so that even a start that is
killed half-way leaves a trace to stop. It is not removed at a stop: it then tells which port to try
first next time. Whether the broker runs is never read from it, only asked of the process it names.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.adapters.broker.errors import UnusableState
from engine.adapters.broker.process import MarkedProcess

_FILE_NAME = "broker.json"


@dataclass(frozen=True, slots=True)
class BrokerState:
    """What was started: the process and its mark, where clients connect, and which data it has."""

    process_id: int
    mark: str
    started_at: str  # ISO 8601, UTC; for people
    port: int
    bootstrap: str
    cluster_id: str
    data_folder: str
    kafka_version: str

    @property
    def process(self) -> MarkedProcess:
        """The process as something that can be asked and signalled."""
        return MarkedProcess(self.process_id, self.mark)

    def write(self, folder: Path) -> None:
        """Write the state file of `folder`, in one step."""
        unfinished = folder / f"{_FILE_NAME}.unfinished"
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n")
        unfinished.replace(folder / _FILE_NAME)


def read_state(folder: Path) -> BrokerState | None:
    """Return the state recorded in `folder`, or None if there is none. Raises `UnusableState`."""
    path = folder / _FILE_NAME
    try:
        fields = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise UnusableState(path, str(error)) from error
    try:
        return BrokerState(**fields)
    except TypeError as error:
        raise UnusableState(path, f"fields {sorted(fields)}" if fields else "empty") from error
