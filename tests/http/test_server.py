"""The real server process in front of a real Kafka, a worker and a projector."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.http.calls import event, problem_of
from tests.http.processes import Running, server
from tests.stream.deployment import Deployment, flat

pytestmark = pytest.mark.kafka
EVENTS = 1_000
BATCH = 25


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    found = Deployment(kafka_bootstrap, topic_prefix)
    found.publish_tariff(flat("0.01"))
    found.open_accounts("plan", ["acme", *(f"acme-{n}" for n in range(20))])
    yield found
    found.close()


def raw(port: int, data: bytes, seconds: float = 20.0) -> bytes:
    """Send bytes as they are, end nothing, and return what is answered until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        found = b""
        while chunk := connection.recv(65_536):
            found += chunk
        return found


def test_what_is_acknowledged_is_charged_exactly_once(
    deployment: Deployment, tmp_path: Path
) -> None:
    bodies = [
        [event(f"call-{n}", account_id=f"acme-{n % 20}") for n in range(first, first + BATCH)]
        for first in range(0, EVENTS, BATCH)
    ]
    with server(deployment.settings, tmp_path) as running:

        def send(body: list[dict[str, object]]) -> int:
            accepted = 0
            for _ in range(2):  # a gateway that saw no answer sends again
                response = running.client.post("/v1/usage", json=body)
                assert response.status_code == 202
                accepted += response.json()["accepted"]
            return accepted

        with ThreadPoolExecutor(4) as senders:
            assert sum(senders.map(send, bodies)) == 2 * EVENTS
    counts = deployment.rate_all(2 * EVENTS)
    assert (counts.charges, counts.duplicates, counts.rejections) == (EVENTS, EVENTS, 0)
    charged = [charge.event_id for charge in deployment.charges() if charge.kind == "usage"]
    assert sorted(charged) == sorted(f"call-{n}" for n in range(EVENTS))


def test_a_balance_is_told_as_it_is_projected(deployment: Deployment, tmp_path: Path) -> None:
    with server(deployment.settings, tmp_path) as running:
        wait_until_ready(running)
        assert problem_of(running.client.get("/v1/accounts/acme/balance"))[1] == "account_unknown"
        running.client.post("/v1/usage", json=event(quantities={"input": 5}))
        deployment.rate_all(1)
        deployment.project_all()
        told: dict[str, object] = {}
        until = time.monotonic() + 20
        while told.get("due") != "0.05" and time.monotonic() < until:
            response = running.client.get("/v1/accounts/acme/balance")
            told = response.json()
        assert told["due"] == "0.05"
        assert float(str(told["age_seconds"])) < 5
        times = []
        for _ in range(100):
            began_at = time.perf_counter()
            assert running.client.get("/v1/accounts/acme/balance").status_code == 200
            times.append(time.perf_counter() - began_at)
        assert sorted(times)[50] < 0.005


def wait_until_ready(running: Running) -> None:
    until = time.monotonic() + 30
    while running.client.get("/health").json() != {"status": "ok"}:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_clients_that_are_slow_on_purpose_are_let_go_and_others_are_answered(
    deployment: Deployment, tmp_path: Path
) -> None:
    with server(deployment.settings, tmp_path, "--body-seconds", "1") as running:
        key = running.client.headers["authorization"]
        head = (
            f"POST /v1/usage HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        ).encode()
        with ThreadPoolExecutor(20) as clients:
            slow_bodies = [clients.submit(raw, running.port, head + b"[") for _ in range(15)]
            slow_heads = [clients.submit(raw, running.port, head[:30]) for _ in range(5)]
            assert running.client.post("/v1/usage", json=event()).status_code == 202
            answers = [slow.result() for slow in slow_bodies]
            assert {answer.split(b"\r\n")[0] for answer in answers} == {
                b"HTTP/1.1 408 Request Timeout"
            }
            assert [slow.result() for slow in slow_heads] == [b""] * 5


def test_what_is_no_http_is_answered_with_a_problem(deployment: Deployment, tmp_path: Path) -> None:
    with server(deployment.settings, tmp_path) as running:
        head, _, body = raw(running.port, b"\x16\x03\x01 hello\r\n\r\n").partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        assert json.loads(body)["code"] == "malformed_request"
        large = b"x" * (5 * 1024 * 1024)
        response = running.client.post("/v1/usage", content=large)
        assert problem_of(response) == (413, "body_too_large")
        wrong = running.client.post(
            "/v1/usage", json=event(), headers={"authorization": "Bearer x"}
        )
        assert problem_of(wrong) == (401, "key_unknown")
        other = running.client.post("/v1/usage", json=event(account_id="globex"))
        assert problem_of(other) == (403, "records_forbidden")


def test_a_key_that_is_revoked_is_refused_within_seconds(
    deployment: Deployment, tmp_path: Path
) -> None:
    with server(deployment.settings, tmp_path) as running:
        assert running.client.post("/v1/usage", json=event()).status_code == 202
        (tmp_path / "keys.json").write_text('{"keys": []}', encoding="utf-8")
        until = time.monotonic() + 10
        while running.client.post("/v1/usage", json=event()).status_code != 401:
            assert time.monotonic() < until
            time.sleep(0.1)
