"""The port that a process is watched on: `/metrics`, `/health` and `/live`.

A thread of its own answers, and at most a few requests at once: a client that is slow, or that
never reads, costs the worker nothing. It only ever reads.

`/health` is for dashboards and for waiting: 503 while Kafka is away, or if the process is stuck.
`/live` is for what restarts processes: 503 only if the process is stuck.
"""

import errno
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6, socket
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from engine.adapters.metrics import ProcessTelemetry
from engine.rating.errors import InvalidDocument

PATHS = ("/metrics", "/health", "/live")
MOST_REQUESTS = 16
"""At once; who comes then is turned away."""
_PATIENCE_SECONDS = 5.0
_JSON = "application/json"


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = MOST_REQUESTS

    def __init__(self, host: str, port: int, telemetry: ProcessTelemetry) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.telemetry = telemetry
        self._free = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__((host, port), _Handler)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(
        self, request: socket | tuple[bytes, socket], client_address: Any
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is no event."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            data = generate_latest(self.server.telemetry.registry)
            self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, data)
        elif path in PATHS:
            health = self.server.telemetry.vitals.health()
            is_well = health.is_ready if path == "/health" else health.is_alive
            status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, _JSON, json.dumps(health._asdict()).encode() + b"\n")
        else:
            data = json.dumps({"expected": PATHS}).encode() + b"\n"
            self._answer(HTTPStatus.NOT_FOUND, _JSON, data)

    def _answer(self, status: HTTPStatus, content_type: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing: a scrape is no event."""


@contextmanager
def serving(telemetry: ProcessTelemetry, host: str, port: int) -> Iterator[int]:
    """Answer on a port (0: any that is free) meanwhile; yields the port. InvalidDocument if taken."""
    try:
        server = _Server(host, port, telemetry)
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        what = "a port that no other process listens on" if is_taken else "an address to listen on"
        place = f"metrics port {host}:{port}"
        raise InvalidDocument(place, error.strerror or str(error), what) from error
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.5}, name="metrics", daemon=True
    )
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
