"""Processes that die in the midst of writing an archive, in memory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from replay.archive import archiver, compaction, segments


class Killed(BaseException):
    """The process ends here."""


def steps_until_killed(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Have the process die at a step that touches the disk: fsync, rename, unlink, write."""
    left = [steps]

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def step(*given: object, **named: object) -> object:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*given, **named)

        return step

    for owner, name in (
        (os, "fsync"),
        (Path, "replace"),
        (Path, "unlink"),
        (segments.SegmentWriter, "add"),
        (archiver, "save_manifest"),
        (compaction, "save_manifest"),
    ):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
