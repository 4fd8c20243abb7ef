"""Taking turns until told to stop, with patience for a broker that is away.

A worker or projector whose broker does not answer has lost nothing: it waits, half a second at
first and ten at most, and its next turn begins with recovery.
"""

import threading
from collections.abc import Callable

import structlog

from engine.ports import CommitFailed, LogStalled, LogUnavailable
from engine.telemetry import Telemetry

_FIRST_SECONDS = 0.5
_MOST_SECONDS = 10.0
_log = structlog.get_logger()


def take_turns(turn: Callable[[], object], stop: threading.Event, telemetry: Telemetry) -> None:
    """Call `turn` until `stop` is set; ends between two turns."""
    pause = _FIRST_SECONDS
    while not stop.is_set():
        telemetry.turn()
        try:
            turn()
        except (CommitFailed, LogStalled, LogUnavailable) as error:
            telemetry.unavailable(True)
            _log.warning("broker_unavailable", reason=str(error), pause_seconds=pause)
            stop.wait(pause)
            pause = min(pause * 2, _MOST_SECONDS)
        else:
            telemetry.unavailable(False)
            pause = _FIRST_SECONDS
