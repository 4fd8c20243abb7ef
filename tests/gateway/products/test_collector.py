"""A real OpenTelemetry Collector, configured as the how-to says, in front of the HTTP ingest."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from engine.adapters.usage_record import read_usage_record
from tests.gateway.products.collector import CHAT, event_id, span
from tests.gateway.products.conftest import MakeCollector
from tests.gateway.products.ingest import Ingest, ingest, wait_until
from tests.http.processes import server
from tests.stream.deployment import Deployment, flat

SPANS = 1_000


def quantities(taken: Ingest) -> dict[str, dict[str, int]]:
    """Return what was taken, by event id, without the kinds that are 0."""
    return {
        event["event_id"]: {kind: n for kind, n in event["quantities"].items() if n}
        for event in taken.server.sink.events
    }


def test_every_model_call_arrives_with_its_usage_and_nothing_else_does(
    new_collector: MakeCollector,
) -> None:
    new = span(
        attributes=CHAT
        | {
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_write.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "openai.response.service_tier": "flex",
        }
    )
    old = span(
        attributes={
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 70,
            "gen_ai.usage.completion_tokens": 5,
            "llm.usage.total_tokens": 75,
        }
    )
    untold = {name: value for name, value in CHAT.items() if "usage" not in name}
    silent = span(attributes=untold)
    failed = span(attributes=untold | {"error.type": "429"}, status=2)
    phoenix = span(
        attributes={
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 50,
            "llm.token_count.prompt_details.cache_read": 20,
            "llm.token_count.completion": 4,
            "llm.input_messages.0.message.content": "the prompt",
        }
    )
    vercel = span(
        attributes={
            "ai.operationId": "ai.generateText.doGenerate",
            "gen_ai.system": "anthropic.messages",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 2,
            "ai.response.providerMetadata": '{"anthropic": {"cacheReadInputTokens": 70}}',
            "ai.response.text": "the answer",
        }
    )
    agent = span(attributes=CHAT | {"gen_ai.operation.name": "invoke_agent"})
    query = span("SELECT", attributes={"db.system": "postgresql"})
    with ingest() as taken:
        taken.start()
        collector = new_collector(taken.url, taken.server.key)
        collector.send(query, agent, failed, new, old, silent, phoenix, vercel)
        wait_until(lambda: len(taken.event_ids) >= 5, lambda: collector.log)
        collector.end(signal.SIGTERM)
    assert quantities(taken) == {
        "chatcmpl-1": {
            "input": 30, "cache_read": 60, "cache_write_5m": 10, "output": 4, "reasoning": 3,
        },
        event_id(old): {"input": 70, "output": 5},
        event_id(silent): {"unexplained": 1},
        event_id(phoenix): {"input": 30, "cache_read": 20, "output": 4},
        event_id(vercel): {"input": 10, "cache_read": 70, "output": 2},
    }  # fmt: skip
    assert "the " not in json.dumps(taken.documents)
    event = taken.server.sink.events[0]
    assert (event["account_id"], event["source"]) == ("acme", "gateway-1")
    assert (event["model"], event["service_tier"]) == ("gpt-4o-2024-08-06", "flex")
    assert event["occurred_at"] == int(new["endTimeUnixNano"]) // 1_000
    assert collector.complaints == []


def test_prompts_stay_in_the_collector_however_large(new_collector: MakeCollector) -> None:
    secret = "the prompt " * 2_000
    content = CHAT | {"gen_ai.input.messages": secret, "gen_ai.system_instructions": secret}
    event = {"name": "gen_ai.user.message", "attributes": content, "timeUnixNano": "1"}
    spans = [span(attributes=content, events=[event | {"attributes": []}] * 3) for _ in range(300)]
    with ingest() as taken:
        taken.start()
        collector = new_collector(taken.url, taken.server.key)
        collector.send(*spans)
        wait_until(lambda: len(taken.event_ids) >= len(spans), lambda: collector.log)
    sent = json.dumps(taken.documents)
    assert "the prompt" not in sent
    assert "gen_ai.user.message" not in sent
    assert "gen_ai.usage.input_tokens" in sent


def test_an_answer_about_many_spans_is_not_taken_for_a_failure(
    new_collector: MakeCollector,
) -> None:
    spans = [
        span(attributes=CHAT | {"gen_ai.response.id": f"{number:0200}"}) for number in range(SPANS)
    ]
    with ingest() as taken:
        taken.start()
        collector = new_collector(taken.url, taken.server.key)
        collector.send(*spans)
        wait_until(lambda: len(taken.event_ids) >= SPANS, lambda: collector.log)
        collector.end(signal.SIGTERM)
    assert collector.complaints == []
    assert len(taken.event_ids) == SPANS


def test_what_was_refused_for_a_while_arrives(new_collector: MakeCollector) -> None:
    unacknowledged, unanswered = [span() for _ in range(SPANS)], [span() for _ in range(SPANS)]
    with ingest() as taken:
        taken.server.sink.acknowledges = False
        taken.start()
        collector = new_collector(taken.url, taken.server.key)
        collector.send(*unacknowledged)
        wait_until(lambda: "HTTP Status Code 503" in collector.log, lambda: collector.log)
        assert taken.event_ids == []
        taken.server.sink.acknowledges = True
        wait_until(lambda: len(taken.event_ids) >= SPANS, lambda: collector.log)
        taken.stop()
        collector.send(*unanswered)
        wait_until(lambda: "connection refused" in collector.log, lambda: collector.log)
        taken.start()
        wait_until(lambda: len(taken.event_ids) >= 2 * SPANS, lambda: collector.log)
    expected = Counter(event_id(sent) for sent in (*unacknowledged, *unanswered))
    assert Counter(taken.event_ids) == expected
    assert "Dropping data" not in collector.log


def test_a_key_that_sends_too_much_waits_and_loses_nothing(new_collector: MakeCollector) -> None:
    first, second = [span() for _ in range(SPANS)], [span() for _ in range(SPANS)]
    spans = [*first, *second]
    with ingest(rate=400) as taken:
        taken.start()
        collector = new_collector(taken.url, taken.server.key)
        collector.send(*first)
        wait_until(lambda: len(taken.event_ids) >= SPANS, lambda: collector.log)
        collector.send(*second)  # while the key owes what the first ones were too many
        wait_until(lambda: len(taken.event_ids) >= 2 * SPANS, lambda: collector.log)
    assert "HTTP Status Code 429" in collector.log
    assert Counter(taken.event_ids) == Counter(map(event_id, spans))


def test_a_killed_collector_still_sends_what_it_answered_for(new_collector: MakeCollector) -> None:
    spans = [span() for _ in range(SPANS)]
    with ingest() as taken:
        collector = new_collector(taken.url, taken.server.key)
        collector.send(*spans)
        collector.end(signal.SIGKILL)
        taken.start()
        collector.start()
        wait_until(lambda: len(set(taken.event_ids)) >= SPANS, lambda: collector.log)
    assert set(taken.event_ids) == set(map(event_id, spans))


def test_spans_that_a_wrong_key_sends_are_dropped_and_it_says_so(
    new_collector: MakeCollector,
) -> None:
    with ingest() as taken:
        taken.start()
        collector = new_collector(taken.url, "tb_wrong")
        collector.send(span())
        wait_until(lambda: collector.complaints, lambda: collector.log)
    (complaint,) = collector.complaints
    assert "Dropping data" in complaint
    assert "HTTP Status Code 401" in complaint


def test_a_span_that_is_rejected_holds_up_no_other_and_the_collector_says_why(
    new_collector: MakeCollector,
) -> None:
    impossible = span(attributes=CHAT | {"gen_ai.usage.input_tokens": -5})
    good = span()
    with ingest() as taken:
        taken.start()
        collector = new_collector(taken.url, taken.server.key)
        collector.send(impossible)
        wait_until(lambda: taken.bodies, lambda: collector.log)
        collector.send(good)
        wait_until(lambda: taken.event_ids, lambda: collector.log)
        collector.end(signal.SIGTERM)
    assert taken.event_ids == [event_id(good)]
    (complaint,) = collector.complaints
    assert "Partial success response" in complaint
    assert "gen_ai.usage.input_tokens: got '-5', expected a whole number" in complaint
    assert '"dropped_spans": 1' in complaint


def usage_ids(deployment: Deployment) -> list[str]:
    """Return the event ids in the topic of usage, those that came twice twice."""
    events = [event for record in deployment.read("usage") for event in read_usage_record(record)]
    return [event["event_id"] for event in events if isinstance(event, dict)]


@pytest.mark.kafka
def test_spans_are_charged_once_though_the_server_hung_and_the_collector_was_killed(
    new_collector: MakeCollector, kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    deployment.publish_tariff(flat("0.01"))
    deployment.open_accounts("plan", ["acme"])
    spans = [span() for _ in range(SPANS)]
    with server(deployment.settings, tmp_path) as running:
        key = running.client.headers["authorization"].removeprefix("Bearer ")
        collector = new_collector(f"http://127.0.0.1:{running.port}", key)
        collector.send(*spans[:500])
        wait_until(lambda: len(set(usage_ids(deployment))) >= 500, lambda: collector.log)
        running.process.send_signal(signal.SIGSTOP)
        collector.send(*spans[500:])
        collector.end(signal.SIGKILL)
        running.process.send_signal(signal.SIGCONT)
        collector.start()
        wait_until(lambda: len(set(usage_ids(deployment))) >= SPANS, lambda: collector.log)
        collector.end(signal.SIGTERM)
    consumed = len(usage_ids(deployment))
    counts = deployment.rate_all(consumed)
    assert (counts.charges, counts.rejections) == (SPANS, 0)
    assert counts.duplicates == consumed - SPANS
    assert {charge.event_id for charge in deployment.charges()} == set(map(event_id, spans))
    deployment.close()
