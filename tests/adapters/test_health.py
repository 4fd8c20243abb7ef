"""The port that a process is watched on: states, status codes, and clients that behave badly."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from engine.adapters.health import STUCK_SECONDS, STUCK_STARTING_SECONDS, Health, Vitals
from engine.adapters.metrics import WorkerTelemetry
from engine.adapters.metrics_server import MOST_REQUESTS, serving
from engine.rating.errors import InvalidDocument
from engine.rating.journal import Counts

LOOPBACK = "127.0.0.1"


class Clock:
    """A clock that a test moves."""

    seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vitals(clock: Clock) -> Vitals:
    return Vitals("worker", "worker-1", clock)


def working(vitals: Vitals) -> Vitals:
    vitals.turned()
    vitals.assigned([0, 1])
    vitals.recovered(0)
    vitals.recovered(1)
    return vitals


def test_a_process_starts_until_all_its_partitions_are_recovered(vitals: Vitals) -> None:
    assert vitals.health().status == "starting"
    vitals.assigned([0, 1])
    vitals.recovered(1)
    assert (vitals.health().status, vitals.health().recovering) == ("starting", (0,))
    vitals.recovered(0)
    assert (vitals.health().status, vitals.health().recovering) == ("ok", ())


def test_a_process_without_partitions_stands_by_and_is_well(vitals: Vitals) -> None:
    vitals.assigned([])
    assert vitals.health().status == "ok"


def test_a_failed_commit_means_to_recover_again(vitals: Vitals) -> None:
    working(vitals).dropped()
    assert (vitals.health().status, vitals.health().recovering) == ("starting", (0, 1))


def test_partitions_that_stay_need_no_second_recovery(vitals: Vitals) -> None:
    working(vitals).committed(0, 12)
    vitals.committed(1, 9)
    assert vitals.assigned([1]) == {0}
    assert vitals.health().status == "ok"
    assert vitals.health().commits == {1: 9}


def test_a_broker_that_is_away_is_no_reason_to_restart(vitals: Vitals) -> None:
    working(vitals).unavailable(True)
    health = vitals.health()
    assert (health.status, health.is_ready, health.is_alive) == ("unavailable", False, True)
    vitals.unavailable(False)
    assert vitals.health().status == "ok"


def test_a_turn_that_does_not_end_is_stuck(vitals: Vitals, clock: Clock) -> None:
    working(vitals)
    clock.seconds += STUCK_SECONDS + 1
    assert (vitals.health().status, vitals.health().is_alive) == ("stuck", False)
    vitals.turned()
    assert vitals.health().status == "ok"


def test_a_long_recovery_is_not_stuck_until_it_is_hopeless(vitals: Vitals, clock: Clock) -> None:
    vitals.assigned([0])
    clock.seconds += STUCK_SECONDS + 1
    health = vitals.health()
    assert (health.status, health.is_ready) == ("starting", True)
    clock.seconds += STUCK_STARTING_SECONDS
    assert vitals.health().status == "stuck"


@pytest.fixture
def telemetry() -> WorkerTelemetry:
    return WorkerTelemetry("worker-1")


@pytest.fixture
def port(telemetry: WorkerTelemetry) -> Iterator[int]:
    with serving(telemetry, LOOPBACK, 0) as port:
        yield port


def get(port: int, path: str) -> tuple[int, str, bytes]:
    try:
        answer: HTTPResponse | urllib.error.HTTPError = urllib.request.urlopen(
            f"http://{LOOPBACK}:{port}{path}", timeout=10
        )
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return int(answer.status or 0), answer.headers["Content-Type"], answer.read()


def test_metrics_are_served_as_prometheus_reads_them(telemetry: WorkerTelemetry, port: int) -> None:
    telemetry.decided(0, 1, Counts(consumed=3, charges=3))
    status, content_type, data = get(port, "/metrics")
    assert (status, content_type.partition(";")[0]) == (200, "text/plain")
    assert b'tollbook_usage_events_total{outcome="charge"} 3.0' in data


def test_health_tells_status_turn_partitions_and_commits(
    telemetry: WorkerTelemetry, port: int
) -> None:
    telemetry.assigned([2])
    telemetry.recovered(2, 0.1, 4)
    telemetry.decided(2, 41, Counts())
    status, content_type, data = get(port, "/health")
    shown = json.loads(data)
    assert (status, content_type) == (200, "application/json")
    assert 0 <= shown.pop("seconds_since_turn") < 60
    assert shown == {
        "status": "ok", "role": "worker", "slot": "worker-1", "partitions": [2],
        "recovering": [], "commits": {"2": 41},
    }  # fmt: skip


def test_health_says_503_while_kafka_is_away_and_live_does_not(
    telemetry: WorkerTelemetry, port: int
) -> None:
    telemetry.assigned([])
    telemetry.unavailable(True)
    assert get(port, "/health")[0] == 503
    assert get(port, "/live")[0] == 200


def test_both_say_503_for_a_stuck_process(
    telemetry: WorkerTelemetry, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Health("stuck", "worker", "worker-1", 300.0, (), (), {})
    monkeypatch.setattr(telemetry.vitals, "health", lambda: stuck)
    assert get(port, "/health")[0] == 503
    assert get(port, "/live")[0] == 503


def test_another_path_is_told_which_ones_there_are(port: int) -> None:
    status, _, data = get(port, "/")
    assert status == 404
    assert json.loads(data) == {"expected": ["/metrics", "/health", "/live"]}


def test_only_get_is_answered(port: int) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=10) as client:
        client.sendall(b"POST /health HTTP/1.0\r\n\r\n")
        assert b" 501 " in client.recv(4_096)


def test_a_client_that_says_nothing_holds_up_nobody(port: int) -> None:
    with socket.create_connection((LOOPBACK, port)):
        started = time.monotonic()
        assert get(port, "/live")[0] == 200
        assert time.monotonic() - started < 3


def test_a_crowd_of_silent_clients_is_bounded_and_turned_away(port: int) -> None:
    crowd = [socket.create_connection((LOOPBACK, port), timeout=10) for _ in range(MOST_REQUESTS)]
    try:
        with socket.create_connection((LOOPBACK, port), timeout=10) as late:
            late.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            assert turned_away(late)
    finally:
        for client in crowd:
            client.close()
    wait_for_an_answer(port)


def turned_away(client: socket.socket) -> bool:
    try:
        return client.recv(4_096) == b""
    except ConnectionResetError:
        return True


def wait_for_an_answer(port: int) -> None:
    since = time.monotonic()
    while True:
        try:
            assert get(port, "/live")[0] == 200
        except OSError:
            assert time.monotonic() - since < 20
            time.sleep(0.05)
        else:
            return


def test_it_stops_with_a_client_still_connected(telemetry: WorkerTelemetry) -> None:
    started = time.monotonic()
    with serving(telemetry, LOOPBACK, 0) as port:
        client = socket.create_connection((LOOPBACK, port))
    client.close()
    assert time.monotonic() - started < 4


def test_a_port_that_is_taken_is_an_error_that_says_so(telemetry: WorkerTelemetry) -> None:
    with (
        serving(telemetry, LOOPBACK, 0) as port,
        pytest.raises(InvalidDocument, match=rf"127\.0\.0\.1:{port}.*no other process"),
        serving(telemetry, LOOPBACK, port),
    ):
        pass


def test_an_address_of_another_machine_is_an_error_that_says_so(
    telemetry: WorkerTelemetry,
) -> None:
    with pytest.raises(InvalidDocument, match="an address"), serving(telemetry, "192.0.2.1", 0):
        pass
