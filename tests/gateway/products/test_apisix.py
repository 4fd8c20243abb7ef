"""APISIX as the how-to configures it, as far as that can be known without APISIX.

The entries in the data were made by APISIX's own log format, batch processor and `http-logger` in nginx, with
the how-to's configuration; what `http-logger` makes a request of is said here once more.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from engine.gateway.normalise import Context, Unusable, normalise
from tests.docs.pages import DOCS, blocks
from tests.http.calls import Server

_PAGE = DOCS / "how-to" / "gateways" / "apisix.md"
_ENTRIES = Path(__file__).parents[2] / "data" / "gateway" / "apisix_http_logger.json"

HTTP_LOGGER = {
    "uri": str,
    "auth_header": str,
    "timeout": int,
    "log_format": dict,
    "concat_method": str,
    "batch_max_size": int,
    "inactive_timeout": int,
    "buffer_duration": int,
    "max_retry_count": int,
    "retry_delay": int,
}
"""Of the options of http-logger's and the batch processor's schema, those that the how-to sets."""

OF_CALLERS = ("$http_", "$arg_", "$cookie_", "$apisix_request_id", "$post_arg", "$graphql_")
"""Variables that a caller can set."""


def plugins() -> dict[str, Any]:
    """Return the configuration of each plugin of the how-to."""
    text = next(block.text for block in blocks(_PAGE) if block.language == "json")
    found: dict[str, Any] = json.loads(text)["plugins"]
    return found


def entries() -> list[dict[str, Any]]:
    """Return what http-logger sent, in order: see tests/data/README.md."""
    found: list[dict[str, Any]] = json.loads(_ENTRIES.read_text(encoding="utf-8"))
    return found


def send(server: Server, config: Mapping[str, Any], sent: list[dict[str, Any]]) -> Any:
    """Send entries as http-logger does: its media type follows from how it joins them."""
    is_json = config["concat_method"] == "json"
    lines = "\n".join(map(json.dumps, sent))
    headers = {
        "content-type": "application/json" if is_json else "text/plain",
        "authorization": config["auth_header"].replace("tb_...", server.key),
    }
    uri = urlsplit(config["uri"])
    body = json.dumps(sent) if is_json else lines
    return server.client.post(f"{uri.path}?{uri.query}", content=body, headers=headers)


def kinds(server: Server) -> list[dict[str, Any]]:
    """Return the quantities above zero of each event that a server took."""
    return [
        {kind: quantity for kind, quantity in event["quantities"].items() if quantity}
        for event in server.sink.events
    ]


def test_the_how_to_sets_options_that_apisix_has() -> None:
    config = plugins()["http-logger"]
    assert {name: type(value) for name, value in config.items()} == HTTP_LOGGER
    assert all(value >= 1 for value in config.values() if isinstance(value, int))
    assert plugins()["ai-proxy"]["logging"] == {"summaries": True, "payloads": False}


def test_no_caller_can_write_what_an_entry_says() -> None:
    said = plugins()["http-logger"]["log_format"].values()
    assert [value for value in said if value.startswith(OF_CALLERS)] == []


def test_an_entry_holds_what_the_log_format_names_and_the_counts() -> None:
    named = {*plugins()["http-logger"]["log_format"], "llm_summary", "route_id"}
    assert all(entry.keys() <= named for entry in entries())
    assert {name for entry in entries() for name in entry} == named


def test_what_http_logger_sends_is_taken_entry_by_entry() -> None:
    server = Server()
    server.key = server.keys.add("apisix", "*")
    response = send(server, plugins()["http-logger"], entries())
    assert response.status_code == 202
    told = [
        result.get("account_id") or result.get("reason") or result["code"]
        for result in response.json()["results"]
    ]
    assert told == [
        "acme-7", "acme-7", "error_response", "shop", "acme-7", "unusable_record",
        "cache_hit_of_gateway",
    ]  # fmt: skip
    assert kinds(server) == [{"input": 176, "cache_read": 1024, "output": 21, "reasoning": 64}] * 4
    assert {event["provider"] for event in server.sink.events} == {"openai"}


def test_entries_that_are_sent_again_or_published_from_a_file_are_the_same_events() -> None:
    server = Server()
    server.key = server.keys.add("apisix", "*")
    for _ in range(2):
        send(server, plugins()["http-logger"], entries())
    first, again = server.sink.events[:4], server.sink.events[4:]
    assert first == again
    context = Context(source="apisix")
    charged = [entry for entry in entries() if "consumer_name" in entry]
    of_file = [event for entry in charged for event in normalise(entry, "apisix", context).events]
    assert [event["event_id"] for event in of_file] == [event["event_id"] for event in first]
    assert len({event["event_id"] for event in first}) == 4


def test_lines_joined_by_new_lines_are_refused_because_they_call_themselves_plain_text() -> None:
    server = Server()
    config = {**plugins()["http-logger"], "concat_method": "new_line"}
    assert send(server, config, entries()).status_code == 415


def test_without_a_log_format_an_entry_has_no_id_and_is_refused() -> None:
    entry = {
        "start_time": 1766000068284, "latency": 1500.5, "route_id": "1",
        "consumer": {"username": "shop"}, "server": {"version": "3.19.0"},
        "request": {"uri": "/v1/chat/completions", "headers": {"x-request-id": "of-the-caller"}},
        "response": {"status": 200, "headers": {"content-type": "application/json"}},
        "llm_summary": {"model": "gpt-4o", "prompt_tokens": 12, "completion_tokens": 3},
    }  # fmt: skip
    with pytest.raises(Unusable, match="event_id"):
        normalise(entry, "apisix", Context(account_id="acme"))


def test_entries_that_will_never_pass_hold_up_nothing_and_are_logged() -> None:
    server = Server()
    server.key = server.keys.add("apisix", "globex-*")
    response = send(server, plugins()["http-logger"], entries())
    assert response.status_code == 200
    assert response.json()["rejected"] == 5
    with capture_logs() as logged:
        server.api.tell_rejected()
    assert [(line["source"], line["format"], line["records"]) for line in logged] == [
        ("apisix", "apisix", 5)
    ]
    assert server.sink.events == []
