"""An OTLP export is taken span by span, and answered as an OTLP client expects."""

import itertools
from typing import Any

import pytest

from tests.http.calls import Server, problem_of

ACME = {"account_id": "acme", "format": "otel"}
_numbers = itertools.count(1)


def span(*, tokens: int | str = 100, **more: Any) -> dict[str, Any]:
    """Return a span of a chat."""
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": f"{next(_numbers):016x}",
        "endTimeUnixNano": "1764000000000000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
            {"key": "gen_ai.response.model", "value": {"stringValue": "gpt-4o"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(tokens)}},
        ],
        **more,
    }


def of_other() -> dict[str, Any]:
    """Return a span that is of no model."""
    return span(attributes=[])


def export(*spans: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


@pytest.mark.parametrize("form", [{"format": "otel"}, {"format": "auto"}, {}])
def test_what_is_taken_whole_is_answered_without_a_partial_success(form: dict[str, str]) -> None:
    server = Server()
    response = server.send(export(span(), of_other()), params={"account_id": "acme", **form})
    assert response.status_code == 202
    assert response.json() == {"accepted": 1, "rejected": 0, "not_charged": 1}
    assert [event["quantities"]["input"] for event in server.sink.events] == [100]


def test_rejected_spans_are_told_in_a_partial_success_with_the_first_reasons() -> None:
    server = Server()
    rejected = [span(tokens=f"-{number}") for number in (1, 1, 2, 3, 4, 5)]
    response = server.send(export(span(), *rejected), params=ACME)
    assert response.status_code == 202
    answer = response.json()
    assert [answer[name] for name in ("accepted", "rejected", "not_charged")] == [1, 6, 0]
    partial = answer["partialSuccess"]
    assert partial["rejectedSpans"] == 6
    reason = "unusable_record: attributes.gen_ai.usage.input_tokens: got '-{}', expected a whole"
    for number in (1, 2, 3):
        assert partial["errorMessage"].count(reason.format(number)) == 1
    assert reason.format(4) not in partial["errorMessage"]
    assert partial["errorMessage"].endswith("; and 2 other reasons")


def test_spans_of_which_none_is_good_are_an_error_unless_it_is_to_be_logged() -> None:
    server = Server()
    response = server.send(export(span(tokens=-1)), params=ACME)
    assert problem_of(response) == (422, "records_rejected")
    assert response.json()["partialSuccess"]["rejectedSpans"] == 1
    response = server.send(export(span(tokens=-1)), params={**ACME, "rejected": "log"})
    assert response.status_code == 200
    assert response.json()["partialSuccess"]["rejectedSpans"] == 1


def test_an_answer_about_many_spans_is_short() -> None:
    server = Server()
    spans = [span(tokens=f"-{number}{'9' * 400}") for number in range(1_000)]
    response = server.send(export(span(), *spans), params=ACME)
    assert response.json()["partialSuccess"]["rejectedSpans"] == 1_000
    assert len(response.content) < 4_000


def test_log_records_are_told_by_their_own_name() -> None:
    server = Server()
    good, bad = span(), span(tokens=-1)
    for record in (good, bad):
        record["timeUnixNano"] = record.pop("endTimeUnixNano")
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [good, bad]}]}]}
    answer = server.send(body, params=ACME).json()
    assert (answer["accepted"], answer["partialSuccess"]["rejectedLogRecords"]) == (1, 1)


@pytest.mark.parametrize("scopes", ["instrumentationLibrarySpans", "scope_spans"])
def test_spans_of_other_spellings_are_taken(scopes: str) -> None:
    server = Server()
    body = {"resourceSpans": [{scopes: [{"spans": [span(), span()]}]}]}
    assert server.send(body, params=ACME).json()["accepted"] == 2


@pytest.mark.parametrize(
    "bad", [{"otherSpans": [{"spans": [1]}]}, {"scopeSpans": [{"spans": [1]}]}, "text", 5]
)
def test_what_is_no_span_is_rejected_and_its_neighbours_are_taken(bad: Any) -> None:
    server = Server()
    good = {"scopeSpans": [{"spans": [span()]}]}
    answer = server.send({"resourceSpans": [good, bad, good]}, params=ACME).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert answer["partialSuccess"]["errorMessage"].startswith("invalid_field: resourceSpans: got")
    assert problem_of(server.send({"resourceSpans": bad}, params=ACME)) == (422, "records_rejected")


def test_exports_in_an_array_or_in_lines_are_answered_record_by_record() -> None:
    server = Server()
    answer = server.send([export(span()), export(of_other())], params=ACME).json()
    assert [result["status"] for result in answer["results"]] == ["accepted", "not_charged"]
