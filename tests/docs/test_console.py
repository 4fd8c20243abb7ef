"""What counts as the same output, since every page relies on it."""

from pathlib import Path

import pytest

from tests.docs.console import Command, agrees, commands, run_blocks, shell
from tests.docs.pages import Block


def test_a_command_owns_the_lines_below_it() -> None:
    block = Block("console", "", "$ one\na\nb\n$ two\n")
    assert commands(block) == [Command("one", "a\nb"), Command("two", None)]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("due 5", "due   5  \n"),
        ("a\n...\nz", "a\nb\nc\nz\n"),
        ('{"id":"x",...,"due":"1"}', '{"id":"x","lines":[],"due":"1"}'),
        ("received 2026-11-24T14:46:06.905000Z", "received 2027-01-01T00:00:00.000000Z"),
        ("127.0.0.1:9092", "127.0.0.1:40001"),
        ("charge 02bf4b0da443531fcf8e80dfa22835f9", "charge e380f411a432c733494ef0267bbf58e7"),
    ],
)
def test_blanks_times_ids_ports_and_ellipses_are_loose(shown: str, printed: str) -> None:
    assert agrees(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [("due 5", "due 6"), ("a\nz", "a\nb\nz"), ("a...", "b"), ("0.1", "0x1")],
)
def test_everything_else_is_strict(shown: str, printed: str) -> None:
    assert not agrees(shown, printed)


@pytest.mark.parametrize(
    "text", ["$ false\n", "$ echo one\ntwo\n", "$ true\n$ echo $?\n1\n", "$ exit 3\n"]
)
def test_a_page_that_is_wrong_fails(text: str, tmp_path: Path) -> None:
    with shell(tmp_path) as opened, pytest.raises(AssertionError):
        run_blocks(opened, tmp_path, [Block("console", "", text)], patience_seconds=0)


def test_files_are_saved_and_an_exit_code_can_be_shown(tmp_path: Path) -> None:
    found = [
        Block("text", "title=a.txt", "hello\n"),
        Block("console", "", "$ cat a.txt\nhello\n$ (exit 4)\n$ echo $?\n4\n"),
    ]
    with shell(tmp_path) as opened:
        run_blocks(opened, tmp_path, found, patience_seconds=0)
