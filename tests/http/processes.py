"""The real server, as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

from engine.http.keys import new_key, write_key_file
from engine.settings import KafkaSettings


class Running(NamedTuple):
    """A server that answers, and a client with a key of gateway-1 for all of acme's accounts."""

    port: int
    process: "subprocess.Popen[str]"
    client: httpx2.Client


@contextmanager
def server(settings: KafkaSettings, folder: Path, *options: str) -> Iterator[Running]:
    """Run `tollbook serve` on a free port meanwhile; it is stopped by SIGTERM, and must end well."""
    text, key = new_key("gateway-1", ["acme", "acme-*"], events_per_second=1_000_000)
    keys = folder / "keys.json"
    write_key_file(keys, {key.key_id: key})
    log = folder / "server.log"
    environment = {
        **os.environ,
        "TOLLBOOK_BOOTSTRAP": settings.bootstrap,
        "TOLLBOOK_PREFIX": settings.prefix,
        "TOLLBOOK_HTTP_KEYS": str(keys),
        "TOLLBOOK_METRICS_PORT": "",
    }
    command = [sys.executable, "-m", "engine.entrypoints.cli", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        port = _port(process, log)
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"authorization": f"Bearer {text}"},
            timeout=40,
        ) as client:
            yield Running(port, process, client)
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest


def _port(process: "subprocess.Popen[str]", log: Path) -> int:
    """Return the port of a server as soon as it answers there."""
    assert process.stderr is not None
    with log.open("w", encoding="utf-8") as kept:
        for line in process.stderr:
            kept.write(line)
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "http_served":
                return int(event["port"])
    raise AssertionError(log.read_text(encoding="utf-8"))
