"""A server in memory, in the words of a test: who asks, what is sent, what the topic got."""

from typing import Any

from starlette.testclient import TestClient

from engine.adapters.avro.views import encode_balance
from engine.adapters.kafka.partitioning import partition_of
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.http.app import Api, Limits
from engine.http.balances import BalanceBook
from engine.http.keys import ApiKey, new_key
from engine.http.memory_sink import MemoryUsageSink
from engine.http.metrics import HttpTelemetry
from engine.ports import TopicPartition
from engine.rating.balance import Balance
from engine.settings import DEFAULT_ATTRIBUTES
from tests.rating.scenario import at

PARTITIONS = 4
LIMITS = Limits()
NOW = at("2026-11-24T12:00:00Z")


def event(event_id: str = "call-1", **fields: Any) -> dict[str, Any]:
    """Return native usage JSON of account acme, reported by gateway-1."""
    return {
        "account_id": "acme",
        "source": "gateway-1",
        "event_id": event_id,
        "occurred_at": "2026-11-24T09:00:00Z",
        "provider": "openai",
        "model": "gpt-4o",
        "quantities": {"input": 1000, "output": 200},
        **fields,
    }


def cloudevent(event_id: str = "call-1", **attributes: Any) -> dict[str, Any]:
    """Return a CloudEvent whose data leaves to the envelope what it can say."""
    data = {name: value for name, value in event().items() if name not in _IN_ENVELOPE}
    return {
        "specversion": "1.0",
        "type": "tollbook.usage.v1",
        "source": "gateway-1",
        "id": event_id,
        "time": "2026-11-24T09:00:00Z",
        "data": data,
        **attributes,
    }


_IN_ENVELOPE = ("source", "event_id", "occurred_at")


class KeysInMemory:
    """Keys by their texts."""

    def __init__(self) -> None:
        self.known: dict[str, ApiKey] = {}

    def add(self, source: str, *accounts: str, events_per_second: int = 10_000) -> str:
        """Make a key; return its text."""
        text, key = new_key(source, accounts, events_per_second=events_per_second)
        self.known[text] = key
        return text

    def find(self, text: str) -> ApiKey | None:
        """Return the key that a text is, or None."""
        return self.known.get(text)


class Server:
    """The application, with a client that has a key of gateway-1 for accounts acme and acme-*."""

    def __init__(
        self,
        limits: Limits = LIMITS,
        *,
        most_events: int = 1_000_000,
        rate: int = 10_000,
    ) -> None:
        self.cluster = MemoryCluster({"balances": PARTITIONS})
        self.book = BalanceBook(MemoryLog(self.cluster), PARTITIONS)
        self.sink = MemoryUsageSink(PARTITIONS, most_events)
        self.keys = KeysInMemory()
        self.key = self.keys.add("gateway-1", "acme", "acme-*", events_per_second=rate)
        self.telemetry = HttpTelemetry("http")
        self.telemetry.follows(PARTITIONS)
        self.api = Api(
            self.keys,
            self.sink,
            self.book,
            self.telemetry,
            allowed_attributes=frozenset(DEFAULT_ATTRIBUTES),
            limits=limits,
            now=lambda: NOW,
        )
        self.application = self.api.application()
        self.client = TestClient(self.application, raise_server_exceptions=True)
        self.client.headers["authorization"] = f"Bearer {self.key}"

    def send(self, body: Any, **options: Any) -> Any:
        """Send a body as JSON and return the response."""
        return self.client.post("/v1/usage", json=body, **options)

    def project(self, balance: Balance) -> None:
        """Write a balance to its topic, as the projector does, and have it read."""
        place = TopicPartition("balances", partition_of(balance.account_id, PARTITIONS))
        self.cluster.append(place, encode_balance(balance), balance.account_id.encode())
        self.book.refresh()

    def balance(self, account_id: str) -> Any:
        """Ask for a balance and return the response."""
        return self.client.get(f"/v1/accounts/{account_id}/balance")


def problem_of(response: Any) -> tuple[int, str]:
    """Return status and code of a problem document, which the response must be."""
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:tollbook:problem:{document['code']}"
    assert document["detail"]
    return response.status_code, document["code"]


def litellm_record(**fields: Any) -> dict[str, Any]:
    """Return what LiteLLM logs of a call."""
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": "call-9",
        "call_type": "acompletion",
        "status": "success",
        "custom_llm_provider": "openai",
        "model": "gpt-4o",
        "startTime": 1_766_000_068.25,
        "endTime": 1_766_000_070.5,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "metadata": {"user_api_key_team_id": "acme"},
        "response": {
            "id": "chatcmpl-1",
            "model": "gpt-4o",
            "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
        },
        **fields,
    }
