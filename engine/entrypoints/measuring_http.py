"""Measuring the HTTP ingest: events posted in batches to a real server, until Kafka has acknowledged them.

The load comes from threads of this process over connections that stay open, with bodies made before, on
the same machine as the server and the broker: what is measured is what all three do together on its
cores. Meanwhile, and before, the balance of an account is asked for, one request after another.
"""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.adapters.avro.views import encode_balance
from engine.adapters.documents.usage import usage_json
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.cli.stack import running
from engine.entrypoints.measuring import Stalled, account_of, bench_event
from engine.http.keys import new_key, write_key_file
from engine.rating.account import Account
from engine.rating.balance import balance_of
from engine.settings import KafkaSettings

_SENDERS = 4
_ASKED = 500
_START_SECONDS = 30.0
_ACCEPTED = 202


class HttpThroughput(NamedTuple):
    """Events acknowledged per second, and milliseconds of requests and of balances asked for."""

    events: int
    batch_events: int
    seconds: float
    events_per_second: float
    request_p50_ms: float
    request_p99_ms: float
    balance_idle_p50_ms: float
    balance_idle_p99_ms: float
    balance_loaded_p50_ms: float
    balance_loaded_p99_ms: float


class _Client:
    """One connection with the key."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, float]:
        """Return status and milliseconds of a request."""
        began_at = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        response.read()
        return response.status, (time.perf_counter() - began_at) * 1_000


def measure_http(
    settings: KafkaSettings, folder: Path, events: int, batch_events: int, partitions: int
) -> HttpThroughput:
    """Run a server, send it events and ask it for a balance. Stalled if it does not answer."""
    text, key = new_key("bench", ["*"], events_per_second=1_000_000)
    write_key_file(folder / "http-keys.json", {key.key_id: key})
    _write_balance(settings, partitions)
    bodies = list(_bodies(events, batch_events))
    with _served(settings, folder) as port:
        path = f"/v1/accounts/{account_of(0)}/balance"
        _wait_for(port, text, path)
        idle = [_Client(port, text).ask("GET", path)[1] for _ in range(_ASKED)]
        stop = threading.Event()
        with ThreadPoolExecutor(_SENDERS + 1) as threads:
            asking = threads.submit(_ask_until, stop, _Client(port, text), path)
            began_at = time.perf_counter()
            sending = [
                threads.submit(_send, _Client(port, text), bodies[first::_SENDERS])
                for first in range(_SENDERS)
            ]
            taken = [ms for sent in sending for ms in sent.result()]
            seconds = time.perf_counter() - began_at
            stop.set()
            loaded = asking.result()
    return HttpThroughput(
        events, batch_events, seconds, events / seconds,
        *_quantiles(taken), *_quantiles(idle), *_quantiles(loaded),
    )  # fmt: skip


def _quantiles(times: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def _bodies(events: int, batch_events: int) -> Iterator[bytes]:
    now = time.time_ns() // 1_000
    for first in range(0, events, batch_events):
        last = min(first + batch_events, events)
        batch = [usage_json(bench_event(number, now)) for number in range(first, last)]
        yield json.dumps(batch).encode()


def _send(client: _Client, bodies: Sequence[bytes]) -> list[float]:
    times = []
    for body in bodies:
        status, ms = client.ask("POST", "/v1/usage", body)
        if status != _ACCEPTED:
            raise Stalled(f"the server answered {status}, expected {_ACCEPTED}")
        times.append(ms)
    return times


def _ask_until(stop: threading.Event, client: _Client, path: str) -> list[float]:
    times = [client.ask("GET", path)[1]]
    while not stop.wait(0.005):
        times.append(client.ask("GET", path)[1])
    return times


def _write_balance(settings: KafkaSettings, partitions: int) -> None:
    """Write a balance as a projector would: no worker runs here."""
    account_id = account_of(0)
    value = encode_balance(balance_of(Account(account_id)))
    with KafkaPublisher(settings) as publisher:
        publisher.record(
            "balances", partition_of(account_id, partitions), account_id.encode(), value
        )


@contextmanager
def _served(settings: KafkaSettings, folder: Path) -> Iterator[int]:
    """Run a server meanwhile; yields its port."""
    log = folder / "http.log"
    keys = folder / "http-keys.json"
    command = f"serve --port 0 --keys {keys}"
    with running(settings, command, log=log, home=folder) as (process,):
        yield _port(process, log)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"http_served"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.05)
    raise Stalled(f"the server did not start:\n{log.read_text(encoding='utf-8')}")


def _wait_for(port: int, key: str, path: str) -> None:
    client = _Client(port, key)
    until = time.monotonic() + _START_SECONDS
    while client.ask("GET", path)[0] != http.client.OK:
        if time.monotonic() > until:
            raise Stalled(f"{path}: no balance in {_START_SECONDS} s")
        time.sleep(0.05)
