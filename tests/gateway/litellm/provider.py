"""A provider on loopback that speaks OpenAI's API. What a model does is in its name.

`silent` never tells the usage of a stream, `broken` fails, `breaks-off` ends a stream with its first
word, `slow` takes its time, and the others answer. Prompt tokens are 100, of which 40 cached; completion tokens 20, of which 5 reasoning.
"""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
_numbers = itertools.count(1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["model"] == "broken":
            self._answer(500, {"error": {"message": "broken", "type": "server_error"}})
        elif self.path.endswith("/embeddings"):
            self._answer(200, _embedding(body["model"]))
        elif self.path.endswith("/messages"):
            self._answer(200, _message(body["model"]))
        elif self.path.endswith("/responses") and body.get("stream"):
            done = {"type": "response.completed", "response": _response(body["model"])}
            self._send_events([f"event: response.completed\ndata: {json.dumps(done)}\n\n"])
        elif self.path.endswith("/responses"):
            self._answer(200, _response(body["model"]))
        elif body.get("stream"):
            self._stream(body)
        else:
            self._answer(200, _completion(body["model"]))

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, body: dict[str, Any]) -> None:
        model = body["model"]
        tells = model != "silent" and (body.get("stream_options") or {}).get("include_usage")
        chunks = [f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(model, bool(tells))]
        if model == "breaks-off":
            self._send_events(chunks[:1], length=1_000_000)
        else:
            self._send_events([*chunks, "data: [DONE]\n\n"], pause=0.2 * (model == "slow"))

    def _send_events(self, events: list[str], length: int | None = None, pause: float = 0) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        try:
            for event in events:
                self.wfile.write(event.encode())
                time.sleep(pause)
        except ConnectionError:
            return  # the caller hung up


def _completion(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello there"}
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": USAGE,
    }


def _chunks(model: str, tells_usage: bool) -> Iterator[dict[str, Any]]:
    base = {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
    }
    for word in ("Hello", " there"):
        delta = {"role": "assistant", "content": word}
        yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if tells_usage:
        yield {**base, "choices": [], "usage": USAGE}


def _embedding(model: str) -> dict[str, Any]:
    return {
        "object": "list",
        "model": model,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25]}],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def _response(model: str) -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello there", "annotations": []}
    message = {"id": "msg-1", "type": "message", "role": "assistant", "status": "completed"}
    return {
        "id": f"resp_{next(_numbers)}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": model,
        "output": [{**message, "content": [text]}],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 120,
        },
    }


def _message(model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{next(_numbers)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hello there"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 60,
            "cache_read_input_tokens": 40,
            "cache_creation_input_tokens": 0,
            "output_tokens": 20,
        },
    }


@contextmanager
def provider() -> Iterator[str]:
    """Yield the base URL of a provider that runs meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()
