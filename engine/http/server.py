"""The server process: uvicorn, and what it lacks against clients that are slow on purpose.

A connection that has not said its whole request head in time is closed, and so is one that goes on
sending a body after it was answered, or does not read its answer; requests that are no HTTP are answered with a problem document.
"""

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.http.problem import MEDIA_TYPE, Problem, document
from engine.rating.errors import InvalidDocument

HEAD_SECONDS = 10.0
_DRAIN_SECONDS = 10.0
STALL_SECONDS = 30.0
_KEEP_ALIVE_SECONDS = 30
_SHUTDOWN_SECONDS = 40
"""Longer than it may take to send a body and to have it acknowledged."""
_BACKLOG = 1_024
_MOST_FILES = 16_384


class _Lingering:
    """A transport that says when it would be closed while its client still sends.

    To close it then would reset the connection, and the client might lose the answer.
    """

    def __init__(self, transport: asyncio.Transport, lingers: Callable[[], bool]) -> None:
        self._transport = transport
        self._lingers = lingers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close it, or have it read to the end of what the client sends."""
        if not self._lingers():
            self._transport.close()


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, with bounds on how long a client may take, and on how many there may be."""

    most_connections: int = 768
    _deadline: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _is_ending: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(cast("asyncio.Transport", _Lingering(transport, self._lingers)))
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=0)  # so that all that is not read stalls
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._forget_deadline()
        self._forget_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; a later request's head has to come in time as well."""
        if self._is_ending:
            return
        before = self.conn.their_state
        super().data_received(data)
        if self.conn.their_state is not before:
            self._forget_deadline()
        elif before is h11.IDLE and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _lingers(self) -> bool:
        """Say that all was said, and read on for a while, if the client still sends its body."""
        if self.conn.their_state is not h11.SEND_BODY or self.transport.is_closing():
            return False
        if not self._is_ending:
            self._is_ending = True
            self.transport.write_eof()
            self.flow.resume_reading()
            self._deadline = self.loop.call_later(_DRAIN_SECONDS, self.transport.abort)
        return True

    def pause_writing(self) -> None:
        """Wait for a client to read its answer, for so long; a closed connection ends then as well."""
        super().pause_writing()
        self._stall = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read all of it."""
        self._forget_stall()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Give a client that still sends its body some time to end."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self._is_ending:
            self._deadline = self.loop.call_later(_DRAIN_SECONDS, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer is on its way already."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = json.dumps(document(Problem("malformed_request", msg))).encode()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _head_is_late(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """uvicorn's server, whose signals end it in order and with exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and Ctrl-C."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens (port 0: any that is free). InvalidDocument if it can not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, because asyncio turns off Nagle's algorithm only where it is told so: with it,
    # the second packet of an answer waits 40 ms for the client's acknowledgement of the first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, TypeError) as error:  # TypeError: a host name that can not be one
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidDocument(
            f"address {host}:{port}", reason, "one that is free to listen on"
        ) from error
    return listener


def _most_files() -> int:
    """Return how many files may be open, after asking the system for as many as it gives."""
    import resource  # noqa: PLC0415 - absent on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)


def serve(application: Starlette, listener: socket.socket, served: Callable[[], Any]) -> None:
    """Answer requests until SIGTERM or Ctrl-C; `served` is called as soon as it answers."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.ERROR)  # what clients do wrong is no event
    files = _most_files()  # were none left, asyncio would log a traceback at each try to accept
    config = uvicorn.Config(
        application,
        http=type("Protocol", (PatientProtocol,), {"most_connections": files * 3 // 4}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=min(_BACKLOG, files // 8),  # so many are accepted before any is looked at
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    server = _Server(config)

    async def answer() -> None:
        asyncio.get_running_loop().call_soon(served)
        await server.serve(sockets=[listener])

    asyncio.run(answer())
