"""A program that uses litellm as a library, with our callback: `library.py PROVIDER_URL`."""

import asyncio
import sys
import time
from typing import Any

import litellm

from engine.gateway.litellm import tollbook

ASKS_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
EXPECTED = 7
PATIENCE_SECONDS = 20.0


def run(url: str) -> None:
    """Make each kind of call, and wait until litellm has logged them all."""
    litellm.callbacks = [tollbook]
    reach: dict[str, Any] = {"api_base": url, "api_key": "sk-provider", "max_retries": 0}
    chat = {**reach, "messages": [{"role": "user", "content": "Hello"}]}
    litellm.completion(model="openai/sync", **chat)
    list(litellm.completion(model="openai/sync-stream", **ASKS_USAGE, **chat))
    litellm.embedding(model="openai/sync-embedding", input="x", **reach)
    asyncio.run(_asynchronously(chat, reach))
    since = time.monotonic()
    while (
        tollbook.tally.counts["published"] < EXPECTED
        and time.monotonic() < since + PATIENCE_SECONDS
    ):
        time.sleep(0.05)
    time.sleep(0.5)  # were there one too many, it would come now
    tollbook.close(0.1)


async def _asynchronously(chat: dict[str, Any], reach: dict[str, Any]) -> None:
    await litellm.acompletion(model="openai/async", **chat)
    async for _ in await litellm.acompletion(model="openai/async-stream", **ASKS_USAGE, **chat):
        pass
    async for _ in await litellm.acompletion(model="openai/async-estimated", stream=True, **chat):
        pass
    await litellm.aembedding(model="openai/async-embedding", input="x", **reach)
    try:
        await litellm.acompletion(model="openai/broken", **chat)
    except litellm.InternalServerError:
        await asyncio.sleep(1.0)  # litellm logs in this loop
        return
    raise AssertionError("the call of a broken model has succeeded")


if __name__ == "__main__":
    run(sys.argv[1])
