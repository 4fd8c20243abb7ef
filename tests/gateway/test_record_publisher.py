"""The publisher of records: what it takes is normalised and delivered, whatever dies in between."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from engine.gateway import Publisher, PublisherClosed, SpoolFull, SpoolInUse, UsageRefused
from engine.gateway.aside import Aside
from engine.gateway.normalise import Context, normalise
from engine.gateway.record_publisher import MAX_RECORD_BYTES, RecordPublisher
from tests.gateway.events import Shelf
from tests.gateway.samples import recorded

SEGMENT_BYTES = 64 * 1024
PATIENCE_SECONDS = 30.0


def body(number: int, **changed: Any) -> dict[str, Any]:
    """Return the body of a chat's answer; the number is in its usage."""
    usage = {"prompt_tokens": 9 + number, "completion_tokens": 2, "total_tokens": 11 + number}
    about = {"object": "chat.completion", "created": 1764000000, "model": "gpt-4o"}
    return {"id": f"chatcmpl-{number}", **about, "usage": usage, **changed}


def context(number: int) -> Context:
    account = f"account-{number % 7}"
    return Context(account, "gateway-1", f"call-{number}", occurred_at="2025-11-06T12:00:00Z")


def records(
    folder: Path, shelf: Shelf, spool: dict[str, Any] | None = None, **more: Any
) -> RecordPublisher:
    publisher = Publisher(
        "nowhere:9", "gateway-1", spool=folder / "spool", outlet=shelf, **(spool or {})
    )
    return RecordPublisher(publisher, **more)


def arrived(shelf: Shelf) -> list[str]:
    return [fields["event_id"] for fields in shelf.arrived()]


def until(is_so: Callable[[], bool]) -> None:
    since = time.monotonic()
    while not is_so():
        assert time.monotonic() - since < PATIENCE_SECONDS
        time.sleep(0.01)


def test_records_arrive_as_the_events_that_they_are_normalised_to(tmp_path: Path) -> None:
    shelf, samples = Shelf(), recorded()
    with records(tmp_path, shelf) as taking:
        for number, sample in enumerate(samples):
            taking.publish("auto", sample.payload, context(number))
        assert taking.close(PATIENCE_SECONDS)
    expected = [
        event
        for number, sample in enumerate(samples)
        for event in normalise(sample.payload, context=context(number)).events
    ]
    came = {fields["event_id"]: fields for fields in shelf.arrived()}
    assert len(came) == len(shelf.arrived()) == len(expected)
    for event in expected:
        kinds = {k: v for k, v in came[event["event_id"]]["quantities"].items() if v}
        assert kinds == event["quantities"]
    assert taking.tally.counts["published"] == len(expected)
    assert taking.waiting == 0


@pytest.mark.parametrize(
    ("form", "record"),
    [
        ("openai_chat", body(0, usage={"prompt_tokens": "many"})),
        ("nonsense", body(0)),
        ("auto", {"hello": "world"}),
        ("auto", body(0, created="yesterday")),
    ],
)
def test_a_record_that_is_not_understood_is_set_aside_and_holds_nothing_up(
    form: str, record: dict[str, Any], tmp_path: Path
) -> None:
    shelf = Shelf()
    said = context(0)._replace(occurred_at="")
    with records(tmp_path, shelf) as taking:
        taking.publish(form, record, said)
        taking.publish("openai_chat", body(1), context(1))
        assert taking.close(PATIENCE_SECONDS)
    assert arrived(shelf) == ["call-1"]
    assert taking.tally.counts["unusable"] == 1
    (line,) = (tmp_path / "spool" / "records" / "unusable.jsonl").read_text().splitlines()
    aside = json.loads(line)
    assert aside["record"] == record
    assert "expected" in aside["reason"]


