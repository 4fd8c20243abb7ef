"""Every recorded body becomes its expected usage, and is rated to its expected price, exactly."""

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from engine.adapters.documents.tariff import parse_tariff
from engine.entrypoints.offline import OfflineRating
from engine.gateway.normalise import Unusable, normalise
from engine.rating.charge import Charge
from engine.rating.money import PICO
from tests.gateway.samples import (
    CONTEXT,
    Sample,
    curated,
    inclusive,
    recorded,
    unit_prices,
)

SAMPLES = [*recorded(), *curated()]
EXPECTED = [sample for sample in SAMPLES if sample.usage is not None]

PRICED = [sample for sample in SAMPLES if sample.price is not None]

MODALITIES_WITH_CACHE = {
    "input_audio_tokens": ("audio_input", "cache_audio_read_tokens"),
    "input_image_tokens": ("image_input", "cache_image_read_tokens"),
}
"""Of the expectation's numbers by modality: the kind, and what of it was read from the cache."""


def first_event(sample: Sample) -> dict[str, Any]:
    return normalise(sample.payload, context=CONTEXT).events[0]


@pytest.mark.parametrize("sample", EXPECTED, ids=lambda sample: sample.name)
def test_a_recorded_body_becomes_its_expected_usage_exactly(sample: Sample) -> None:
    assert sample.usage is not None
    kinds = first_event(sample)["quantities"]
    assert "unexplained" not in kinds
    found = inclusive(kinds)
    expected = {name: number for name, number in sample.usage.items() if name in found}
    if "cache_write_5m_tokens" not in sample.usage:
        found.pop("cache_write_5m_tokens", None)
        expected.pop("cache_write_5m_tokens", None)
    assert found == expected
    for name, (kind, from_cache) in MODALITIES_WITH_CACHE.items():
        whole = sample.usage.get(name, 0)
        assert kinds.get(kind, 0) + sample.usage.get(from_cache, 0) == whole


def test_all_numbers_of_all_expectations_are_compared() -> None:
    compared = {
        "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
        "cache_write_5m_tokens", "output_reasoning_tokens", "output_image_tokens", "web_searches",
        *MODALITIES_WITH_CACHE, *(cached for _, cached in MODALITIES_WITH_CACHE.values()),
    }  # fmt: skip
    remainders = {
        "input_text_tokens", "input_video_tokens", "output_text_tokens",
        "cache_text_read_tokens", "cache_video_read_tokens",
    }  # fmt: skip
    named = {name for sample in EXPECTED for name in sample.usage or {}}
    assert named <= compared | remainders
    assert len(EXPECTED) == 348


def rating() -> OfflineRating:
    """Return a rating with one component for each model and kind."""
    components = [
        {
            "id": f"{number}-{kind}",
            "match": {"model": model},
            "kinds": [kind],
            "price": {"model": "unit", "unit_price": price, "per": 1_000_000},
        }
        for number, (model, prices) in enumerate(unit_prices().items())
        for kind, price in prices.items()
    ]
    tariff = {
        "tariff_id": "recorded-prices",
        "version": 1,
        "effective_from": "2025-01-01T00:00:00Z",
        "currency": "USD",
        "fallback": {"reasoning": "output", "image_input": "input", "cache_read": "input"},
        "components": components,
    }
    return OfflineRating([parse_tariff(tariff, "tariff")], None, frozenset())


def charged(sample: Sample) -> dict[str, Fraction]:
    """Return what the first call of a body costs: its input, its output, all of it. In USD."""
    (charge,) = rating().rate(first_event(sample), 0)
    assert isinstance(charge, Charge)
    parts: Counter[str] = Counter()
    for line in charge.lines:
        assert line.status == "rated", line
        assert line.amount is not None
        parts["total_price"] += line.amount
        if line.kind in ("output", "reasoning", "image_output"):
            parts["output_price"] += line.amount
        elif line.kind != "search":
            parts["input_price"] += line.amount
    return {name: Fraction(amount, PICO) for name, amount in parts.items()}


@pytest.mark.parametrize("sample", PRICED, ids=lambda sample: sample.name)
def test_a_recorded_body_is_rated_to_its_expected_price_exactly(sample: Sample) -> None:
    assert sample.price is not None
    found = charged(sample)
    for name in ("input_price", "output_price", "total_price"):
        if name in sample.price:
            assert found.get(name, 0) == Fraction(sample.price[name]), name


def test_all_prices_of_all_expectations_are_compared() -> None:
    assert len(PRICED) == 295


def test_a_second_model_of_one_answer_is_an_event_of_its_own() -> None:
    (sample,) = [sample for sample in SAMPLES if sample.name == "usage-s0028"]
    main, advisor = normalise(sample.payload, context=CONTEXT).events
    assert main["model"] == "claude-sonnet-5"
    assert main["event_id"] == "call-1"
    assert advisor["model"] == "claude-fable-5"
    assert advisor["quantities"] == {"input": 2564, "output": 99}
    assert advisor["event_id"] == "call-1/iteration-1"
    assert advisor["parent_event_id"] == "call-1"


def test_a_compaction_is_billed_beside_the_answer() -> None:
    (sample,) = [sample for sample in SAMPLES if sample.name == "usage-s0003"]
    main, compaction = normalise(sample.payload, context=CONTEXT).events
    assert main["quantities"] == {"input": 180, "output": 8}
    assert compaction["quantities"] == {"input": 100, "cache_write_5m": 55096, "output": 82}


CURATED = {sample.name: sample.payload for sample in curated()}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("gw-s18", {"input": 27, "audio_input": 1, "output": 17}),
        ("gw-s20", {"input": 12, "reasoning": 100}),
        ("gw-s29", {"input": 10, "output": 20}),
        ("gw-s30", {"input": 15, "output": 7}),
        ("gw-s32", {"request": 1}),
        ("gw-s33", {"input": 512}),
        (
            "gw-s34",
            {
                "input": 10000,
                "cache_read": 20000,
                "cache_write_5m": 8000,
                "output": 5000,
                "reasoning": 4000,
                "audio_input": 1000,
                "audio_output": 1000,
            },
        ),
        (
            "gw-s35",
            {
                "input": 15,
                "cache_read": 50,
                "cache_write_5m": 25,
                "audio_input": 10,
                "output": 130,
                "reasoning": 50,
            },
        ),
    ],
)
def test_a_curated_sample_without_an_expectation_becomes_these_kinds(
    name: str, kinds: dict[str, int]
) -> None:
    (event,) = normalise(CURATED[name], context=CONTEXT).events
    assert event["quantities"] == kinds


def test_an_error_that_a_proxy_recorded_is_not_charged() -> None:
    assert normalise(CURATED["gw-s19"], context=CONTEXT) == ((), "error_response")


def test_a_gateways_configuration_is_no_usage() -> None:
    with pytest.raises(Unusable, match="the marks of one of"):
        normalise(CURATED["gw-s31"], context=CONTEXT)


@pytest.mark.parametrize("sample", recorded(), ids=lambda sample: sample.name)
def test_a_recorded_body_is_the_same_where_its_format_is_named(sample: Sample) -> None:
    found = normalise(sample.payload, context=CONTEXT)
    assert normalise(sample.payload, found.events[0]["source"], CONTEXT) == found
