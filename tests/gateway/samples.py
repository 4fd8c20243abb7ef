"""The recorded bodies and curated samples, and how a test reads them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from engine.gateway.normalise import Context

_FOLDER = Path(__file__).parent.parent / "data" / "gateway"

CONTEXT = Context(account_id="acme", event_id="call-1", occurred_at="2025-11-06T12:00:00Z")
"""What a bare body does not say."""

_INPUT = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "audio_cache_read",
)
_OUTPUT = ("output", "reasoning", "audio_output", "image_output")


class Sample(NamedTuple):
    """One record, what it is expected to become (None: not said), and its price in USD."""

    name: str
    payload: dict[str, Any]
    usage: dict[str, int] | None
    price: dict[str, str] | None


def recorded() -> list[Sample]:
    """Return the bodies that providers really answered."""
    lines = (_FOLDER / "real_usage_bodies.jsonl").read_text().splitlines()
    return [_sample(json.loads(line)) for line in lines]


def curated() -> list[Sample]:
    """Return the samples of formats."""
    return [_sample(record) for record in json.loads((_FOLDER / "curated.json").read_text())]


def more() -> list[dict[str, Any]]:
    """Return samples that are not of the given set, each with what is expected of it."""
    samples: list[dict[str, Any]] = json.loads((_FOLDER / "more.json").read_text())
    return samples


def unit_prices() -> dict[str, dict[str, str]]:
    """Return USD per million units by model and kind."""
    prices: dict[str, dict[str, str]] = json.loads((_FOLDER / "unit_prices.json").read_text())
    return prices


def _sample(record: dict[str, Any]) -> Sample:
    return Sample(
        record["id"], record["payload"], record.get("expected_usage"), record.get("expected_price")
    )


def inclusive(kinds: dict[str, int]) -> dict[str, int]:
    """Return disjoint kinds summed back to the overlapping numbers that the samples expect."""
    numbers = {
        "input_tokens": sum(kinds.get(kind, 0) for kind in _INPUT),
        "output_tokens": sum(kinds.get(kind, 0) for kind in _OUTPUT),
        "cache_read_tokens": kinds.get("cache_read", 0) + kinds.get("audio_cache_read", 0),
        "cache_audio_read_tokens": kinds.get("audio_cache_read", 0),
        "cache_write_tokens": kinds.get("cache_write_5m", 0) + kinds.get("cache_write_1h", 0),
        "cache_write_5m_tokens": kinds.get("cache_write_5m", 0),
        "output_reasoning_tokens": kinds.get("reasoning", 0),
        "output_image_tokens": kinds.get("image_output", 0),
        "web_searches": kinds.get("search", 0),
    }
    return {name: number for name, number in numbers.items() if number}
