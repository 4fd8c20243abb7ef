"""What the callback does by itself: its settings, its spools, and that it never harms an answer."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.gateway.litellm import Tollbook
from engine.gateway.litellm_record import event_id_of, printable, told_usage, usage_part
from engine.gateway.litellm_settings import LiteLLMSettings, litellm_settings, open_publisher
from engine.gateway.normalise import Context, normalise
from engine.gateway.record_publisher import RecordPublisher
from engine.gateway.tally import Tally
from engine.rating.errors import InvalidDocument
from tests.gateway.samples import curated, more

UNREACHABLE = {"TOLLBOOK_BOOTSTRAP": "127.0.0.1:9"}
_HAS = {"org_id": "acme", "team_id": "red", "key_alias": "mine", "token": "4f2c", "user_id": "ann"}
KEY = SimpleNamespace(**_HAS)


def details(**changed: Any) -> dict[str, Any]:
    """Return what LiteLLM knows of a call."""
    return {
        "litellm_call_id": "call-1",
        "call_type": "acompletion",
        "custom_llm_provider": "openai",
        "model": "gpt-4o",
        "start_time": datetime(2026, 11, 24, 9, 0, 0, 17),  # noqa: DTZ001 - as LiteLLM has it
        **changed,
    }


def settings(folder: Path, **environment: str) -> LiteLLMSettings:
    return litellm_settings({**UNREACHABLE, "TOLLBOOK_SPOOL": str(folder), **environment})


def test_the_module_is_imported_without_litellm_and_opens_nothing() -> None:
    program = (
        "import sys, engine.gateway.litellm as module; "
        "assert 'litellm' not in sys.modules and 'kafka' not in sys.modules, sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("names", "account"),
    [
        ("organisation,team,key_hash", "acme"),
        ("team", "red"),
        ("key_alias, team", "mine"),
        ("project,user", "ann"),
        ("project", "house"),
    ],
)
def test_the_account_is_the_first_named_part_that_the_key_has(
    tmp_path: Path, names: str, account: str
) -> None:
    known = settings(tmp_path, TOLLBOOK_LITELLM_ACCOUNT=names, TOLLBOOK_ACCOUNT="house")
    assert known.account_of(KEY) == account


def test_a_call_without_a_key_is_charged_to_the_account_of_the_settings(tmp_path: Path) -> None:
    assert settings(tmp_path, TOLLBOOK_ACCOUNT="house").account_of(None) == "house"
    assert settings(tmp_path).account_of(None) == ""


@pytest.mark.parametrize("names", ["end_user", ",", "team,customer"])
def test_an_account_that_the_caller_could_name_is_refused(tmp_path: Path, names: str) -> None:
    with pytest.raises(InvalidDocument, match="TOLLBOOK_LITELLM_ACCOUNT"):
        settings(tmp_path, TOLLBOOK_LITELLM_ACCOUNT=names)


def test_without_a_broker_the_proxy_does_not_start() -> None:
    with pytest.raises(InvalidDocument, match="TOLLBOOK_BOOTSTRAP"):
        litellm_settings({})


def test_records_are_signed_with_the_first_key_of_the_source(tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text("litellm-eu: [the new key of this source, the old key of this source]\n")
    known = settings(tmp_path, TOLLBOOK_SOURCE="litellm-eu", TOLLBOOK_SOURCE_KEYS=str(keys))
    assert known.signing_key == b"the new key of this source"
    assert settings(tmp_path).signing_key is None


def test_the_publisher_of_the_callback_has_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr("engine.gateway.Publisher", lambda *_, **more: made.append(more))
    open_publisher(settings(tmp_path)._replace(signing_key=b"the key of this source"))
    assert [more["signing_key"] for more in made] == [b"the key of this source"]


@pytest.mark.parametrize("written", ["another: a key of another source", "litellm: []"])
def test_without_a_key_of_its_source_the_proxy_does_not_start(tmp_path: Path, written: str) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(written)
    with pytest.raises(InvalidDocument, match=r"TOLLBOOK_SOURCE_KEYS .* one of source 'litellm'"):
        settings(tmp_path, TOLLBOOK_SOURCE_KEYS=str(keys))


def test_each_process_of_a_proxy_has_a_spool_and_a_name_of_its_own(tmp_path: Path) -> None:
    known = settings(tmp_path)
    with open_publisher(known) as first, open_publisher(known) as second:
        assert first.stats.publisher != second.stats.publisher
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["litellm-1", "litellm-2"]


def test_an_answer_goes_out_although_its_usage_can_not_be_kept(tmp_path: Path) -> None:
    def broken(known: LiteLLMSettings, tally: Tally) -> RecordPublisher:
        assert not tally.counts["lost"]
        raise OSError(28, "no room", str(known.spool))

    tollbook = Tollbook(settings(tmp_path), broken)
    usage = SimpleNamespace(prompt_tokens=1, model_dump=lambda **_: {"prompt_tokens": 1})
    answer = SimpleNamespace(id="chatcmpl-1", usage=usage)
    data = {"litellm_logging_obj": SimpleNamespace(model_call_details=details())}
    asyncio.run(tollbook.async_post_call_success_hook(data, KEY, answer))
    assert tollbook.tally.counts["lost"] == 1


def test_an_event_has_the_same_id_in_hook_and_log_and_another_in_another_call() -> None:
    one = event_id_of(details(), {"id": "chatcmpl-1"})
    assert one == event_id_of(details(), {"id": "chatcmpl-1"})
    later = datetime(2026, 11, 24, 9, 0, 0, 18)  # noqa: DTZ001 - as LiteLLM has it
    others = [
        event_id_of(details(), {"id": "chatcmpl-2"}),
        event_id_of(details(start_time=later), {"id": "chatcmpl-1"}),
        event_id_of(details(litellm_call_id="call-2"), {"id": "chatcmpl-1"}),
    ]
    assert len({one, *others}) == 4


def test_a_call_id_of_any_length_and_content_gives_an_id_that_an_event_may_have() -> None:
    identity = event_id_of(details(litellm_call_id="\u2028\x00é" * 200), {"id": None})
    assert len(identity) <= 256
    assert identity.startswith("é" * 128)


def test_the_last_usage_of_a_stream_counts() -> None:
    chunks = [SimpleNamespace(usage=told) for told in (None, "first", "last", None)]
    assert told_usage(chunks) == "last"
    assert told_usage(chunks[:1]) is None


class _OddStream:
    """A stream whose last chunk tells usage in a shape that nobody knows."""

    def __init__(self) -> None:
        self.chunks = [SimpleNamespace(id="answer-1", usage=object())]

    async def __aiter__(self) -> AsyncIterator[Any]:
        for chunk in self.chunks:
            yield chunk


def test_a_stream_that_tells_usage_in_an_unknown_shape_reaches_its_caller(tmp_path: Path) -> None:
    tollbook, stream = Tollbook(settings(tmp_path)), _OddStream()
    call = {"litellm_logging_obj": SimpleNamespace(model_call_details=details())}

    async def passed_on() -> list[Any]:
        hook = tollbook.async_post_call_streaming_iterator_hook(KEY, stream, call)
        return [chunk async for chunk in hook]

    assert asyncio.run(passed_on()) == stream.chunks
    assert tollbook.tally.counts["lost"] == 1


def payloads() -> list[dict[str, Any]]:
    """Return LiteLLM's payloads, of each type of call."""
    samples = [sample.payload for sample in curated()] + [sample["payload"] for sample in more()]
    return [sample for sample in samples if "call_type" in sample]


