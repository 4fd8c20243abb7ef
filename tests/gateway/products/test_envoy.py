"""A real Envoy with the how-to's access log; its lines go to the HTTP ingest as Vector sends them."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.gateway.litellm.provider import provider
from tests.gateway.products.envoy import Envoy
from tests.gateway.products.howto import KEY, SERVER, block
from tests.gateway.products.ingest import Ingest, ingest

_STREAM = {"stream": True, "stream_options": {"include_usage": True}}
_CHAT = "/v1/chat/completions"
_LINES = 7
_FORGED = 200

_REMAP = """
import json, sys
try:
    import pyvrl
except ImportError:
    sys.exit(3)
program = pyvrl.Transform(sys.argv[1] + "\\n.")
for line in sys.stdin:
    try:
        print(json.dumps(program.remap({"message": line.rstrip("\\n"), "stream": "stdout"})))
    except ValueError as error:
        assert "aborted" in str(error), error
"""
"""Runs Vector's language; the value of a program is that of its last expression, here the event."""


@pytest.fixture(scope="module")
def lines(envoy_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Yield what Envoy logs of a call, a stream, an error, a stream without usage, one that its
    caller leaves, a request for something else, and an embedding."""
    with provider() as url:
        port = urlsplit(url).port
        assert port is not None
        envoy = Envoy(envoy_binary, tmp_path_factory.mktemp("envoy"), port)
        try:
            with httpx2.Client(base_url=envoy.url, timeout=30) as client:
                for model, options in (("gpt-4o", {}), ("gpt-4o", _STREAM), ("broken", {}),
                                       ("silent", _STREAM)):  # fmt: skip
                    client.post(_CHAT, json={"model": model, "messages": [], **options})
                with client.stream(
                    "POST", _CHAT, json={"model": "slow", "messages": [], **_STREAM}
                ) as answer:
                    next(answer.iter_raw())
                client.get("/health")
                client.post(
                    "/v1/embeddings", json={"model": "text-embedding-3-small", "input": "Hello"}
                )
            yield envoy.lines(_LINES)
        finally:
            envoy.end()


@pytest.fixture(scope="module")
def forged(envoy_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Yield what Envoy logs of calls to which their caller gave one id, as fast as they go."""
    with provider() as url:
        port = urlsplit(url).port
        assert port is not None
        envoy = Envoy(envoy_binary, tmp_path_factory.mktemp("envoy"), port)
        try:
            with (
                httpx2.Client(base_url=envoy.url, timeout=30) as client,
                ThreadPoolExecutor(8) as callers,
            ):
                call = {"model": "gpt-4o", "messages": []}
                headers = {"x-request-id": "00000000-0000-0000-0000-000000000000"}

                def ask(_: int) -> None:
                    client.post(_CHAT, json=call, headers=headers)

                list(callers.map(ask, range(_FORGED)))
            yield envoy.lines(_FORGED)
        finally:
            envoy.end()


def ship(found: Ingest, records: list[dict[str, Any]]) -> Any:
    """Send records as Vector's sink does: arrays in JSON, of so many at most, with its key."""
    sink = block("envoy", "sinks")["sinks"]["tollbook"]
    assert (sink["type"], sink["encoding"], sink["auth"]) == (
        "http",
        {"codec": "json"},
        {"strategy": "bearer", "token": KEY},
    )
    assert sink["batch"]["max_events"] >= len(records)
    response = httpx2.post(
        sink["uri"].replace(SERVER, found.url),
        content=json.dumps(records).encode(),
        headers={
            "authorization": f"Bearer {found.server.key}",
            "content-type": "application/json",
        },
    )
    assert response.status_code == httpx2.codes.ACCEPTED, response.text
    return response.json()["results"]


def test_every_call_that_was_served_is_an_event_with_its_tokens(lines: list[str]) -> None:
    records = [json.loads(line) for line in lines]
    with ingest() as found:
        found.start()
        results = ship(found, records)
        again = ship(found, records)
    assert [result.get("reason", result["status"]) for result in results] == [
        "accepted", "accepted", "error_response", "accepted", "accepted", "no_model_call",
        "accepted",
    ]  # fmt: skip
    events = found.server.sink.events[:5]
    told = {"input": 60, "cache_read": 40, "output": 15, "reasoning": 5}
    assert [
        (
            event["model"],
            event["operation"],
            {kind: n for kind, n in event["quantities"].items() if n},
        )
        for event in events
    ] == [
        ("gpt-4o", "chat", told),
        ("gpt-4o", "chat", told),
        ("silent", "chat", {"unexplained": 1}),
        ("slow", "chat", {"unexplained": 1}),
        ("text-embedding-3-small", "embedding", {"input": 7}),
    ]
    assert {event["account_id"] for event in events} == {"acme"}
    assert events[0]["provider"] == "default/openai/route/chat/rule/0/ref/0"
    assert events[0]["event_id"].startswith(f"{records[0]['x-request-id']}@")
    ids = [result.get("event_id") for result in results]
    assert ids == [result.get("event_id") for result in again]
    assert len({event["event_id"] for event in events}) == len(events)


def test_calls_to_which_a_caller_gave_one_id_are_all_charged(forged: list[str]) -> None:
    records = [json.loads(line) for line in forged]
    assert len({record["x-request-id"] for record in records}) == 1
    with ingest() as found:
        found.start()
        ship(found, records)
    assert len(set(found.event_ids)) == _FORGED


def test_a_call_is_used_when_it_ended(lines: list[str]) -> None:
    with ingest() as found:
        found.start()
        ship(found, [json.loads(line) for line in lines])
    slow = json.loads(lines[4])
    began = int(found.server.sink.events[3]["event_id"].rpartition("@")[2])
    assert found.server.sink.events[3]["occurred_at"] == began + slow["duration"] * 1_000


def test_vector_takes_the_lines_of_the_access_log_out_of_all_that_a_pod_prints(
    lines: list[str], envoy_python: Path
) -> None:
    program = block("envoy", "transforms")["transforms"]["lines"]["source"]
    printed = [*lines, "[info] started", '{"level": "info"}', "[1, 2]", ""]
    done = subprocess.run(
        [envoy_python, "-c", _REMAP, program],
        input="\n".join(printed), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 3:
        pytest.skip("Vector's language has no package for this Python")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        json.loads(line) for line in lines
    ]
