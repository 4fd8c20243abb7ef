"""The Kafka client's messages become events: each is told, none is told all the time."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from engine.adapters.client_log import SILENCE_SECONDS, ClientLog, route_client_log

NAME = "kafka.net.manager"


class Clock:
    """A clock that a test moves."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logger(clock: Clock) -> Iterator[logging.Logger]:
    logger = logging.Logger(NAME)  # noqa: LOG001 - one that nobody else has
    logger.addHandler(ClientLog(clock))
    yield logger
    logger.handlers.clear()


def test_a_message_is_told_with_its_logger_and_level(logger: logging.Logger) -> None:
    with capture_logs() as told:
        logger.error("Connection to %s failed", "broker-1")
    assert told == [
        {
            "event": "kafka_client",
            "log_level": "error",
            "logger": NAME,
            "message": "Connection to broker-1 failed",
            "suppressed": 0,
        }
    ]


def test_a_broker_that_is_away_does_not_flood_the_log(logger: logging.Logger, clock: Clock) -> None:
    with capture_logs() as told:
        for attempt in range(100):
            logger.warning("Connection failed: attempt %d", attempt)
        clock.seconds += SILENCE_SECONDS
        logger.warning("Connection failed: attempt %d", 100)
    assert [(event["message"], event["suppressed"]) for event in told] == [
        ("Connection failed: attempt 0", 0),
        ("Connection failed: attempt 100", 99),
    ]


def test_another_message_is_told_at_once(logger: logging.Logger) -> None:
    with capture_logs() as told:
        logger.warning("one")
        logger.warning("other")
        logger.info("not worth an event")
    assert [event["message"] for event in told] == ["one", "other"]


def test_a_message_that_cannot_be_formatted_stops_nothing(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as told:
        logger.warning("%d", "not a number")
    assert told == []
    assert "not a number" in capsys.readouterr().err


def test_messages_that_never_repeat_do_not_fill_the_memory(logger: logging.Logger) -> None:
    (handler,) = logger.handlers
    assert isinstance(handler, ClientLog)
    with capture_logs():
        for number in range(2_000):
            logger.warning(f"message {number}")  # noqa: G004 - as the client does it
    assert len(handler._told_at) <= 500  # noqa: SLF001 - the bound is the point


def test_routing_twice_tells_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka_logger = logging.getLogger("kafka")
    monkeypatch.setattr(kafka_logger, "handlers", [])
    monkeypatch.setattr(kafka_logger, "propagate", True)
    selector = logging.getLogger("kafka.net.selector")
    levels = kafka_logger.level, selector.level
    try:
        route_client_log()
        route_client_log()
        with capture_logs() as told:
            logging.getLogger("kafka.consumer.fetcher").warning("once")
    finally:
        kafka_logger.setLevel(levels[0])
        selector.setLevel(levels[1])
    assert len(told) == 1


def test_off_a_terminal_every_line_is_one_json_object() -> None:
    program = (
        "import logging, structlog\n"
        "from engine.entrypoints.cli.common import configure_logging\n"
        "configure_logging()\n"
        "structlog.get_logger().info('worker_started', slot='worker-1')\n"
        "logging.getLogger('kafka.net').error('away: %s', 'x\\ny')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(event["event"], event["level"]) for event in events] == [
        ("worker_started", "info"),
        ("kafka_client", "error"),
    ]
    assert all(event["timestamp"].endswith("Z") for event in events)
    assert done.stdout == ""
