"""The real LiteLLM proxy as a process, and calls to it."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from engine.adapters.avro.usage import Fields, decode_usage
from engine.gateway import Publisher
from engine.gateway.encoding import frame_batch
from engine.gateway.record_publisher import RecordPublisher
from engine.gateway.spool import Spool
from tests.gateway.events import Shelf

ROOT = Path(__file__).parents[3]
UNREACHABLE = "127.0.0.1:9"
"""Where no Kafka is: what is published stays in the spool, for the test to read."""

_PATIENCE_SECONDS = 90.0
_WINDOW_BYTES = 1 << 20
_CONFIG = """\
model_list:
  - {{model_name: gpt, litellm_params: {{model: openai/gpt-4o, {reach}}}}}
  - {{model_name: silent, litellm_params: {{model: openai/silent, {reach}}}}}
  - {{model_name: breaks-off, litellm_params: {{model: openai/breaks-off, {reach}}}}}
  - {{model_name: claude, litellm_params: {{model: anthropic/claude-sonnet-4-5, {claude}}}}}
  - {{model_name: slow, litellm_params: {{model: openai/slow, {reach}}}}}
  - {{model_name: broken, litellm_params: {{model: openai/broken, {reach}}}}}
  - {{model_name: falls-back, litellm_params: {{model: openai/broken, {reach}}}}}
  - {{model_name: embed, litellm_params: {{model: openai/text-embedding-3-small, {reach}}}}}
router_settings:
  num_retries: 0
  fallbacks: [{{"falls-back": ["gpt"]}}]
litellm_settings:
  callbacks: engine.gateway.litellm.tollbook
  cache: true
  cache_params: {{type: local, mode: default_off}}
general_settings:
  master_key: sk-9f0c6f3d7a1be2458c60d7e3f1a2b4c5d6e7f80911223344
  custom_auth: tests.gateway.litellm.keys.check
"""


class Answer(NamedTuple):
    """What the caller got. `call_id`: the proxy's, of the answer's headers."""

    status: int
    call_id: str
    body: bytes


class Proxy:
    """A proxy process on a free port, with its spool in a folder."""

    def __init__(
        self, python: Path, provider: str, folder: Path, bootstrap: str, prefix: str
    ) -> None:
        self._python, self._folder = python, folder
        self._config = folder / "config.yaml"
        self._config.write_text(
            _CONFIG.format(
                reach=f"api_base: '{provider}', api_key: sk-provider",
                claude=f"api_base: '{provider.removesuffix('/v1')}', api_key: sk-provider",
            )
        )
        self.log = folder / "proxy.log"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "TOLLBOOK_BOOTSTRAP": bootstrap,
            "TOLLBOOK_PREFIX": prefix,
            "TOLLBOOK_SOURCE": "litellm",
            "TOLLBOOK_SPOOL": str(folder / "spool"),
        }
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        command = (self._python.with_name("litellm"), "--config", self._config)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, command), "--host", "127.0.0.1", "--port", str(self.port)],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        since = time.monotonic()
        while not self._is_alive():
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() - since < _PATIENCE_SECONDS, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def _is_alive(self) -> bool:
        try:
            return self._request("GET", "/health/liveliness", None, {}).status == http.client.OK
        except OSError:
            return False

    def end(self, how: signal.Signals) -> None:
        """Send a signal and wait for the end of the process."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=_PATIENCE_SECONDS)
            self._process = None

    def call(self, model: str, key: str = "sk-acme", **fields: Any) -> Answer:
        """Call a model through the proxy; headers in `headers`, other fields go into the body."""
        headers = fields.pop("headers", {})
        path = fields.pop("path", "/v1/embeddings" if model == "embed" else "/v1/chat/completions")
        messages = {"messages": [{"role": "user", "content": "Hello"}]}
        ask = messages if path.endswith(("completions", "messages")) else {"input": "Hello"}
        return self._request(
            "POST",
            path,
            {"model": model, **ask, **fields},
            {"Authorization": f"Bearer {key}"} | headers,
        )

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            content = None if body is None else json.dumps(body)
            connection.request(
                method, path, content, {"Content-Type": "application/json"} | headers
            )
            response = connection.getresponse()
            return Answer(
                response.status, response.headers.get("x-litellm-call-id", ""), response.read()
            )

    def hang_up_on(self, model: str) -> None:
        """Ask for a stream and leave after its first bytes."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-acme"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            connection.getresponse().read(20)

    def spooled(self) -> list[Fields]:
        """Return the events in the spools, once the process has ended."""
        return read_spools(self._folder)


def read_spools(folder: Path) -> list[Fields]:
    """Return the events in the spools below a folder, as they go to Kafka."""
    found: list[Fields] = []
    for original in sorted((folder / "spool").iterdir()):
        copy = folder / "copies" / f"{time.monotonic_ns()}"
        shutil.copytree(original, copy)
        _publish_records(copy)
        spool = Spool(copy, "reader")
        while window := spool.read(_WINDOW_BYTES):
            events = decode_usage(frame_batch([spooled.event for spooled in window.events]))
            assert isinstance(events, list), events
            found += events
            spool.acknowledge(window)
        spool.close()
    return found


def _publish_records(folder: Path) -> None:
    """Do with the records in a spool what the next process would: publish them."""
    away = Shelf()
    away.is_away = True
    records = RecordPublisher(Publisher("nowhere:9", "litellm", spool=folder, outlet=away))
    since = time.monotonic()
    while records.waiting:
        assert time.monotonic() - since < _PATIENCE_SECONDS
        time.sleep(0.01)
    assert not records.tally.counts["unusable"]
    records.close(0)
