"""Workers and projectors as processes, to be killed for real."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from engine.settings import KafkaSettings

PATIENCE_SECONDS = 90.0
DYING_BROKER = (
    pytest.mark.usefixtures("unreachable_broker"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
)
"""Marks of tests whose own client sees its broker die."""


TOLLBOOK = "engine.entrypoints.cli"


def start(
    settings: KafkaSettings, *command: str, log: Path, module: str = TOLLBOOK
) -> "subprocess.Popen[bytes]":
    """Start `tollbook COMMAND` on a deployment; its messages go to a file, its caches beside it."""
    with log.open("ab") as messages:
        return start_with(messages, settings, *command, home=log.parent / "home", module=module)


def start_with(
    messages: IO[bytes] | int,
    settings: KafkaSettings,
    *command: str,
    home: Path,
    module: str = TOLLBOOK,
) -> "subprocess.Popen[bytes]":
    """Start `tollbook COMMAND` with its messages going to an open file."""
    environment = {
        **os.environ,
        "TOLLBOOK_BOOTSTRAP": settings.bootstrap,
        "TOLLBOOK_PREFIX": settings.prefix,
        "TOLLBOOK_HOME": str(home),
        "TOLLBOOK_SNAPSHOT_SECONDS": "0.5",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", module, *command],
        env=environment,
        stdout=messages,
        stderr=messages,
    )
    _started.append(process)
    return process


_started: "list[subprocess.Popen[bytes]]" = []


def kill_what_runs() -> None:
    """Kill every process that a test started and that still runs."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            kill(process)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process at once, as a crash or the kernel would."""
    process.kill()
    process.wait(timeout=30)


def stop(process: "subprocess.Popen[bytes]") -> int:
    """Ask a process to stop; return its exit code."""
    process.terminate()
    return process.wait(timeout=60)


def wait_until(
    done: Callable[[], bool], what: str, patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait for something that processes do; fail with what it was."""
    since = time.monotonic()
    while not done():
        assert time.monotonic() - since < patience_seconds, f"still not so: {what}"
        time.sleep(0.1)
