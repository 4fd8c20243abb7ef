"""Bodies that can not be taken: what is no JSON, too large, too many, or made to hurt."""

import gzip
import json

import pytest

from engine.http import reading
from engine.http.app import Limits
from tests.http.calls import Server, event, litellm_record, problem_of


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'{"a":1,"a":2}']
)
def test_what_is_no_json_is_refused_as_a_whole(body: bytes) -> None:
    response = Server().client.post(
        "/v1/usage", content=body, headers={"content-type": "application/json"}
    )
    assert problem_of(response) == (400, "invalid_body")


@pytest.mark.parametrize(
    ("headers", "params", "expected"),
    [
        ({"content-type": "text/plain"}, {}, (415, "media_type_not_supported")),
        ({"content-encoding": "br"}, {}, (415, "encoding_not_supported")),
        ({"content-encoding": "gzip"}, {}, (400, "invalid_body")),
        ({}, {"format": "xml"}, (400, "invalid_parameter")),
        ({"tollbook-format": "xml"}, {}, (400, "invalid_parameter")),
    ],
)
def test_what_can_not_be_read_is_refused(
    headers: dict[str, str], params: dict[str, str], expected: tuple[int, str]
) -> None:
    assert problem_of(Server().send(event(), headers=headers, params=params)) == expected


def test_a_large_body_is_refused_by_its_declared_length_and_by_its_bytes() -> None:
    server = Server(Limits(body_bytes=1_000))
    body = json.dumps(event(subject="x" * 1_000)).encode()
    assert problem_of(server.client.post("/v1/usage", content=body)) == (413, "body_too_large")
    chunked = server.client.post("/v1/usage", content=iter([body[:600], body[600:]]))
    assert problem_of(chunked) == (413, "body_too_large")


def test_a_body_that_swells_when_it_is_decompressed_is_refused() -> None:
    server = Server(Limits(body_bytes=10_000))
    response = server.client.post(
        "/v1/usage",
        content=gzip.compress(b" " * 1_000_000),
        headers={"content-type": "application/json", "content-encoding": "gzip"},
    )
    assert problem_of(response) == (413, "body_too_large")


def test_too_many_records_are_refused() -> None:
    response = Server().send([1] * 10_001)
    assert problem_of(response) == (413, "too_many_records")


def test_lines_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(reading, "read_json", read.append)
    response = Server().client.post(
        "/v1/usage", content="{\n" * 10_001, headers={"content-type": "application/x-ndjson"}
    )
    assert problem_of(response) == (413, "too_many_records")
    assert read == []


def test_a_record_of_more_calls_than_kafka_has_room_for_is_refused() -> None:
    iterations = [{"type": "advisor_message", "input_tokens": 1, "output_tokens": 1}] * 10_001
    usage = {"input_tokens": 10, "output_tokens": 20, "iterations": iterations}
    record = litellm_record(response={"model": "claude-x", "usage": usage})
    server = Server()
    response = server.send(record, params={"format": "litellm", "account_id": "acme"})
    assert problem_of(response) == (413, "too_many_records")
    assert server.sink.events == []


@pytest.mark.parametrize("params", [{}, {"format": "otel"}])
def test_an_export_without_spans_has_nothing_to_charge(params: dict[str, str]) -> None:
    response = Server().send({"resourceSpans": []}, params=params)
    assert response.status_code == 202
    assert response.json() == {"accepted": 0, "rejected": 0, "not_charged": 0}


def test_what_stands_behind_a_compressed_body_is_not_dropped() -> None:
    server = Server()
    lines = [gzip.compress(json.dumps(event(name)).encode() + b"\n") for name in ("a", "b")]
    response = server.client.post(
        "/v1/usage",
        content=b"".join(lines),
        headers={"content-type": "application/x-ndjson", "content-encoding": "gzip"},
    )
    assert problem_of(response) == (400, "invalid_body")
    assert server.sink.events == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"latencies": {}, "ai": {"\\ud800": {"usage": 5}}}',
        b'{"latencies": {}, "ai": {"' + b"x" * 100_000 + b'": {"usage": 5}}}',
    ],
)
def test_a_name_of_a_record_that_can_not_be_told_is_told_as_far_as_it_can(body: bytes) -> None:
    headers = {"content-type": "application/json", "tollbook-format": "kong"}
    response = Server().client.post("/v1/usage", content=body, headers=headers)
    assert problem_of(response) == (422, "records_rejected")
    assert len(response.content) < 2_000


def test_a_version_of_five_thousand_digits_is_no_fault_of_ours() -> None:
    record = {
        "request_id": "r", "start_time": 1_766_000_068_284, "version": "9" * 5_000 + ".1",
        "provider": "anthropic", "llm_summary": {"prompt_tokens": 1, "completion_tokens": 2},
    }  # fmt: skip
    response = Server().send(record, params={"format": "apisix", "account_id": "acme"})
    assert response.status_code == 202


@pytest.mark.parametrize(("content", "status"), [("{", 400), ('{"resourceSpans": []}', 202)])
def test_a_body_of_which_nothing_comes_counts_against_the_rate_as_well(
    content: str, status: int
) -> None:
    server = Server(rate=2)
    statuses = [server.client.post("/v1/usage", content=content).status_code for _ in range(6)]
    assert statuses[:4] == [status] * 4
    assert statuses[-1] == 429
