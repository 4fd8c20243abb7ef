"""The README and the pages as a reader follows them: each command is run, its output compared."""

from pathlib import Path

import pytest

from tests.docs.console import Command, agrees, commands, run_blocks, shell
from tests.docs.pages import DOCS, README, ROOT, Block, blocks, pages

TUTORIAL = DOCS / "tutorial.md"
OFFLINE = [
    page.relative_to(ROOT).as_posix()
    for page in pages()
    if page != TUTORIAL and any(block.language == "console" for block in blocks(page))
]


def without_make(found: list[Block]) -> list[Block]:
    return [block for block in found if not block.text.startswith("$ make ")]


@pytest.mark.parametrize("name", OFFLINE)
def test_the_commands_of_a_page_print_what_it_shows(name: str, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(DOCS)
    with shell(tmp_path) as opened:
        run_blocks(opened, tmp_path, without_make(blocks(ROOT / name)), patience_seconds=0)


def test_a_file_that_the_readme_shows_is_the_file_of_the_repository() -> None:
    titled = [block for block in blocks(README) if block.title]
    assert titled
    for block in titled:
        assert block.text == (ROOT / block.title).read_text(encoding="utf-8")


def test_what_the_readme_tells_each_reader_to_run_is_run_in_the_tutorial() -> None:
    run = {command.text for command in all_commands(TUTORIAL)}
    told = {
        line
        for block in blocks(README)
        if block.language == "shell"
        for line in block.text.splitlines()
        if line.startswith("tollbook ")
    }
    assert len(told) == 12
    assert told <= run


def all_commands(page: Path) -> list[Command]:
    found = [block for block in blocks(page) if block.language == "console"]
    return [command for block in found for command in commands(block)]


@pytest.mark.kafka
def test_the_tutorial_leads_from_nothing_to_an_explained_charge(tmp_path: Path) -> None:
    with shell(tmp_path) as opened:
        try:
            run_blocks(opened, tmp_path, blocks(TUTORIAL), patience_seconds=60)
        finally:
            opened.run("kill %1 %2; tollbook broker stop")


@pytest.mark.kafka
def test_the_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (command,) = commands(next(b for b in blocks(README) if b.text.startswith("$ make demo")))
    assert command.output is not None
    with shell(tmp_path) as opened:
        ran = opened.run("tollbook demo")
    assert ran.exit_code == 0, ran.output
    assert agrees(command.output, ran.output), ran.output
