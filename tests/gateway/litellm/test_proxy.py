"""What the proxy's calls leave in the spool: each kind of call, charged to the key that made it."""

import signal
from collections.abc import Mapping
from hashlib import sha256
from threading import Thread
from time import sleep
from typing import Any

import pytest

from engine.adapters.avro.usage import Fields
from tests.gateway.litellm.conftest import MakeProxy
from tests.gateway.litellm.proxy import Answer, Proxy

pytestmark = pytest.mark.litellm

FORGED: dict[str, Any] = {
    "user": "victim",
    "metadata": {
        "user_api_key_team_id": "victim",
        "user_api_key_auth": {"team_id": "victim", "key_alias": "victim"},
    },
    "litellm_metadata": {"user_api_key_team_id": "victim"},
}
WHOLE = {"input": 60, "cache_read": 40, "output": 15, "reasoning": 5}
KEY_HASH = sha256(b"sk-alias").hexdigest()
MANY = 8
UNUSUAL = {
    0: ("gpt", "/v1/responses"),
    2: ("claude", "/v1/messages"),
    4: ("embed", "/v1/embeddings"),
}
PATIENCE_SECONDS = 20.0


class Calls:
    """The calls of one proxy by name, and what they left in its spool."""

    def __init__(self, proxy: Proxy) -> None:
        asks_usage: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        from_cache: dict[str, Any] = {"cache": {"use-cache": True}}
        proxy.call("gpt", **from_cache)
        sleep(0.5)  # LiteLLM fills its cache in the background
        repeated = {"x-litellm-call-id": "chosen-by-the-caller"}
        self.answers = {
            "whole": proxy.call("gpt"),
            "stream": proxy.call("gpt", **asks_usage),
            "stream that asked for no usage": proxy.call("gpt", stream=True),
            "stream without usage": proxy.call("silent", **asks_usage),
            "failure": proxy.call("broken"),
            "broken stream": proxy.call("breaks-off", stream=True),
            "fallback": proxy.call("falls-back"),
            "cached": proxy.call("gpt", **from_cache),
            "responses": proxy.call("gpt", path="/v1/responses"),
            "responses stream": proxy.call("gpt", path="/v1/responses", stream=True),
            "messages stream": proxy.call("gpt", path="/v1/messages", stream=True, max_tokens=9),
            "claude": proxy.call("claude"),
            "claude messages": proxy.call("claude", path="/v1/messages", max_tokens=50),
            "messages": proxy.call("gpt", path="/v1/messages", max_tokens=50),
            "embedding": proxy.call("embed"),
            "team": proxy.call("gpt", key="sk-globex"),
            "alias": proxy.call("gpt", key="sk-alias"),
            "forged": proxy.call("gpt", key="sk-globex", **FORGED),
            "forged stream": proxy.call("gpt", key="sk-globex", stream=True, **FORGED),
            "forged embedding": proxy.call("embed", key="sk-globex", **FORGED),
        }
        for _ in range(3):
            self.repeated = proxy.call("embed", key="sk-alias", headers=repeated)
        self.unprintable = proxy.call(
            "gpt", key="sk-alias", headers={"x-litellm-call-id": "a\x85b"}
        )
        proxy.hang_up_on("slow")
        sleep(1.5)  # until the proxy has noticed, and LiteLLM has logged
        proxy.end(signal.SIGKILL)
        self.events = proxy.spooled()

    def event(self, name: str) -> Fields:
        """Return the one event of a call."""
        (event,) = self.of(self.answers[name])
        return event

    def of(self, answer: Answer) -> list[Fields]:
        """Return the events of an answered call."""
        return [event for event in self.events if event["event_id"].startswith(answer.call_id)]


@pytest.fixture(scope="module")
def calls(new_proxy: MakeProxy) -> Calls:
    proxy = new_proxy()
    proxy.start()
    return Calls(proxy)


def quantities(event: Mapping[str, object]) -> dict[str, int]:
    kinds = event["quantities"]
    assert isinstance(kinds, Mapping)
    return {kind: quantity for kind, quantity in kinds.items() if quantity and kind != "request"}


@pytest.mark.parametrize(
    "name",
    [
        "whole",
        "stream",
        "stream that asked for no usage",
        "fallback",
        "team",
        "responses",
        "responses stream",
        "messages",
        "messages stream",
    ],
)
def test_an_answered_call_is_in_the_spool_with_its_disjoint_kinds(calls: Calls, name: str) -> None:
    event = calls.event(name)
    assert calls.answers[name].status == 200
    assert quantities(event) == WHOLE
    assert (event["provider"], event["model"]) == ("openai", "gpt-4o")


