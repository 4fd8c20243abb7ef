"""Usage events in their native form, and an outlet that keeps what it is given."""

from collections.abc import Sequence
from typing import Any

from kafka.errors import KafkaConnectionError

from engine.adapters.avro.usage import Fields, decode_usage
from engine.gateway.packing import Outgoing
from engine.rating.errors import Refusal

PARTITIONS = 3


def event(event_id: str, account_id: str = "acme", **more: Any) -> dict[str, Any]:
    """Return one event; without quantities, one input token."""
    return {
        "event_id": event_id,
        "account_id": account_id,
        "occurred_at": "2026-11-24T09:00:00Z",
        "provider": "openai",
        "model": "gpt-4o",
        "quantities": {"input": 1},
        **more,
    }


class Shelf:
    """An `Outlet` that keeps records, and that is away when told so. It outlives its connections."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.is_away = False

    def __call__(self) -> "Shelf":
        """Connect."""
        if self.is_away:
            raise KafkaConnectionError("away")
        return self

    def partitions(self) -> int:
        """Return how many partitions there are."""
        return PARTITIONS

    def send(self, records: Sequence[Outgoing]) -> None:
        """Keep records; half of them if it is away by then."""
        if self.is_away:
            self.records += records[: len(records) // 2]
            raise KafkaConnectionError("away")
        self.records += records

    def close(self) -> None:
        """Let go."""

    def arrived(self) -> list[Fields]:
        """Return the events of all records, in order of arrival."""
        found = []
        for record in self.records:
            events = decode_usage(record.value)
            assert not isinstance(events, Refusal), events
            found += events
        return found

    def sequences(self) -> list[int]:
        """Return the publisher's numbers, in order of arrival."""
        return [fields["publisher_sequence"] for fields in self.arrived()]
