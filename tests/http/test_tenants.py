"""A key for acme and acme-*, and records that name another tenant in every place where one can stand."""

import json
from typing import Any

import pytest

from engine.http.server import listen
from engine.rating.errors import InvalidDocument
from tests.http.calls import Server, cloudevent, event, litellm_record, problem_of

OTHER = "globex"
KONG = {
    "latencies": {"request": 10},
    "started_at": 1_766_000_068_284,
    "request": {"id": "r-1", "uri": "/v1/chat/completions"},
    "response": {"status": 200},
    "consumer": {"custom_id": OTHER},
    "ai": {
        "proxy": {
            "meta": {"provider_name": "openai", "response_model": "gpt-4o"},
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        }
    },
}
APISIX = {
    "request_id": "r-1",
    "consumer_name": OTHER,
    "start_time": 1_766_000_068_284,
    "latency": 10,
    "status": "200",
    "llm_summary": {"model": "gpt-4o", "prompt_tokens": 1, "completion_tokens": 2},
}
METERED = cloudevent(type="prompt", subject=OTHER, data={"tokens": 5, "type": "input"})
TRACKED = {
    "customer_id": OTHER,
    "feature_id": "tokens",
    "model_id": "openai/gpt-4o",
    "input_tokens": 5,
    "timestamp": 1_766_000_068_284,
    "idempotency_key": "k",
}
LITELLM = litellm_record(metadata={"user_api_key_org_id": OTHER})


def in_data(**fields: Any) -> dict[str, Any]:
    """Return a CloudEvent of ours whose data says more."""
    whole = cloudevent()
    return {**whole, "data": {**whole["data"], **fields}}


@pytest.mark.parametrize(
    ("record", "form"),
    [
        (event(account_id=OTHER), ""),
        (event(account_id=OTHER), "usage"),
        (event(account_id=OTHER), "auto"),
        (event(account_id="ACME"), ""),
        (event(account_id="acme "), ""),
        (event(account_id="acme*"), ""),
        (in_data(account_id=OTHER), ""),
        (in_data(account_id=OTHER), "cloudevents"),
        (METERED, "cloudevents"),
        (METERED, "auto"),
        (TRACKED, "autumn"),
        (LITELLM, "litellm"),
        (KONG, "kong"),
        (KONG, "auto"),
        (APISIX, "apisix"),
        (APISIX, "auto"),
    ],
)
def test_no_place_of_a_record_reaches_another_tenant(record: dict[str, Any], form: str) -> None:
    server = Server()
    headers = {"tollbook-format": form} if form else {}
    response = server.send(record, headers=headers)
    assert problem_of(response) == (403, "records_forbidden")
    assert [result["code"] for result in response.json()["results"]] == ["account_not_of_key"]
    assert server.sink.events == []


def test_an_envelope_in_headers_reaches_no_other_tenant_and_no_other_source() -> None:
    server = Server()
    envelope = {f"ce-{name}": value for name, value in cloudevent().items() if name != "data"}
    whole = in_data(account_id=OTHER)["data"]
    assert problem_of(server.send(whole, headers=envelope)) == (403, "records_forbidden")
    other = {**envelope, "ce-source": "gateway-2"}
    data = cloudevent()["data"]
    assert problem_of(server.send(data, headers=other)) == (403, "records_forbidden")
    assert server.sink.events == []


def test_what_another_tenant_is_called_is_not_told_to_whom_it_does_not_belong() -> None:
    server = Server()
    secret = server.keys.add("gateway-2", "initech")
    response = server.send(event(account_id=OTHER))
    for text in ("initech", "gateway-2", secret):
        assert text not in json.dumps(response.json())


@pytest.mark.parametrize("host", ["ü..x", "nowhere.invalid", "x" * 300])
def test_a_host_that_is_none_is_told(host: str) -> None:
    with pytest.raises(InvalidDocument, match="free to listen on"):
        listen(host, 0)
