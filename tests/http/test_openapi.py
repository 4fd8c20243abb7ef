"""The OpenAPI document is true: requests generated from it find nothing that it does not say."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from engine.http.problem import CODES
from engine.rating.usage import COUNT_KINDS, MAX_QUANTITY, TOKEN_KINDS
from tests.http.calls import Server, event
from tests.http.test_balance import balance

SERVER = Server(rate=1_000_000)
SERVER.project(balance())
SERVER.project(balance("acme-1", limited=True))
KEY = SERVER.keys.add("gateway-1", "*", events_per_second=1_000_000)
load_all_checks()


@schemathesis.serializer("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
def _lines(context: Any, value: Any) -> Any:  # noqa: ARG001 - the library's signature
    """Write what is generated for JSON lines: a text, or (where the type is broken) any JSON."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


schema = schemathesis.openapi.from_asgi("/openapi.json", SERVER.application)


@schema.auth()
class _Authentication:
    """How schemathesis shows a key, so that it knows when it shows none or a wrong one."""

    def get(self, case: schemathesis.Case[Any], context: Any) -> str:  # noqa: ARG002 - the library's
        return KEY

    def set(self, case: schemathesis.Case[Any], data: str, context: Any) -> None:  # noqa: ARG002
        case.headers["authorization"] = f"Bearer {data}"


@schema.parametrize()
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_generated_requests_find_nothing(case: schemathesis.Case[Any]) -> None:
    """A record may fit its schema and still be refused (another tenant's account, February 30), so the
    one check that is left out is that what fits is accepted: the test below is about that. Where the
    request says that a rejected record is no error, neither can it be asked that all that does not
    fit is one.
    """
    query, headers = dict(case.query), dict(case.headers)
    is_logged = "log" in (query.get("rejected"), headers.get("tollbook-rejected"))
    unfit = [negative_data_rejection] if is_logged else []
    case.call_and_validate(excluded_checks=[positive_data_acceptance, *unfit])


_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=256)
_FIRST, _LAST = datetime(2000, 1, 1), datetime(2049, 12, 31)  # noqa: DTZ001 - UTC is written behind it
_COUNT = st.integers(1, MAX_QUANTITY)


@st.composite
def _usage_events(draw: Callable[..., Any]) -> dict[str, Any]:
    kinds = draw(st.dictionaries(st.sampled_from((*TOKEN_KINDS, *COUNT_KINDS)), _COUNT, min_size=1))
    texts = ("provider", "model", "operation", "subject", "region", "trace_id", "parent_event_id")
    fields = {name: draw(_TEXT) for name in draw(st.sets(st.sampled_from(texts)))}
    at = draw(st.datetimes(min_value=_FIRST, max_value=_LAST))
    return event(draw(_TEXT), occurred_at=f"{at.isoformat()}Z", quantities=kinds, **fields)


@given(st.lists(_usage_events(), min_size=1, max_size=5))
def test_every_event_within_the_documented_limits_is_accepted(events: list[dict[str, Any]]) -> None:
    response = SERVER.send(events)
    assert response.status_code == 202
    assert response.json()["accepted"] == len(events)


def test_every_status_of_a_problem_is_documented_somewhere() -> None:
    document = SERVER.client.get("/openapi.json").json()
    described = " ".join(
        response["description"]
        for path in document["paths"].values()
        for operation in path.values()
        for response in operation["responses"].values()
    )
    of_the_router = {"malformed_request", "method_not_allowed"}
    assert [c for c in CODES if c not in described and c not in of_the_router] == []


@pytest.mark.parametrize("path", ["/openapi.json", "/health"])
def test_what_anyone_may_read_needs_no_key(path: str) -> None:
    assert SERVER.client.get(path, headers={"authorization": ""}).status_code == 200