@pytest.mark.parametrize("name", ["claude", "claude messages"])
def test_a_call_of_claude_is_in_the_spool_in_both_languages(calls: Calls, name: str) -> None:
    event = calls.event(name)
    assert quantities(event) == {"input": 60, "cache_read": 40, "output": 20}
    assert (event["provider"], event["model"]) == ("anthropic", "claude-sonnet-4-5")


def test_a_stream_whose_usage_never_came_is_unexplained_and_no_estimate(calls: Calls) -> None:
    event = calls.event("stream without usage")
    assert set(quantities(event)) == {"unexplained"}


def test_a_caller_who_hangs_up_leaves_an_unexplained_call(calls: Calls) -> None:
    (event,) = [event for event in calls.events if event["model"] == "slow"]
    assert set(quantities(event)) == {"unexplained"}


def test_an_answer_from_the_gateways_cache_is_not_charged(calls: Calls) -> None:
    assert calls.answers["cached"].status == 200
    assert not calls.of(calls.answers["cached"])


def test_a_failed_call_is_not_charged(calls: Calls) -> None:
    assert calls.answers["failure"].status == 500
    assert not calls.of(calls.answers["failure"])
    assert not [event for event in calls.events if event["model"] == "broken"]


def test_a_stream_that_the_provider_broke_off_is_not_charged(calls: Calls) -> None:
    assert b"Hello" in calls.answers["broken stream"].body
    assert not calls.of(calls.answers["broken stream"])


def test_an_embedding_is_charged_by_its_input(calls: Calls) -> None:
    assert quantities(calls.event("embedding")) == {"input": 7}


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("whole", "acme"),
        ("team", "globex"),
        ("alias", KEY_HASH),
        ("forged", "globex"),
        ("forged stream", "globex"),
        ("forged embedding", "globex"),
    ],
)
def test_the_account_is_the_keys_organisation_then_team_then_hash_whatever_the_body_says(
    calls: Calls, name: str, account: str
) -> None:
    assert calls.event(name)["account_id"] == account


def test_no_event_names_anything_that_a_caller_may_choose(calls: Calls) -> None:
    assert "victim" not in repr(calls.events)


def test_a_caller_who_repeats_a_call_id_pays_for_each_call(calls: Calls) -> None:
    same = calls.of(calls.repeated)
    assert len({event["event_id"] for event in same}) == 3


def test_a_call_id_with_unprintable_characters_is_charged_all_the_same(calls: Calls) -> None:
    assert calls.unprintable.status == 200
    assert len([e for e in calls.events if e["event_id"].startswith("ab/")]) == 1


def test_a_proxy_killed_mid_traffic_has_one_event_of_every_answered_call_in_its_spool(
    new_proxy: MakeProxy,
) -> None:
    proxy = new_proxy()
    answered: list[str] = []
    statuses: set[int] = set()

    def traffic(number: int) -> None:
        is_stream = number % 2 == 1
        model, path = UNUSUAL.get(number, ("gpt", "/v1/chat/completions"))
        try:
            while True:
                answer = proxy.call(model, path=path, stream=is_stream, max_tokens=50)
                statuses.add(answer.status)
                if not is_stream or b"[DONE]" in answer.body:
                    answered.append(answer.call_id)
        except (OSError, EOFError, ValueError):
            return  # the proxy died
        except Exception as error:  # noqa: BLE001 - http.client's own, for a torn answer
            assert type(error).__module__ == "http.client", error  # noqa: PT017 - as it is

    for round_ in range(2):
        proxy.start()
        threads = [Thread(target=traffic, args=(number,)) for number in range(MANY)]
        for thread in threads:
            thread.start()
        sleep(2.0)
        proxy.end(signal.SIGKILL)
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert len(answered) > 20 * (round_ + 1)
    assert statuses == {200}
    events: dict[str, Fields] = {}
    for event in proxy.spooled():
        del event["publisher_sequence"]  # what a kill had published again has another number
        assert events.setdefault(event["event_id"], event) == event
    calls = [event_id.partition("/")[0] for event_id in events]
    assert len(set(calls)) == len(calls)
    assert set(answered) <= set(calls)
