"""A process that we may signal, because it is certainly the one that we started.

A process id alone is no identity: the system gives it to somebody else once the process has ended,
and a state file can be days old. So each start puts a mark, unique to it, on the command line, and
a process counts as ours only while that id carries that mark. (A start time would need a clock that
is never set; the mark needs none.)
"""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.adapters.broker.optional import optional

_POLL_SECONDS = 0.02
_SOMEBODY_ELSE = "(the command line of another user)"


@dataclass(frozen=True, slots=True)
class MarkedProcess:
    """A process id and the mark that its command line must carry."""

    process_id: int
    mark: str

    def is_running(self) -> bool:
        """Return whether the process is there, is ours, and has not begun to end."""
        return self.mark in (self._command_line() or [])

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still ours."""
        if self.is_running():
            with suppress(ProcessLookupError):
                os.kill(self.process_id, number)

    def has_ended_within(self, seconds: float) -> bool:
        """Wait until the process has ended, for so long at most; return whether it has.

        A process that is ending has no command line any more, but may still hold files and ports.
        """
        deadline = time.monotonic() + seconds
        command_line = self._command_line()
        while command_line is not None and (not command_line or self.mark in command_line):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
            command_line = self._command_line()
        return True

    def _command_line(self) -> list[str] | None:
        """Return the command line of whatever has this process id, None if nothing has."""
        psutil = optional("psutil", "broker")
        try:
            return list(psutil.Process(self.process_id).cmdline())
        except psutil.ZombieProcess:
            # Ending. If it is our child, collect it, which also waits for its last thread.
            with suppress(ChildProcessError):
                os.waitpid(self.process_id, 0)
            return None
        except psutil.NoSuchProcess:
            return None
        except psutil.AccessDenied:
            return [_SOMEBODY_ELSE]


def spawn(
    command: list[str], mark: str, environment: Mapping[str, str], output: Path
) -> MarkedProcess:
    """Start `command`, which must contain `mark`, detached, with stdout and stderr in `output`.

    A process group of its own keeps Ctrl-C in the terminal from ending it before we do. posix_spawn
    and not subprocess: the broker is meant to outlive this process, which `Popen` warns about.
    """
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    process_id = os.posix_spawn(
        command[0],
        command,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(output), writing, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setpgroup=0,
    )
    return MarkedProcess(process_id, mark)