def test_what_was_set_aside_is_tried_again_by_the_next_process(tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "records"
    folder.mkdir(parents=True)
    aside = Aside(folder)
    for number, form in enumerate(["openai_chat", "still not known"]):
        taken = {"form": form, "context": context(number)._asdict(), "record": body(number)}
        assert aside.keep(json.dumps(taken).encode(), "an older version did not know the format")
    shelf = Shelf()
    with records(tmp_path, shelf) as taking:
        until(lambda: taking.tally.counts["unusable"] == 1)
        assert taking.close(PATIENCE_SECONDS)
    assert arrived(shelf) == ["call-0"]
    (path,) = folder.glob("*.jsonl")
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["form"] == "still not known"
    assert "one of" in json.loads(line)["reason"]


def _publish_until_killed(folder: Path, promised: Connection) -> None:
    taking = records(folder, Shelf(), {"segment_bytes": SEGMENT_BYTES}, segment_bytes=SEGMENT_BYTES)
    for number in range(1_000_000):
        taking.publish("openai_chat", body(number), context(number))
        promised.send(number)


@pytest.mark.parametrize("kills", [1, 3])
def test_a_killed_process_loses_no_record_that_it_took(kills: int, tmp_path: Path) -> None:
    shelf = Shelf()
    promised = 0
    for _ in range(kills):
        receiving, sending = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.Process(target=_publish_until_killed, args=(tmp_path, sending))
        child.start()
        sending.close()
        reached = 0
        while reached < 700:
            reached = receiving.recv()
        os.kill(child.pid or 0, signal.SIGKILL)
        try:
            while True:
                reached = receiving.recv()
        except EOFError:
            child.join()
        promised = max(promised, reached)
    with records(tmp_path, shelf, segment_bytes=SEGMENT_BYTES) as taking:
        assert taking.close(PATIENCE_SECONDS)
    came = {fields["event_id"]: fields["quantities"]["input"] for fields in shelf.arrived()}
    assert {number: came[f"call-{number}"] for number in range(promised + 1)} == {
        number: 9 + number for number in range(promised + 1)
    }


def test_a_record_is_done_only_when_its_event_survives_a_power_cut(tmp_path: Path) -> None:
    never = 3_600.0
    taking = records(tmp_path, Shelf(), {"sync_seconds": never})
    until(lambda: taking.waiting == 0)
    time.sleep(0.1)  # the publisher has made its first sync
    taking.publish("openai_chat", body(1), context(1))
    until(lambda: taking.tally.counts["published"] == 1)
    assert not taking.close(0.2)
    assert taking.waiting == 1
    shelf = Shelf()
    with records(tmp_path, shelf) as again:
        assert again.close(PATIENCE_SECONDS)
    assert set(arrived(shelf)) == {"call-1"}


def test_while_the_publisher_has_no_room_records_wait(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.is_away = True
    small = {"segment_bytes": SEGMENT_BYTES, "max_spool_bytes": 2 * SEGMENT_BYTES}
    number = 2_000
    with records(tmp_path, shelf, small) as taking:
        for n in range(number):
            taking.publish("openai_chat", body(n), context(n))
        until(lambda: taking.publisher.stats.refused_full > 0)
        assert taking.waiting > 0
        shelf.is_away = False
        assert taking.close(PATIENCE_SECONDS)
    assert set(arrived(shelf)) == {f"call-{n}" for n in range(number)}


def test_what_does_not_go_in_time_stays_for_the_next_process(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.is_away = True
    small = {"segment_bytes": SEGMENT_BYTES, "max_spool_bytes": 2 * SEGMENT_BYTES}
    taking = records(tmp_path, shelf, small)
    for n in range(2_000):
        taking.publish("openai_chat", body(n), context(n))
    assert not taking.close(0.2)
    shelf.is_away = False
    with records(tmp_path, shelf) as again:
        assert again.close(PATIENCE_SECONDS)
    assert set(arrived(shelf)) == {f"call-{n}" for n in range(2_000)}


def test_when_there_is_no_room_for_a_record_its_caller_knows_at_once(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.is_away = True
    small = {"segment_bytes": SEGMENT_BYTES, "max_spool_bytes": 2 * SEGMENT_BYTES}
    taking = records(tmp_path, shelf, small, **small)
    taken: list[str] = []

    def fill() -> None:
        for n in range(10_000):
            taking.publish("openai_chat", body(n), context(n))
            taken.append(f"call-{n}")

    with pytest.raises(SpoolFull):
        fill()
    shelf.is_away = False
    assert taking.close(PATIENCE_SECONDS)
    assert set(arrived(shelf)) == set(taken)


def test_what_can_not_be_a_record_is_refused_at_once(tmp_path: Path) -> None:
    with records(tmp_path, Shelf()) as taking:
        with pytest.raises(UsageRefused, match=f"expected {MAX_RECORD_BYTES} at most"):
            taking.publish("auto", {"text": "x" * MAX_RECORD_BYTES}, context(0))
        with pytest.raises(TypeError):
            taking.publish("auto", {"text": object()}, context(0))
        assert taking.waiting == 0


def test_a_closed_publisher_of_records_takes_nothing_and_closing_again_is_no_error(
    tmp_path: Path,
) -> None:
    taking = records(tmp_path, Shelf())
    with pytest.raises(SpoolInUse):
        records(tmp_path, Shelf())
    assert taking.close(PATIENCE_SECONDS)
    assert taking.close(PATIENCE_SECONDS)
    with pytest.raises(PublisherClosed):
        taking.publish("openai_chat", body(1), context(1))


def _publish_in_child(taking: RecordPublisher) -> None:
    try:
        taking.publish("openai_chat", body(2), context(2))
    except PublisherClosed:
        os._exit(0)
    os._exit(1)


def test_a_forked_child_takes_nothing(tmp_path: Path) -> None:
    shelf = Shelf()
    with records(tmp_path, shelf) as taking:
        taking.publish("openai_chat", body(1), context(1))
        child = multiprocessing.get_context("fork").Process(
            target=_publish_in_child, args=(taking,)
        )
        child.start()
        child.join()
        assert child.exitcode == 0
        assert taking.close(PATIENCE_SECONDS)
    assert arrived(shelf) == ["call-1"]
