"""What was rejected, told in the log: for senders that read nothing of an answer but its status.

Some gateways send again whatever is not answered with success, and hold up what is behind it. A record
that will never pass must not be refused to them, and still be told to someone: `rejected=log`.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import structlog

_log = structlog.get_logger()


class _Rejected(NamedTuple):
    """Records of a source that the log does not tell of yet, and why the first was rejected."""

    form: str
    records: int
    explanation: str


class RejectedLog:
    """Gathers what was rejected of each source until `tell`, so that no sender can fill the log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._untold: dict[str, _Rejected] = {}

    def add(self, source: str, form: str, results: Iterable[Mapping[str, Any]]) -> None:
        """Take in the results of a request, of which some may be rejected."""
        explanations = [result["explanation"] for result in results if "explanation" in result]
        if not explanations:
            return
        with self._lock:
            first = self._untold.get(source, _Rejected(form, 0, explanations[0]))
            self._untold[source] = first._replace(records=first.records + len(explanations))

    def tell(self) -> None:
        """Write down what was added since the last time: an event for each source."""
        with self._lock:
            untold, self._untold = self._untold, {}
        for source, rejected in untold.items():
            _log.warning(
                "http_records_rejected",
                source=source,
                format=rejected.form,
                records=rejected.records,
                explanation=rejected.explanation,
            )
