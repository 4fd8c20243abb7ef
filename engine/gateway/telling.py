"""Logging that never fails: a gateway may have set up its structlog wrongly.

A processor that raises must neither end a thread that delivers nor come out of a request. What it
raised is printed on stderr instead.
"""

import traceback
from contextlib import suppress
from typing import Any

import structlog


class Log:
    """A structlog logger from which no exception comes."""

    def __init__(self, *names: str) -> None:
        self._log = structlog.get_logger(*names)

    def info(self, event: str, **fields: Any) -> None:
        """Log the course of things."""
        self._tell("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what went on by itself."""
        self._tell("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what stays wrong until somebody acts."""
        self._tell("error", event, fields)

    def _tell(self, level: str, event: str, fields: dict[str, Any]) -> None:
        try:
            getattr(self._log, level)(event, **fields)
        except Exception:  # noqa: BLE001 - whatever a processor of the gateway raises
            with suppress(Exception):  # no stderr: there is nowhere left to say it
                traceback.print_exc()
