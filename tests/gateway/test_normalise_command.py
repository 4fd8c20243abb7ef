"""`tollbook usage normalise` and the position of a backfill: what a person sees and can rely on."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.kafka.publisher import NotAcknowledged
from engine.entrypoints.cli.usage_backfill import Backfill, publish_file
from engine.entrypoints.cli.usage_position import (
    lines_from,
    position_file,
    read_position,
    write_position,
)
from engine.gateway.normalise import Context
from engine.rating.errors import InvalidDocument
from tests.entrypoints.command import Command, command

__all__ = ["command"]

BODY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1764000000,
    "model": "gpt-4o",
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def records(path: Path, *lines: object) -> Path:
    file = path / "records.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return file


def test_records_become_events_and_what_can_not_be_understood_is_told_with_its_line(
    command: Command, tmp_path: Path
) -> None:
    file = records(tmp_path, BODY, {"hello": 1}, {"error": {"code": 1}}, "{")
    done = command("usage", "normalise", "--account", "acme", "--subject", "key-1", file)
    assert done.code == 4
    (event,) = [json.loads(line) for line in done.out.splitlines()]
    assert (event["account_id"], event["subject"]) == ("acme", "key-1")
    assert event["quantities"] == {"input": 3, "output": 2}
    second, fourth, summary = done.err.splitlines()
    assert second.startswith(f"{file}:2: record: got 'fields hello', expected the marks of one of")
    assert fourth.startswith(f"{file}:4: value: got")
    assert summary == "1 events, 1 not charged: error_response, 2 unusable"


def test_bodies_without_an_id_are_numbered_by_their_lines(command: Command, tmp_path: Path) -> None:
    bare = {"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    file = records(tmp_path, bare, bare)
    done = command(
        "usage", "normalise", "--account", "acme", "--id-prefix", "export-7/",
        "--occurred-at", "2025-11-06T12:00:00Z", "--provider", "azure", file,
    )  # fmt: skip
    assert done.code == 0
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event_id"] for event in events] == ["export-7/1", "export-7/2"]
    assert {event["provider"] for event in events} == {"azure"}


def test_a_body_with_an_id_keeps_it_whatever_its_line(command: Command, tmp_path: Path) -> None:
    native = {"event_id": "mine-7", "occurred_at": "2025-11-06T12:00:00Z", "provider": "openai",
              "model": "gpt-4o", "quantities": {"input": 1}}  # fmt: skip
    done = command(
        "usage", "normalise", "--account", "acme", "--source", "edge", "--id-prefix", "export-7/",
        records(tmp_path, BODY, native),
    )  # fmt: skip
    assert done.code == 0
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event_id"] for event in events] == [BODY["id"], "mine-7"]


def test_a_format_that_there_is_not_is_refused(command: Command, tmp_path: Path) -> None:
    done = command("usage", "normalise", "--from", "gpt", records(tmp_path, BODY))
    assert done.code == 1
    assert "--from: got 'gpt', expected auto or one of openai_chat" in done.err


def publish_up_to(file: Path, lines: int) -> None:
    """Note that so many lines of a file are published."""
    position = read_position(file).position
    for line in list(lines_from(file, position))[:lines]:
        position = position.after(line)
    write_position(file, position)


def test_a_backfill_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    file = records(tmp_path, "a", "b", "c")
    publish_up_to(file, 1)
    found = read_position(file)
    assert not found.unused
    rest = list(lines_from(file, found.position))
    assert [(line.number, line.data) for line in rest] == [(2, b"b\n"), (3, b"c\n")]


def test_a_file_that_grew_is_read_from_where_it_grew(tmp_path: Path) -> None:
    file = records(tmp_path, "a")
    publish_up_to(file, 1)
    with file.open("a") as stream:
        stream.write("b\nc")
    lines = list(lines_from(file, read_position(file).position))
    assert [(line.data, line.is_whole) for line in lines] == [(b"b\n", True), (b"c", False)]


@pytest.mark.parametrize("written", ["a", "a\nb"])
def test_lines_keep_their_numbers_although_the_last_one_had_not_ended(
    written: str, tmp_path: Path
) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text(written)
    publish_up_to(file, 2)
    file.write_text(f"{written}\nz\n")
    found = read_position(file)
    assert not found.unused
    numbers = {line.data: line.number for line in lines_from(file, found.position)}
    assert numbers[b"z\n"] == written.count("\n") + 2
    assert numbers[b"\n"] == written.count("\n") + 1


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("other", "b", "c"), "its first line is another one than before"),
        (("a",), "it is shorter than before"),
        (("a", "other", "c"), "its line 2 is another one than before"),
        (("a", "x", "c"), "its line 2 is another one than before"),
    ],
)
def test_another_file_of_the_same_name_is_read_from_its_start_and_told(
    tmp_path: Path, texts: tuple[str, ...], reason: str
) -> None:
    file = records(tmp_path, "a", "b", "c")
    publish_up_to(file, 2)
    found = read_position(records(tmp_path, *texts))
    assert (found.position.offset, found.position.lines, found.unused) == (0, 0, reason)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"offset": -1, "lines": 0, "first_line": "x"}',
        '{"offset": 1, "last_bytes": 2}',
        '{"offset": "one", "last_bytes": 2}',
    ],
)
def test_a_position_that_can_not_be_read_is_the_start(tmp_path: Path, text: str) -> None:
    file = records(tmp_path, "a")
    position_file(file).write_text(text)
    found = read_position(file)
    assert (found.position.offset, found.unused) == (0, "its position can not be read")


def test_a_backfill_that_can_not_keep_its_position_publishes_nothing(tmp_path: Path) -> None:
    file, shelf = records(tmp_path, BODY), Shelf()
    position_file(file).with_suffix(".position.new").mkdir()
    with pytest.raises(InvalidDocument, match=r"records.jsonl.position: got 'Is a directory'"):
        publish_file(shelf, file, Backfill("auto", Context(account_id="acme")))
    assert shelf.taken == []


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="a readable file"):
        read_position(tmp_path / "nothing.jsonl")


class Shelf:
    """Takes usage, and acknowledges it until it breaks."""

    def __init__(self, flushes: int = 1_000_000) -> None:
        self.taken: list[str] = []
        self.acknowledged: list[str] = []
        self.flushes = flushes

    def usage(self, fields: dict[str, Any]) -> None:
        self.taken.append(fields["event_id"])

    def flush(self) -> None:
        if self.flushes == 0:
            raise NotAcknowledged("away")
        self.flushes -= 1
        self.acknowledged += self.taken
        self.taken = []


def test_a_broken_backfill_loses_nothing_and_reads_little_twice(tmp_path: Path) -> None:
    bodies = [{**BODY, "id": f"chatcmpl-{number}"} for number in range(3_500)]
    file = records(tmp_path, *bodies)
    backfill = Backfill("auto", Context(account_id="acme"))
    first, second = Shelf(flushes=2), Shelf()
    with pytest.raises(NotAcknowledged):
        publish_file(first, file, backfill)
    counts = publish_file(second, file, backfill)
    assert first.acknowledged + second.acknowledged == [body["id"] for body in bodies]
    assert counts["published"] == 1_500
    assert publish_file(Shelf(), file, backfill)["published"] == 0
    assert publish_file(Shelf(), file, backfill._replace(again=True))["published"] == 3_500


def test_a_line_that_is_still_being_written_is_read_next_time(tmp_path: Path) -> None:
    file = records(tmp_path, BODY)
    text = json.dumps({**BODY, "id": "chatcmpl-2"})
    file.write_text(json.dumps(BODY) + "\n" + text[:40])
    backfill, shelf = Backfill("auto", Context(account_id="acme")), Shelf()
    assert publish_file(shelf, file, backfill) == {"published": 1, "refused": 1, "not_charged": 0}
    file.write_text(json.dumps(BODY) + "\n" + text)
    publish_file(shelf, file, backfill)
    assert shelf.acknowledged == ["chatcmpl-1", "chatcmpl-2"]


def test_options_for_raw_records_ask_for_their_format(command: Command, tmp_path: Path) -> None:
    done = command("usage", "publish", "--account", "acme", records(tmp_path, BODY))
    assert done.code == 1
    assert "--from" in done.err
