"""What every test with real processes and a broker that dies needs."""

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.processes import kill_what_runs
from tests.chaos.stream import Stream


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """End the processes that a test left behind."""
    yield
    kill_what_runs()


@pytest.fixture
def unreachable_broker(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let this process outlive its broker: kafka-python 3.0.12 leaves refused sockets to the GC.

    Pytest keeps log records, their tracebacks keep the sockets, so the client stays quiet. Goes
    with the mark DYING_BROKER.
    """
    caplog.set_level(logging.CRITICAL + 1, "kafka")
    yield
    gc.collect()


@pytest.fixture
def stream(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[Stream]:
    """Yield a deployment on the session's broker, with usage to be sent to it."""
    stream = Stream(kafka_bootstrap, topic_prefix, tmp_path)
    yield stream
    stream.close()
