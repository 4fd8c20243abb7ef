"""Whatever LiteLLM hands over, in any state of a stream: its answers go out, and usage is not made up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.gateway import Publisher, PublisherClosed
from engine.gateway.litellm import Tollbook
from engine.gateway.litellm_settings import LiteLLMSettings, open_records
from engine.gateway.record_publisher import MAX_RECORD_BYTES, RecordPublisher
from engine.gateway.tally import Tally
from tests.gateway.events import Shelf
from tests.gateway.litellm.test_callback import KEY, details, settings
from tests.gateway.test_record_publisher import PATIENCE_SECONDS, until


class Broken:
    """An object that can not be looked at."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # pytest looks at them
            raise AttributeError(name)
        raise RuntimeError(name)


class Told:
    """Usage as LiteLLM has it."""

    prompt_tokens = 9
    completion_tokens = 2

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """Return it as JSON."""
        return {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def on_a_shelf(known: LiteLLMSettings, tally: Tally) -> RecordPublisher:
    """Open a publisher of records that needs no Kafka."""
    spool = known.spool / "litellm-1"
    edge = Publisher("nowhere:9", known.source, spool=spool, outlet=Shelf())
    return RecordPublisher(edge, tally=tally)


@pytest.fixture
def tollbook(tmp_path: Path) -> Iterator[Tollbook]:
    callback = Tollbook(settings(tmp_path), on_a_shelf)
    yield callback
    callback.close(0)


def call(**changed: Any) -> dict[str, Any]:
    return {"litellm_logging_obj": SimpleNamespace(model_call_details=details(**changed))}


def answer(**changed: Any) -> SimpleNamespace:
    about = {"id": "chatcmpl-1", "usage": Told(), "_hidden_params": {}, "service_tier": None}
    return SimpleNamespace(**{**about, **changed})


def odd() -> list[Any]:
    """Return what nobody expects."""
    return [None, 0, "text", b"\xff", [], {}, object(), Broken()]


ODD_CALLS: list[Any] = [
    *odd(),
    *({"litellm_logging_obj": it} for it in odd()),
    *({"litellm_logging_obj": SimpleNamespace(model_call_details=it)} for it in odd()),
    call(litellm_call_id=Broken()),
    call(start_time="yesterday", model=object()),
]
ODD_ANSWERS: list[Any] = [
    *odd(),
    *({"usage": it, "id": it} for it in odd()),
    *(answer(usage=it) for it in odd()),
    *(answer(_hidden_params=it, service_tier=it, output=it) for it in odd()),
    answer(usage={"prompt_tokens": float("nan"), "completion_tokens": -1}),
    answer(usage={"prompt_tokens": 10**30, "completion_tokens": "two"}),
    answer(id="\ud800\0" * 300),
]


def test_an_answer_goes_out_whatever_its_call_is(tollbook: Tollbook) -> None:
    for data in ODD_CALLS:
        asyncio.run(tollbook.async_post_call_success_hook(data, KEY, answer()))
        assert passed_on(tollbook, Stream([answer()]), data) == 1
    assert tollbook.tally.counts["lost"] > len(ODD_CALLS)


@pytest.mark.parametrize("call_type", ["acompletion", "aresponses", "anthropic_messages"])
def test_an_answer_goes_out_whatever_it_says(tollbook: Tollbook, call_type: str) -> None:
    for response in ODD_ANSWERS:
        data = call(call_type=call_type, custom_llm_provider="anthropic")
        asyncio.run(tollbook.async_post_call_success_hook(data, KEY, response))
        assert passed_on(tollbook, Stream([response]), data) == 1
    before = tollbook.tally.counts["published"]
    asyncio.run(tollbook.async_post_call_success_hook(call(), KEY, answer()))
    until(lambda: tollbook.tally.counts["published"] > before)


def test_a_log_event_harms_nobody_whatever_it_says(tollbook: Tollbook) -> None:
    for payload in odd():
        for params in odd():
            told = {"standard_logging_object": payload, "litellm_params": params}
            tollbook.log_success_event(told, None, None, None)
        tollbook.log_success_event(payload, None, None, None)
    assert tollbook.tally.counts["published"] == 0


class Stream:
    """A stream of the proxy; it may break off."""

    def __init__(self, chunks: list[Any], breaks_after: int = -1) -> None:
        self.chunks: list[Any] = []
        self._all = chunks
        self._breaks_after = breaks_after

    async def __aiter__(self) -> AsyncIterator[Any]:
        for number, chunk in enumerate(self._all):
            if number == self._breaks_after:
                raise ConnectionResetError("the provider is gone")
            self.chunks.append(chunk)
            yield chunk


def passed_on(tollbook: Tollbook, stream: Stream, data: Any, most: int = 99) -> int:
    """Return how many chunks a caller got who hangs up after the most."""

    async def read() -> int:
        chunks = tollbook.async_post_call_streaming_iterator_hook(KEY, stream, data)
        got = 0
        async for _ in chunks:
            got += 1
            if got == most:
                break
        await chunks.aclose()  # type: ignore[attr-defined]  # it is a generator
        return got

    return asyncio.run(read())


@pytest.mark.parametrize("most", [1, 2, 3, 99])
def test_a_stream_is_taken_once_wherever_its_caller_leaves(tollbook: Tollbook, most: int) -> None:
    chunks = [answer(usage=None), answer(usage=None), answer()]
    data = call(stream=True)
    assert passed_on(tollbook, Stream(chunks), data, most) == min(most, 3)
    until(lambda: tollbook.tally.counts["published"] == 1)
    logged = data["litellm_logging_obj"].model_call_details
    tollbook.log_success_event(
        {**logged, "standard_logging_object": {"id": "chatcmpl-1"}}, None, None, None
    )
    assert tollbook.tally.counts == {**Tally().counts, "published": 1}


@pytest.mark.parametrize("breaks_after", [0, 1, 2])
def test_a_stream_that_its_provider_breaks_off_is_not_charged(
    tollbook: Tollbook, breaks_after: int
) -> None:
    stream = Stream([answer(usage=None), answer()], breaks_after)
    data = call(stream=True)
    if breaks_after < 2:
        with pytest.raises(ConnectionResetError):
            passed_on(tollbook, stream, data)
        assert "tollbook_taken" not in data["litellm_logging_obj"].model_call_details
    else:
        assert passed_on(tollbook, stream, data) == 2
        until(lambda: tollbook.tally.counts["published"] == 1)


def test_a_cancelled_stream_is_taken(tollbook: Tollbook) -> None:
    async def forever() -> AsyncIterator[Any]:
        yield stream.chunks[0]
        await asyncio.sleep(PATIENCE_SECONDS)

    stream = SimpleNamespace(chunks=[answer(usage=None)], __aiter__=None)

    class Slow:
        chunks = stream.chunks

        def __aiter__(self) -> AsyncIterator[Any]:
            return forever()

    async def read() -> None:
        async for _ in tollbook.async_post_call_streaming_iterator_hook(KEY, Slow(), call()):
            is_reached.set()

    async def cancel() -> None:
        reading = asyncio.create_task(read())
        await is_reached.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    is_reached = asyncio.Event()
    asyncio.run(cancel())
    until(lambda: tollbook.tally.counts["published"] == 1)


def test_loops_and_threads_share_a_callback(tollbook: Tollbook) -> None:
    def serve(name: str) -> None:
        async def calls() -> None:
            for number in range(50):
                data = call(litellm_call_id=f"{name}-{number}")
                await tollbook.async_post_call_success_hook(data, KEY, answer(id=f"{number}"))

        asyncio.run(calls())

    threads = [threading.Thread(target=serve, args=(f"thread-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: tollbook.tally.counts["published"] == 200)


def test_a_record_of_an_answer_with_a_thousand_tools_is_taken(tollbook: Tollbook) -> None:
    tool = {"type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    usage = {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}
    response = {"id": "resp_1", "usage": usage, "output": [tool] * 1_000}
    data = call(call_type="aresponses")
    asyncio.run(tollbook.async_post_call_success_hook(data, KEY, response))
    until(lambda: tollbook.tally.counts["published"] == 1)
    assert len(repr([tool] * 1_000)) < MAX_RECORD_BYTES


def test_what_can_not_be_opened_gives_its_folders_back(tmp_path: Path) -> None:
    known = settings(tmp_path)
    (tmp_path / "litellm-1").mkdir()
    (tmp_path / "litellm-1" / "records").write_text("in the way")
    for _ in range(3):
        with pytest.raises(FileExistsError):
            open_records(known, Tally())
    assert [folder.name for folder in tmp_path.iterdir()] == ["litellm-1"]
    (tmp_path / "litellm-1" / "records").unlink()
    assert on_a_shelf(known, Tally()).close(0)


def test_what_can_not_be_opened_is_not_tried_for_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def broken(known: LiteLLMSettings, tally: Tally) -> RecordPublisher:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(28, "no room")
        return on_a_shelf(known, tally)

    tollbook = Tollbook(settings(tmp_path), broken)
    for number in range(20):
        asyncio.run(tollbook.async_post_call_success_hook(call(), KEY, answer(id=str(number))))
    assert (len(tries), tollbook.tally.counts["lost"]) == (1, 20)
    with pytest.raises(PublisherClosed, match="no room"):
        tollbook.start()
    monkeypatch.setattr("engine.gateway.litellm._FAULT_SECONDS", 0.0)
    monkeypatch.setattr(tollbook, "_next_try", 0.0)
    with pytest.raises(OSError, match="no room"):
        tollbook.start()
    tollbook.start()
    asyncio.run(tollbook.async_post_call_success_hook(call(), KEY, answer()))
    until(lambda: tollbook.tally.counts["published"] == 1)
    tollbook.close(0)
