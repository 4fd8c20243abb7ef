"""Running the console blocks of a page as a reader would: in one shell, in order, in one folder.

A line that starts with ``$ `` is a command, the lines below it are what it must print; no lines,
no matter what it prints. A command must succeed unless the next one is ``echo $?``. ``...`` in the
output stands for anything; times, ids, digests and ports are only compared as such. Commands
ending in ``&`` stay in the background and are stopped with the shell. Every command of Tollbook is
safe to repeat, so where a background process needs a moment, a command is repeated until it agrees.
"""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import Block

_LOOSE = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{24,}\b"), "HEX"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"process \d+"), "process NUMBER"),
    (re.compile(r"[ \t]+"), " "),
)


class Command(NamedTuple):
    """A command of a page, and what the page says it prints (nothing said: None)."""

    text: str
    output: str | None


class Ran(NamedTuple):
    """What a command printed, and its exit code."""

    output: str
    exit_code: int


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line.removeprefix("$ "), None))
            continue
        text, output = found[-1]
        found[-1] = Command(text, line if output is None else f"{output}\n{line}")
    return found


def agrees(expected: str, actual: str) -> bool:
    """Say whether a command printed what the page shows."""
    pieces = [re.escape(piece) for piece in _plain(expected).split("...")]
    return re.fullmatch("(?s:.*)".join(pieces), _plain(actual)) is not None


def _plain(text: str) -> str:
    for pattern, name in _LOOSE:
        text = pattern.sub(name, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


class Shell:
    """A shell of its own process group, so that nothing of it outlives the test."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=dict(environment),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command: str) -> Ran:
        """Run one command; its messages stand among its output, in the order of a terminal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        again = "(exit $status)"  # so that a following `echo $?` sees it
        self._process.stdin.write(
            f"{command}\nstatus=$?; echo; echo {self._mark} $status; {again}\n"
        )
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(self._mark):
                return Ran("".join(lines), int(line.split()[1]))
            lines.append(line)
        raise AssertionError(f"the shell ended in: {command}\n{''.join(lines)}")

    def close(self) -> None:
        """Stop the shell and what it left in the background, gently first."""
        group = self._process.pid
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(group, number)
                self._process.communicate(timeout=20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


@contextmanager
def shell(folder: Path, **environment: str) -> Iterator[Shell]:
    """Yield a shell in a folder that finds this `tollbook`, and no Kafka but what it starts."""
    inherited = {name: text for name, text in os.environ.items() if "TOLLBOOK" not in name}
    opened = Shell(
        folder,
        {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "100",
            "TOLLBOOK_HOME": str(folder / "home"),
            **environment,
        },
    )
    try:
        yield opened
    finally:
        opened.close()


def run_blocks(opened: Shell, folder: Path, found: list[Block], patience_seconds: float) -> None:
    """Save the titled blocks and run the console blocks, in order."""
    for block in found:
        if block.title and not (folder / block.title).exists():
            (folder / block.title).write_text(block.text, encoding="utf-8")
        if block.language == "console":
            _run(opened, commands(block), patience_seconds)


def _run(opened: Shell, listed: list[Command], patience_seconds: float) -> None:
    for number, command in enumerate(listed):
        may_fail = listed[number + 1 : number + 2] and listed[number + 1].text == "echo $?"
        deadline = time.monotonic() + patience_seconds
        while True:
            ran = opened.run(command.text)
            as_shown = command.output is None or agrees(command.output, ran.output)
            if as_shown and (may_fail or not ran.exit_code):
                break
            assert time.monotonic() < deadline, (
                f"$ {command.text}\n{ran.output}\nexit code {ran.exit_code}; the page shows:\n"
                f"{command.output}"
            )
            time.sleep(0.5)
