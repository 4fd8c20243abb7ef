"""Kong as the how-to configures it, as far as that can be known without Kong.

The entries in the data were made by Kong's own log serialiser, counting and `http-log` in nginx, with the
how-to's configuration; what `http-log` makes a request of is said here once more.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from structlog.testing import capture_logs

from engine.gateway.normalise import Context, normalise
from tests.docs.pages import DOCS, blocks
from tests.http.calls import Server

_PAGE = DOCS / "how-to" / "gateways" / "kong.md"
_ENTRIES = Path(__file__).parents[2] / "data" / "gateway" / "kong_http_log.json"

HTTP_LOG = {
    "http_endpoint": str,
    "headers": dict,
    "timeout": int,
    "custom_fields_by_lua": dict,
    "queue": dict,
}
"""Of the options of http-log's schema, those that the how-to sets."""

QUEUE = {
    "max_batch_size": (1, 1_000_000),
    "max_coalescing_delay": (0, 3_600),
    "max_entries": (1, 1_000_000),
    "max_retry_time": (1, float("inf")),
    "max_retry_delay": (0.001, 1_000_000),
}
"""Bounds of the queue's schema."""


def plugins() -> dict[str, Any]:
    """Return the configuration of each plugin of the how-to."""
    text = next(block.text for block in blocks(_PAGE) if block.language == "yaml")
    return {plugin["name"]: plugin.get("config", {}) for plugin in yaml.safe_load(text)["plugins"]}


def entries() -> list[dict[str, Any]]:
    """Return what http-log sent, in order: see tests/data/README.md."""
    found: list[dict[str, Any]] = json.loads(_ENTRIES.read_text(encoding="utf-8"))
    return found


def send(server: Server, config: Mapping[str, Any], sent: list[dict[str, Any]]) -> Any:
    """Send entries as http-log does: to the endpoint's path, without its query."""
    headers = {
        name: value.replace("tb_...", server.key) for name, value in config["headers"].items()
    }
    headers["content-type"] = "application/json"
    path = urlsplit(config["http_endpoint"]).path
    return server.client.post(path, content=json.dumps(sent), headers=headers)


def kinds(server: Server) -> list[dict[str, Any]]:
    """Return the quantities above zero of each event that a server took."""
    return [
        {kind: quantity for kind, quantity in event["quantities"].items() if quantity}
        for event in server.sink.events
    ]


def test_the_how_to_sets_options_that_kong_has_and_values_that_it_takes() -> None:
    config = plugins()["http-log"]
    assert {name: type(value) for name, value in config.items()} == HTTP_LOG
    assert {name: low <= config["queue"][name] <= high for name, (low, high) in QUEUE.items()} == (
        dict.fromkeys(config["queue"], True)
    )
    refused = {"host", "content-type", "content-length"}
    assert not refused & {name.lower() for name in config["headers"]}
    assert plugins()["ai-proxy"]["logging"] == {"log_statistics": True, "log_payloads": False}


def test_the_endpoint_has_no_query_because_http_log_drops_it() -> None:
    endpoint = urlsplit(plugins()["http-log"]["http_endpoint"])
    assert (endpoint.path, endpoint.query) == ("/v1/usage", "")


def test_an_entry_holds_nothing_that_a_caller_can_swell_or_keeps_secret() -> None:
    removed = plugins()["http-log"]["custom_fields_by_lua"]
    gone = {name for name, code in removed.items() if code == "return nil"}
    assert gone == {
        "request.headers", "request.querystring", "request.url", "response.headers", "upstream_uri"
    }  # fmt: skip
    for entry in entries():
        assert not {"headers", "querystring", "url"} & entry["request"].keys()
        assert "headers" not in entry["response"]
        assert "upstream_uri" not in entry
        assert entry["request"]["uri"] == "/v1/chat/completions"


def test_what_http_log_sends_is_taken_entry_by_entry() -> None:
    server = Server()
    server.key = server.keys.add("kong", "*")
    response = send(server, plugins()["http-log"], entries())
    assert response.status_code == 202
    told = [
        result.get("account_id") or result.get("reason") or result["code"]
        for result in response.json()["results"]
    ]
    assert told == [
        "acme-7", "acme-7", "error_response", "acme-4", "acme-7", "unusable_record", "no_model_call"
    ]  # fmt: skip
    counted, guessed = {"input": 1200, "output": 85}, {"unexplained": 1}
    assert kinds(server) == [counted, guessed, counted, counted]


def test_entries_that_are_sent_again_or_published_from_a_file_are_the_same_events() -> None:
    server = Server()
    server.key = server.keys.add("kong", "*")
    config = plugins()["http-log"]
    send(server, config, entries())
    send(server, config, entries())
    first, again = server.sink.events[:4], server.sink.events[4:]
    assert first == again
    context = Context(source="kong")
    charged = [entry for entry in entries() if "consumer" in entry]
    of_file = [event for entry in charged for event in normalise(entry, "kong", context).events]
    assert [event["event_id"] for event in of_file] == [event["event_id"] for event in first]
    assert len({event["event_id"] for event in first}) == 4


def test_entries_that_will_never_pass_hold_up_nothing_and_are_logged() -> None:
    server = Server()
    server.key = server.keys.add("kong", "globex-*")
    response = send(server, plugins()["http-log"], entries())
    assert response.status_code == 200
    assert response.json()["rejected"] == 5
    with capture_logs() as logged:
        server.api.tell_rejected()
    assert [(line["source"], line["format"], line["records"]) for line in logged] == [
        ("kong", "kong", 5)
    ]
    assert server.sink.events == []
