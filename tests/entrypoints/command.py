"""Running a command in this process, as `tollbook` runs it: quick, and with its exit code."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from engine.entrypoints.cli.main import run


class Done(NamedTuple):
    """What a command left: exit code, stdout, stderr."""

    code: Any
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return what runs `tollbook` with some arguments."""
    monkeypatch.delenv("TOLLBOOK_BOOTSTRAP", raising=False)

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["tollbook", *(str(argument) for argument in arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        return Done(ended.value.code or 0, *capsys.readouterr())

    return call
