"""The Kafka client's own messages, as events of ours.

kafka-python logs through the standard library, and a broker that is away makes it say the same
thing many times a second. Warnings and errors become events named `kafka_client`; the same one is
told again only after a while, with how often it was suppressed meanwhile.
"""

import logging
import time
from collections.abc import Callable

import structlog

SILENCE_SECONDS = 30.0
"""How long the same message is not told again."""
_MOST_REMEMBERED = 500
_log = structlog.get_logger()


class ClientLog(logging.Handler):
    """Turns the client's records into events; the same one at most every SILENCE_SECONDS."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._told_at: dict[tuple[str, str], float] = {}
        self._suppressed: dict[tuple[str, str], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record, unless its like was told a moment ago. Never raises."""
        key = (record.name, str(record.msg))
        now = self._clock()
        if now - self._told_at.get(key, -SILENCE_SECONDS) < SILENCE_SECONDS:
            self._suppressed[key] = self._suppressed.get(key, 0) + 1
            return
        if len(self._told_at) >= _MOST_REMEMBERED:
            self._told_at.clear()
        self._told_at[key] = now
        try:
            fields = {
                "logger": record.name,
                "message": record.getMessage(),
                "suppressed": self._suppressed.pop(key, 0),
            }
            if record.levelno >= logging.ERROR:
                _log.error("kafka_client", **fields)
            else:
                _log.warning("kafka_client", **fields)
        except Exception:  # noqa: BLE001 - a message that cannot be formatted stops no worker
            self.handleError(record)


def route_client_log() -> None:
    """Have the client's messages told as events, and nowhere else."""
    logger = logging.getLogger("kafka")
    logger.handlers = [ClientLog()]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    # Its own scheduling ("ran for 0.1 s"): a busy machine makes it so, and nobody can act on it.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
