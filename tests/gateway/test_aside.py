"""What is set aside is there the next time, whatever became of its file."""

import json
import os
from pathlib import Path

import pytest

from engine.gateway.aside import Aside

RECORD = b'{"form":"auto"}'


def test_what_was_set_aside_comes_again_once(tmp_path: Path) -> None:
    aside = Aside(tmp_path)
    assert aside.keep(RECORD, "no reason")
    assert aside.keep(b'{"form":"other"}', "no reason")
    assert [json.loads(taken) for taken in aside.from_before()] == [
        {"form": "auto"},
        {"form": "other"},
    ]
    aside.forget()
    assert not list(aside.from_before())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "junk",
    [
        b'{"form": "au',
        b"\0\xff\xfe\n",
        b"[1]\n",
        b'"text"\n',
        b'{"no": "one said why"}\n',
        b"\n\n",
        b"[" * 100_000 + b"\n",
        b"x" * 3_000_000,
    ],
)
def test_lines_that_can_not_be_read_are_left_beside_and_the_others_come(
    tmp_path: Path, junk: bytes
) -> None:
    aside = Aside(tmp_path)
    assert aside.keep(RECORD, "no reason")
    with aside.path.open("ab") as file:
        file.write(junk)
    assert aside.keep(RECORD, "another process")
    written = aside.path.read_bytes()
    assert [json.loads(taken) for taken in Aside(tmp_path).from_before()] == [{"form": "auto"}] * 2
    again = Aside(tmp_path)
    assert len(list(again.from_before())) == 2
    again.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["unusable.damaged"]
    assert (tmp_path / "unusable.damaged").read_bytes() == written


def test_what_is_no_json_is_kept_as_text(tmp_path: Path) -> None:
    aside = Aside(tmp_path)
    assert aside.keep(b"\xffwhat", "no JSON")
    (taken,) = aside.from_before()
    assert json.loads(taken) == {"record": "\ufffdwhat"}


def test_the_file_of_what_is_set_aside_is_bounded(tmp_path: Path) -> None:
    aside = Aside(tmp_path, max_bytes=100)
    assert [aside.keep(RECORD, "no reason") for _ in range(5)].count(True) == 2
    assert aside.path.stat().st_size <= 100


def test_a_sync_brings_the_file_and_its_name_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda it: synced.append(os.fstat(it).st_ino))
    aside = Aside(tmp_path)
    aside.sync()
    assert aside.keep(RECORD, "no reason")
    aside.sync()
    aside.sync()
    assert synced == [aside.path.stat().st_ino, tmp_path.stat().st_ino]
