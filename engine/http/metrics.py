"""What the HTTP ingest tells: requests by route and status, records by outcome, and what waits.

A key, a source or an account never becomes a label.
"""

from engine.adapters.health import Health
from engine.adapters.metrics import ProcessTelemetry


class HttpTelemetry(ProcessTelemetry):
    """Telemetry of `tollbook serve`."""

    def __init__(self, slot: str) -> None:
        super().__init__("http", slot)
        self._requests = self._counter(
            "tollbook_http_requests_total", "Requests answered.", "route", "status"
        )
        self._seconds = self._histogram(
            "tollbook_http_request_seconds", "Time to answer a request with usage, Kafka included."
        )
        self._records = self._counter(
            "tollbook_http_records_total",
            "Records of usage requests: accepted (and acknowledged), rejected, not_charged.",
            "outcome",
        )
        self._waiting = self._gauge(
            "tollbook_http_waiting_events", "Events that wait for Kafka to acknowledge them."
        )
        self._partitions_followed: tuple[int, ...] = ()
        self._is_complete = False
        for outcome in ("accepted", "rejected", "not_charged"):
            self._records.labels(outcome)

    def follows(self, partitions: int) -> None:
        """Note how many partitions of `balances` are followed."""
        self._partitions_followed = tuple(range(partitions))
        self.assigned(self._partitions_followed)

    def complete(self) -> None:
        """Note that all balances were read."""
        if not self._is_complete:
            self._is_complete = True
            for partition in self._partitions_followed:
                self.vitals.recovered(partition)

    def health(self) -> Health:
        """Return how the process is."""
        return self.vitals.health()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Note a request."""
        self._requests.labels(route, str(status)).inc()
        if route == "usage":
            self._seconds.observe(seconds)

    def recorded(self, accepted: int, rejected: int, not_charged: int) -> None:
        """Count the records of an answered request."""
        self._records.labels("accepted").inc(accepted)
        self._records.labels("rejected").inc(rejected)
        self._records.labels("not_charged").inc(not_charged)

    def waits(self, events: int) -> None:
        """Note how many events wait for an acknowledgement."""
        self._waiting.set(events)
