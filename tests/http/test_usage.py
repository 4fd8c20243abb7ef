"""What is answered to usage, and what reaches the topic."""

import gzip
import json
from concurrent.futures import Future

import pytest

from engine.adapters.documents.usage import parse_usage
from engine.http.app import Limits
from tests.http.calls import Server, cloudevent, event, litellm_record, problem_of


def ids(server: Server) -> list[str]:
    return [fields["event_id"] for fields in server.sink.events]


def test_an_event_is_accepted_with_its_id_and_partition() -> None:
    server = Server()
    response = server.send(event())
    assert response.status_code == 202
    assert response.json() == {
        "accepted": 1,
        "rejected": 0,
        "not_charged": 0,
        "results": [
            {
                "index": 0,
                "status": "accepted",
                "event_id": "call-1",
                "account_id": "acme",
                "partition": server.sink.partition("acme"),
            }
        ],
    }
    assert server.sink.events == [parse_usage(event())]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (json.dumps(event()), "application/json"),
        (json.dumps([event()]), "application/json; charset=utf-8"),
        (json.dumps(event()) + "\n\n", "application/x-ndjson"),
        (json.dumps(cloudevent()), "application/cloudevents+json"),
        (json.dumps(cloudevent()), "application/json"),
        (json.dumps([cloudevent()]), "application/cloudevents-batch+json"),
        (json.dumps([cloudevent()]), "application/json"),
    ],
)
def test_one_event_is_the_same_in_every_form(body: str, media_type: str) -> None:
    server = Server()
    response = server.client.post("/v1/usage", content=body, headers={"content-type": media_type})
    assert response.status_code == 202
    assert server.sink.events == [parse_usage(event())]


def test_a_cloudevent_in_binary_mode_has_its_envelope_in_headers() -> None:
    server = Server()
    envelope = {f"ce-{name}": value for name, value in cloudevent().items() if name != "data"}
    response = server.send(cloudevent()["data"], headers=envelope)
    assert response.status_code == 202
    assert server.sink.events == [parse_usage(event())]


def test_a_compressed_body_is_read() -> None:
    server = Server()
    response = server.client.post(
        "/v1/usage",
        content=gzip.compress(json.dumps(event()).encode()),
        headers={"content-type": "application/json", "content-encoding": "gzip"},
    )
    assert response.status_code == 202


def test_what_the_key_says_for_certain_may_be_left_out() -> None:
    server = Server()
    key = server.keys.add("gateway-2", "globex")
    body = event()
    del body["account_id"], body["source"]
    response = server.send(body, headers={"authorization": f"bearer {key}"})
    assert response.status_code == 202
    (fields,) = server.sink.events
    assert (fields["account_id"], fields["source"]) == ("globex", "gateway-2")


def test_an_account_that_no_record_says_may_stand_in_the_query() -> None:
    server = Server()
    body = event()
    del body["account_id"]
    assert server.send(body, params={"account_id": "acme-7"}).status_code == 202
    assert server.sink.events[0]["account_id"] == "acme-7"


def test_each_record_is_judged_alone() -> None:
    server = Server()
    response = server.send(
        [
            event("good"),
            event("strange", account_id="globex"),
            event("other", source="gateway-2"),
            {"event_id": "bare"},
            "text",
            event("empty", quantities={}),
            event("also-good", account_id="acme-berlin"),
        ]
    )
    assert response.status_code == 202
    outcome = response.json()
    assert [outcome[name] for name in ("accepted", "rejected", "not_charged")] == [2, 5, 0]
    assert [
        (result["index"], result.get("code", result["status"])) for result in outcome["results"]
    ] == [
        (0, "accepted"),
        (1, "account_not_of_key"),
        (2, "source_not_of_key"),
        (3, "missing_field"),
        (4, "invalid_field"),
        (5, "no_quantities"),
        (6, "accepted"),
    ]
    assert ids(server) == ["good", "also-good"]


def test_a_bad_line_does_not_take_its_neighbours_along() -> None:
    server = Server()
    lines = f"{json.dumps(event('a'))}\n{{not json\n{json.dumps(event('b'))}"
    response = server.client.post(
        "/v1/usage", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    assert response.status_code == 202
    assert response.json()["results"][1]["code"] == "invalid_json"
    assert ids(server) == ["a", "b"]


def test_another_tenants_account_is_forbidden() -> None:
    server = Server()
    response = server.send([event(account_id="globex")])
    assert problem_of(response) == (403, "records_forbidden")
    assert response.json()["results"][0]["code"] == "account_not_of_key"
    response = server.send(event(), params={"account_id": "globex"})
    assert problem_of(response) == (403, "account_not_of_key")
    assert server.sink.events == []


def test_another_source_is_forbidden_in_an_envelope_as_well() -> None:
    server = Server()
    response = server.send(cloudevent(source="gateway-2"))
    assert problem_of(response) == (403, "records_forbidden")


def test_records_of_which_none_is_good_are_refused_with_each_reason() -> None:
    response = Server().send([event(occurred_at="yesterday"), event(model="")])
    assert problem_of(response) == (422, "records_rejected")
    assert [result["code"] for result in response.json()["results"]] == [
        "invalid_time",
        "missing_field",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": "Bearer "},
    ],
)
def test_without_a_key_nothing_is_taken(headers: dict[str, str]) -> None:
    response = Server().send(event(), headers=headers)
    assert problem_of(response) == (401, "key_missing")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_an_unknown_key_is_refused() -> None:
    server = Server()
    response = server.send(event(), headers={"authorization": f"Bearer {server.key}x"})
    assert problem_of(response) == (401, "key_unknown")
    assert server.sink.events == []


