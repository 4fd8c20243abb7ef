"""The HTTP ingest on a port, with its sink in memory: it can be stopped and started meanwhile."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from engine.http.server import PatientProtocol
from tests.http.calls import Server

_PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
        return port


def wait_until(happened: Callable[[], object], told: Callable[[], str] = str) -> None:
    """Wait until a call returns something true; AssertionError with what is told if it never does."""
    since = time.monotonic()
    while not happened():
        assert time.monotonic() - since < _PATIENCE_SECONDS, told()
        time.sleep(0.05)


class Ingest:
    """The real application behind the real protocol. What it took is in `server.sink.events`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = free_port()
        self.bodies: list[bytes] = []
        self._uvicorn: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def event_ids(self) -> list[str]:
        """Return the ids of the events that were taken, in order, those that came twice twice."""
        return [event["event_id"] for event in self.server.sink.events]

    @property
    def documents(self) -> list[Any]:
        """Return the bodies that came, read."""
        return [json.loads(gzip.decompress(body)) for body in self.bodies]

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""

        async def heard() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        await self.server.application(scope, heard, send)
        self.bodies.append(body)

    def start(self) -> None:
        """Answer."""
        server = uvicorn.Server(
            uvicorn.Config(
                self._recorded,
                interface="asgi3",  # which of a method is not guessed
                port=self.port,
                http=PatientProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
            )
        )
        self._uvicorn, self._thread = server, threading.Thread(target=server.run)
        self._thread.start()
        wait_until(lambda: server.started)

    def stop(self) -> None:
        """Answer no more."""
        if self._uvicorn is not None and self._thread is not None:
            self._uvicorn.should_exit = True
            self._thread.join()
        self._uvicorn = self._thread = None


@contextmanager
def ingest(rate: int = 10_000) -> Iterator[Ingest]:
    """Have an ingest with a key of gateway-1 for acme that may send `rate` events per second."""
    found = Ingest(Server(rate=rate))
    try:
        yield found
    finally:
        found.stop()
