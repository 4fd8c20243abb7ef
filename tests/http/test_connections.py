"""Connections as clients spoil them: the protocol of the server on a socket, without Kafka."""

import asyncio
import contextlib
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import uvicorn
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from engine.http import server as serving
from tests.http.calls import Server, event

JSON = "Content-Type: application/json"


class Line(NamedTuple):
    """A server that listens, and how many connections it has."""

    server: Server
    port: int
    state: ServerState

    def connect(self, receive_bytes: int = 0) -> socket.socket:
        """Return a connection."""
        found = socket.socket()
        found.settimeout(20)
        if receive_bytes:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        found.connect(("127.0.0.1", self.port))
        return found

    def head(self, target: str, *headers: str) -> bytes:
        """Return the head of a request with the key of gateway-1."""
        lines = (f"{target} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.server.key}")
        return "\r\n".join((*lines, *headers, "", "")).encode()

    def wait_for(self, connections: int) -> None:
        """Wait until the server has so many connections."""
        until = time.monotonic() + 10
        while len(self.state.connections) != connections:
            assert time.monotonic() < until
            time.sleep(0.001)


@pytest.fixture
def line(caplog: pytest.LogCaptureFixture) -> Iterator[Line]:
    """Run a server meanwhile. Whatever clients do, the standard library's log hears of no error."""
    server, state = Server(), ServerState()
    config = uvicorn.Config(server.application, lifespan="off", log_config=None, ws="none")
    config.load()
    loop = asyncio.new_event_loop()

    def protocol() -> serving.PatientProtocol:
        return serving.PatientProtocol(config=config, server_state=state, app_state={}, _loop=loop)

    listener = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with caplog.at_level(logging.ERROR):
        yield Line(server, listener.sockets[0].getsockname()[1], state)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    listener.close()
    for connection in list(state.connections):
        connection.transport.abort()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert [record.getMessage() for record in caplog.get_records("call")] == []


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Read one answer, and return its status and document."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        length = 0
        while (header := stream.readline().strip()) != b"":
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        document: dict[str, object] = json.loads(stream.read(length))
        return status, document


@pytest.mark.parametrize("header", ["Connection: close", "Connection: keep-alive"])
def test_a_body_that_is_too_large_is_answered_while_it_is_still_sent(
    line: Line, header: str
) -> None:
    size = 8 * 1024 * 1024
    with line.connect() as client:
        client.sendall(
            line.head("POST /v1/usage", JSON, header, f"Content-Length: {size}") + b"x" * size
        )
        assert answer(client)[1]["code"] == "body_too_large"
    line.wait_for(0)


def test_a_client_that_does_not_read_is_let_go(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STALL_SECONDS", 0.2)
    with line.connect(receive_bytes=4_096) as client:
        client.setblocking(False)
        client.send(line.head("GET /openapi.json") * 300)
        line.wait_for(1)
        line.wait_for(0)
    with line.connect() as other:
        other.sendall(line.head("GET /health"))
        assert answer(other)[0] == 200


def test_a_chunk_that_is_none_after_the_answer_ends_the_connection_quietly(line: Line) -> None:
    with line.connect() as client:
        client.sendall(b"POST /v1/usage HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert answer(client)[1]["code"] == "key_missing"
        client.sendall(b"zz\r\n")
        assert client.recv(10) == b""
    line.wait_for(0)


def test_a_chunk_that_is_none_within_a_body_is_answered_and_nothing_is_taken(line: Line) -> None:
    with capture_logs() as logged, line.connect() as client:
        client.sendall(line.head("POST /v1/usage", JSON, "Transfer-Encoding: chunked") + b"zz\r\n")
        assert answer(client)[1]["code"] == "malformed_request"
        line.wait_for(0)
    assert logged == []
    assert line.server.sink.events == []


def test_a_client_that_leaves_within_its_body_is_no_fault_of_ours(line: Line) -> None:
    with capture_logs() as logged:
        with line.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(line.head("POST /v1/usage", JSON, "Content-Length: 1000") + b"[")
        until = time.monotonic() + 10
        labels = {"route": "usage", "status": "400"}
        value = line.server.telemetry.registry.get_sample_value
        while not value("tollbook_http_requests_total", labels):
            assert time.monotonic() < until
            time.sleep(0.01)
    assert logged == []


def test_connections_beyond_the_most_are_closed_and_the_others_are_served(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving.PatientProtocol, "most_connections", 2)
    with line.connect(), line.connect() as second:
        line.wait_for(2)
        with line.connect() as third, contextlib.suppress(ConnectionResetError):
            assert third.recv(1) == b""
        line.wait_for(2)
        second.sendall(line.head("GET /health"))
        assert answer(second)[0] == 200
    line.wait_for(0)
    with line.connect() as later:
        later.sendall(line.head("GET /health"))
        assert answer(later)[0] == 200


def test_requests_behind_each_other_are_answered_in_order(line: Line) -> None:
    body = json.dumps(event()).encode()
    usage = line.head("POST /v1/usage", JSON, f"Content-Length: {len(body)}") + body
    with line.connect() as client:
        client.sendall(usage + line.head("GET /nothing") + usage + b"\x00no http\r\n\r\n")
        stream = b""
        while chunk := client.recv(65_536):
            stream += chunk
    found = [part[:3] for part in stream.split(b"HTTP/1.1 ")[1:]]
    assert found == [b"202", b"404", b"202", b"400"]