def test_a_key_may_stand_in_a_header_of_its_own() -> None:
    server = Server()
    headers = {"authorization": "", "tollbook-key": server.key}
    assert server.send(event(), headers=headers).status_code == 202


def test_what_kafka_does_not_acknowledge_is_not_accepted() -> None:
    server = Server()
    server.sink.acknowledges = False
    response = server.send(event())
    assert problem_of(response) == (503, "not_acknowledged")
    assert int(response.headers["retry-after"]) >= 1


def test_a_sink_that_says_nothing_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(Limits(acknowledge_seconds=0.05))
    monkeypatch.setattr(server.sink, "send", lambda _: Future())
    assert problem_of(server.send(event())) == (503, "not_acknowledged")


def test_a_sink_without_room_makes_the_sender_wait() -> None:
    response = Server(most_events=1).send([event("a"), event("b")])
    assert problem_of(response) == (503, "busy")
    assert int(response.headers["retry-after"]) >= 1


def test_a_key_that_sends_too_much_waits_and_no_other_key_does() -> None:
    server = Server(rate=2)
    assert server.send([event(str(number)) for number in range(10)]).status_code == 202
    response = server.send(event("later"))
    assert problem_of(response) == (429, "rate_limited")
    assert 3 <= int(response.headers["retry-after"]) <= 4
    other = server.keys.add("gateway-1", "acme")
    headers = {"authorization": f"Bearer {other}"}
    assert server.send(event("other"), headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/usage", (405, "method_not_allowed")),
        ("POST", "/health", (405, "method_not_allowed")),
        ("GET", "/v1/nothing", (404, "not_found")),
        ("POST", "/v1/usage/", (404, "not_found")),
        ("GET", "/v1/accounts/acme/balance/", (404, "not_found")),
    ],
)
def test_other_paths_and_methods_are_told_apart(
    method: str, path: str, expected: tuple[int, str]
) -> None:
    response = Server().client.request(method, path, follow_redirects=False)
    assert problem_of(response) == expected


def test_the_requests_and_records_are_counted() -> None:
    server = Server()
    server.send([event("a"), event("b", model="")])
    value = server.telemetry.registry.get_sample_value
    assert value("tollbook_http_records_total", {"outcome": "accepted"}) == 1
    assert value("tollbook_http_records_total", {"outcome": "rejected"}) == 1
    labels = {"route": "usage", "status": "202"}
    assert value("tollbook_http_requests_total", labels) == 1


def test_a_gateways_own_records_are_taken_as_they_are_for_the_account_of_the_key() -> None:
    server = Server()
    key = server.keys.add("gateway-2", "globex")
    response = server.send(
        [litellm_record(), litellm_record(status="failure", response={}), {"nothing": "known"}],
        params={"format": "litellm"},
        headers={"authorization": f"Bearer {key}"},
    )
    assert response.status_code == 202
    assert [result["status"] for result in response.json()["results"]] == [
        "accepted",
        "not_charged",
        "rejected",
    ]
    (fields,) = server.sink.events
    assert (fields["account_id"], fields["source"]) == ("globex", "gateway-2")
    assert (fields["quantities"]["input"], fields["quantities"]["output"]) == (10, 20)


def test_the_format_may_stand_in_a_header() -> None:
    server = Server()
    response = server.send(
        litellm_record(), params={"account_id": "acme"}, headers={"tollbook-format": "litellm"}
    )
    assert response.json()["accepted"] == 1


def test_a_cloudevent_of_another_type_is_taken_only_if_the_format_says_so() -> None:
    server = Server()
    metered = cloudevent(type="prompt", data={"tokens": 512, "model": "gpt-4o", "type": "input"})
    response = server.send(metered, params={"account_id": "acme"})
    assert response.json()["results"][0]["code"] == "unknown_event_type"
    params = {"account_id": "acme", "format": "cloudevents"}
    assert server.send(metered, params=params).status_code == 202
    assert server.sink.events[0]["quantities"]["input"] == 512
    mistaken = cloudevent()
    del mistaken["data"]
    assert problem_of(server.send(mistaken, params=params)) == (422, "records_rejected")
