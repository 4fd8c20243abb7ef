"""`rejected=log`: for senders that read no answer but its status, and send again what is an error."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.http.calls import Server, event, problem_of

LOG = {"rejected": "log"}


def told(server: Server) -> list[Any]:
    """Return what the log tells now."""
    with capture_logs() as logged:
        server.api.tell_rejected()
    return logged


@pytest.mark.parametrize("said", [{"params": LOG}, {"headers": {"tollbook-rejected": "log"}}])
def test_records_of_which_none_is_good_are_no_error_and_the_log_tells_of_them(
    said: dict[str, Any],
) -> None:
    server = Server()
    response = server.send([event(account_id="globex"), event(model="")], **said)
    assert response.status_code == 200
    outcome = response.json()
    assert [outcome[name] for name in ("accepted", "rejected", "not_charged")] == [0, 2, 0]
    codes = [result["code"] for result in outcome["results"]]
    assert codes == ["account_not_of_key", "missing_field"]
    assert told(server) == [
        {
            "event": "http_records_rejected",
            "log_level": "warning",
            "source": "gateway-1",
            "format": "usage",
            "records": 2,
            "explanation": "account_id: got 'globex', expected an account of the key",
        }
    ]
    assert told(server) == []
    assert server.sink.events == []


def test_what_is_good_is_accepted_and_the_rest_is_logged() -> None:
    server = Server()
    response = server.send([event(), event("bad", model="")], params=LOG)
    assert (response.status_code, response.json()["accepted"]) == (202, 1)
    assert [line["records"] for line in told(server)] == [1]


def test_202_says_that_something_is_in_kafka() -> None:
    server = Server()
    other = {"latencies": {"request": 1}, "route_id": "1"}
    response = server.send(other, params={**LOG, "format": "apisix"})
    assert (response.status_code, response.json()["not_charged"]) == (200, 1)
    assert told(server) == []


def test_a_source_is_logged_once_however_many_requests_it_sends() -> None:
    server = Server()
    key = server.keys.add("gateway-2", "globex")
    for number in range(3):
        server.send([event(model=""), event(account_id=f"other-{number}")], params=LOG)
    server.send(event(), params=LOG, headers={"authorization": f"Bearer {key}"})
    assert [(line["source"], line["records"], line["explanation"]) for line in told(server)] == [
        ("gateway-1", 6, "model: got nothing, expected a text"),
        ("gateway-2", 1, "source: got 'gateway-1', expected 'gateway-2', the key's"),
    ]


def test_whoever_does_not_ask_for_it_hears_an_error_and_the_log_hears_nothing() -> None:
    server = Server()
    assert problem_of(server.send(event(model=""))) == (422, "records_rejected")
    assert told(server) == []


@pytest.mark.parametrize("text", ["", "Log", "accept"])
@pytest.mark.parametrize("place", ["params", "headers"])
def test_another_value_is_refused_before_anything_is_taken(text: str, place: str) -> None:
    server = Server()
    name = "rejected" if place == "params" else "tollbook-rejected"
    response = server.send(event(), **{place: {name: text}})
    assert problem_of(response) == (400, "invalid_parameter")
    assert server.sink.events == []


def test_a_request_that_is_wrong_as_a_whole_is_an_error_all_the_same() -> None:
    server = Server()
    assert problem_of(server.client.post("/v1/usage", content="{", params=LOG))[0] == 400
    unknown = {"authorization": "Bearer tb_x"}
    assert problem_of(server.send(event(), params=LOG, headers=unknown))[0] == 401
    server.sink.acknowledges = False
    assert problem_of(server.send([event(), event(model="")], params=LOG))[0] == 503
    assert told(server) == []
