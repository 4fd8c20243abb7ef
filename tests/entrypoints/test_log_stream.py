"""A log that can not be written stops no process."""

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import structlog
from engine.entrypoints.cli.common import configure_logging
configure_logging()
for _ in range(2_000):
    structlog.get_logger().error("http_request_failed", reason="x" * 100)
print("went on")
"""


def test_a_disk_that_is_full_stops_no_process() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            stderr=full,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stdout == "went on\n"
