"""An OpenTelemetry Collector with the how-to's configuration, and the spans that are sent to it.

Changed are only the addresses, the key, the folder of the queue, and how long it waits between tries.
"""

import itertools
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.gateway.products.howto import KEY, SERVER, block, put
from tests.gateway.products.ingest import free_port, wait_until

EXPORTER = "otlp_http/tollbook"
_ENDPOINT = "/v1/usage?format=otel&account_id=acme&rejected=log"
_PATIENCE_SECONDS = 60.0
_numbers = itertools.count(1)

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 7,
}


def span(name: str = "chat gpt-4o", status: int = 0, **more: Any) -> dict[str, Any]:
    """Return a span in OTLP's JSON with `attributes`; other fields are the span's."""
    attributes = more.pop("attributes", CHAT)
    number = next(_numbers)
    now = time.time_ns()
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(now - 1_000_000),
        "endTimeUnixNano": str(now),
        "status": {"code": status},
        "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
        **more,
    }


def _value(value: str | int) -> dict[str, str]:
    kind = "stringValue" if isinstance(value, str) else "intValue"
    return {kind: str(value)}


def event_id(sent: dict[str, Any]) -> str:
    """Return the event id of a span that does not tell its response."""
    return f"{sent['traceId']}/{sent['spanId']}"


class Collector:
    """A Collector process that sends to a server; its queue outlives it."""

    def __init__(self, binary: str, folder: Path, server: str, key: str) -> None:
        self._binary = binary
        self._config = folder / "collector.yaml"
        self._log = folder / "collector.log"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        found = block("opentelemetry", "exporters")
        exporter = found["exporters"][EXPORTER]
        put(exporter, f"{SERVER}{_ENDPOINT}", f"{server}{_ENDPOINT}", "traces_endpoint")
        put(exporter, f"Bearer {KEY}", f"Bearer {key}", "headers", "authorization")
        exporter["retry_on_failure"] |= {"initial_interval": "50ms", "max_interval": "200ms"}
        put(
            found["extensions"], "/var/lib/otelcol/queue", str(folder / "queue"),
            "file_storage/queue", "directory",
        )  # fmt: skip
        protocols = found["receivers"]["otlp"]["protocols"]
        protocols["grpc"] = (protocols["grpc"] or {}) | {"endpoint": f"127.0.0.1:{free_port()}"}
        protocols["http"] = (protocols["http"] or {}) | {"endpoint": f"127.0.0.1:{self._port}"}
        found["service"]["telemetry"] = {"metrics": {"level": "none"}}
        self._config.write_text(yaml.safe_dump(found))

    @property
    def log(self) -> str:
        """Return what it said."""
        return self._log.read_text(encoding="utf-8")

    @property
    def complaints(self) -> list[str]:
        """Return its warnings and errors."""
        lines = [line.split("\t") for line in self.log.splitlines()]
        return ["\t".join(line) for line in lines if {"warn", "error"} & set(line[1:2])]

    def start(self) -> None:
        """Start the process and wait until it takes spans."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, "--config", self._config], stdout=log, stderr=log
            )
        wait_until(lambda: "Everything is ready" in self.log, lambda: self.log)

    def send(self, *spans: dict[str, Any]) -> None:
        """Have spans taken in one request: afterwards, the Collector answers for them."""
        export = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
        response = httpx2.post(f"http://127.0.0.1:{self._port}/v1/traces", json=export, timeout=30)
        assert response.status_code == httpx2.codes.OK, response.text

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal and wait for the end of the process."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=_PATIENCE_SECONDS)
            self._process = None