SEARCHED = [
    {"type": "web_search_call", "status": "completed", "action": {"type": "search"}},
    {"type": "web_search_call", "status": "failed", "action": {"type": "search"}},
    {"type": "web_search_call", "status": "completed", "action": {"type": "open_page"}},
    {"type": "file_search_call", "status": "completed"},
]
CHANGES: list[dict[str, Any]] = [
    {},
    {"response": "redacted"},
    {"response": None, "hidden_params": {"usage_object": {"prompt_tokens": 1, "total_tokens": 1}}},
    {"response": {"usage": {"input_tokens": 9, "output_tokens": 1}, "output": SEARCHED}},
    {
        "response": {
            "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10},
            "tools": [{"type": "image_generation", "model": "gpt-image-1", "quality": "high"}],
            "tool_usage": {"image_gen": {"input_tokens": 5, "output_tokens": 50}},
            "output": [],
        }
    },
    {"status": "failure"},
    {"cache_hit": True},
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_goes_to_the_disk_says_all_that_is_charged(change: dict[str, Any]) -> None:
    assert len({payload["call_type"] for payload in payloads()}) > 8
    for payload in payloads():
        whole = {
            **payload,
            **change,
            "metadata": {},
            "trace_id": printable(payload.get("trace_id")),
        }
        about = Context(account_id="acme", event_id="call-1")
        kept = json.loads(json.dumps(usage_part(whole)))
        assert normalise(kept, "litellm", about) == normalise(whole, "litellm", about)


def test_no_content_goes_to_the_disk() -> None:
    spoken = {"call_type": "speech", "messages": [{"content": "What I said to nobody"}]}
    said = {
        "output": [{"type": "web_search_call", "action": {"type": "search", "query": "nobody"}}],
        "data": [{"b64_json": "nobody", "revised_prompt": "nobody"}],
        "choices": [{"message": {"content": "nobody"}}],
    }
    kept = usage_part(
        {**spoken, "response": said, "end_user": "nobody", "metadata": {"a": "nobody"}}
    )
    assert "nobody" not in repr(kept)
    assert len(kept["messages"]) == len("What I said to nobody")
    assert kept["response"]["data"] == [{}]
    assert kept["response"]["output"][0]["action"] == {"type": "search"}
