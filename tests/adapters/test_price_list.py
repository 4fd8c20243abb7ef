"""Importing a price list: what a field means, and what is left out."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.documents.reading import InvalidFile
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.price_list import Finding
from engine.rating.money import PICO
from tests.adapters.price_lists import GPT, imported, price, written
from tests.rating.scenario import Scenario


def test_a_price_per_token_becomes_the_price_per_million_that_people_quote() -> None:
    prices = imported(written(GPT))
    assert prices.document == {
        "tariff_id": "list",
        "version": 1,
        "effective_from": "2026-01-01T00:00:00.000000Z",
        "currency": "USD",
        "fallback": {
            "cache_read": "input",
            "cache_write_5m": "input",
            "cache_write_1h": "cache_write_5m",
            "reasoning": "output",
            "audio_input": "input",
            "audio_output": "output",
            "image_input": "input",
            "audio_cache_read": "cache_read",
            "image_output": "output",
        },
        "components": [
            {
                "id": "gpt-4o:input",
                "match": {"model": "gpt-4o", "provider": "openai"},
                "kinds": ["input"],
                "price": {"model": "unit", "unit_price": "2.5", "per": 1000000},
            },
            {
                "id": "gpt-4o:output",
                "match": {"model": "gpt-4o", "provider": "openai"},
                "kinds": ["output"],
                "price": {"model": "unit", "unit_price": "10", "per": 1000000},
            },
        ],
    }
    assert (prices.expressed, prices.problems) == (2, [])


def test_the_document_is_the_version_and_can_be_written_down_as_json() -> None:
    prices = imported(written(GPT))
    again = parse_tariff(json.loads(json.dumps(prices.document)), "tariff")
    assert again.digest == prices.version.digest


@pytest.mark.parametrize(
    ("per_token", "per_million"),
    [
        ("2.0000000000000002e-07", "0.20000000000000002"),
        ("0.0000025", "2.5"),
        ("1.3e-10", "0.00013"),
        ('"3e-7"', "0.3"),
        ("0", "0"),
        ("0.0", "0"),
        ("1e-24", "0.000000000000000001"),
        ("1e-25", "0.0000000000000001 per 1000000000"),
    ],
)
def test_a_price_is_kept_to_the_digit(per_token: str, per_million: str) -> None:
    prices = imported(written(f"m p input_cost_per_token={per_token}"))
    assert price(prices, "p m", "input") == per_million


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1e-28", "more decimals than a price can have per million tokens"),
        ("1.00000000000000000000001e-07", "more decimals than a price can have per million tokens"),
        ("-1e-06", "expected 0 to below 1000000000 per million tokens"),
        ("1000", "expected 0 to below 1000000000 per million tokens"),
        ("1e999999999", "expected a decimal number"),
        ("NaN", "expected a decimal number"),
        ("true", "expected a decimal number"),
        ("null", "expected a decimal number"),
        ("[]", "expected a decimal number"),
        ('"cheap"', "expected a decimal number"),
    ],
)
def test_a_price_that_is_no_exact_decimal_is_named_and_the_others_stand(
    value: str, reason: str
) -> None:
    prices = imported(written(f"m p input_cost_per_token={value} output_cost_per_token=1e-06"))
    shown = value.strip('"')
    assert prices.problems == [Finding("m", "input_cost_per_token", shown, reason)]
    assert (price(prices, "p m", "input"), price(prices, "p m", "output")) == (None, "1")


def test_a_kind_without_a_price_takes_the_one_that_litellm_takes() -> None:
    prices = imported(written(GPT))
    inputs = ("cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input")
    for kind in (*inputs, "audio_cache_read"):
        assert price(prices, "openai gpt-4o", kind) == "2.5"
    for kind in ("reasoning", "audio_output", "image_output"):
        assert price(prices, "openai gpt-4o", kind) == "10"


def test_what_the_list_says_nothing_of_is_in_suspense_and_never_free() -> None:
    prices = imported(written("embedder openai input_cost_per_token=2e-08"))
    assert price(prices, "openai embedder", "output") is None
    assert price(prices, "openai gpt-4o", "input") is None
    assert price(prices, "azure embedder", "input") is None


CACHE = "claude anthropic input_cost_per_token=3e-06 cache_creation_input_token_cost={} {}"


def test_a_cache_kept_an_hour_has_its_own_price_or_that_of_five_minutes() -> None:
    hour = "cache_creation_input_token_cost_above_1hr=6e-06"
    both = imported(written(CACHE.format("3.75e-06", hour)))
    assert price(both, "anthropic claude", "cache_write_1h") == "6"
    short = imported(written(CACHE.format("3.75e-06", "")))
    assert price(short, "anthropic claude", "cache_write_1h") == "3.75"


LONG = """
gemini vertex_ai input_cost_per_token=1.25e-06 input_cost_per_token_above_200k_tokens=2.5e-06 {}
"""


@pytest.mark.parametrize(
    ("fields", "tier", "short", "long"),
    [
        ("", "standard", "1.25", "2.5"),
        ("", "priority", "1.25", "2.5"),
        ("input_cost_per_token_priority=2e-06", "priority", "2", "2.5"),
        ("input_cost_per_token_flex=1e-06", "flex", "1", "2.5"),
        ("input_cost_per_token_above_200k_tokens_flex=2e-06", "flex", "1.25", "2"),
        (
            "input_cost_per_token_flex=1e-06 input_cost_per_token_above_200k_tokens_flex=2e-06",
            "flex",
            "1",
            "2",
        ),
        ("input_cost_per_token_batches=1e-06", "batch", "1", "1"),
        ("input_cost_per_token_above_200k_tokens_batches=2e-06", "batch", "1.25", "2"),
    ],
)
def test_the_price_above_a_context_length_is_for_all_tokens_of_a_longer_request(
    fields: str, tier: str, short: str, long: str
) -> None:
    prices = imported(written(LONG.format(fields)))
    assert price(prices, "google gemini", "input", tier=tier, context=200_000) == short
    assert price(prices, "google gemini", "input", tier=tier, context=200_001) == long


def test_xai_asks_the_long_price_from_the_threshold_on() -> None:
    text = LONG.replace("vertex_ai", "xai").format("")
    prices = imported(written(text))
    assert price(prices, "xai gemini", "input", context=199_999) == "1.25"
    assert price(prices, "xai gemini", "input", context=200_000) == "2.5"


def test_a_price_for_long_contexts_alone_is_taken_and_told_as_doubtful() -> None:
    field = "cache_creation_input_token_cost_above_200k_tokens"
    prices = imported(written(LONG.format(f"{field}=2.5e-07")))
    (doubt,) = prices.doubts
    assert (doubt.entry, doubt.field, doubt.value) == ("gemini", field, "2.5e-07")
    assert doubt.reason.startswith("a price for long contexts without one for short ones")
    assert price(prices, "google gemini", "cache_write_5m", context=200_000) == "1.25"
    assert price(prices, "google gemini", "cache_write_5m", context=200_001) == "0.25"
    assert prices.problems == []


REASONER = """
r1 openai input_cost_per_token=1e-06 output_cost_per_token=4e-06 output_cost_per_reasoning_token=3e-06 {}
"""


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ("", "3"),
        ("input_cost_per_token_flex=5e-07", "3"),
        ("output_cost_per_token_flex=2e-06", "2"),
        ("output_cost_per_token_flex=2e-06 output_cost_per_reasoning_token_flex=1e-06", "1"),
    ],
)
def test_reasoning_costs_the_output_price_of_a_tier_that_has_one(
    fields: str, reasoning: str
) -> None:
    prices = imported(written(REASONER.format(fields)))
    assert price(prices, "openai r1", "reasoning", tier="flex") == reasoning


def test_reasoning_keeps_its_price_where_a_tier_prices_only_long_outputs() -> None:
    prices = imported(
        written(REASONER.format("output_cost_per_token_above_200k_tokens_flex=9e-06"))
    )
    assert price(prices, "openai r1", "output", tier="flex", context=200_001) == "9"
    assert price(prices, "openai r1", "reasoning", tier="flex", context=200_001) == "3"


def test_batch_prices_its_cached_tokens_as_batch_input_unless_listed() -> None:
    text = f"{GPT} cache_read_input_token_cost=5e-07"
    assert price(imported(written(text)), "openai gpt-4o", "cache_read", tier="batch") == "0.5"
    text += " input_cost_per_token_batches=1.25e-06"
    assert price(imported(written(text)), "openai gpt-4o", "cache_read", tier="batch") == "1.25"
    assert price(imported(written(text)), "openai gpt-4o", "cache_read") == "0.5"
    text += " cache_read_input_token_cost_batches=2.5e-07"
    assert price(imported(written(text)), "openai gpt-4o", "cache_read", tier="batch") == "0.25"


def test_image_tokens_keep_their_price_in_a_batch_that_lists_none() -> None:
    text = f"{GPT} output_cost_per_token_batches=5e-06 output_cost_per_image_token=3e-05"
    assert price(imported(written(text)), "openai gpt-4o", "image_output", tier="batch") == "30"


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (
            "input_dbu_cost_per_token",
            "the same price once more, in Databricks units instead of money",
        ),
        ("input_cost_per_text_message", "no kind of usage counts text messages of a conversation"),
        ("input_cost_per_token_hyperfast", "no kind of usage stands for these tokens"),
        ("input_cost_per_video_token", "no kind of usage stands for tokens of video"),
        ("tiered_pricing", "expected a list of ranges"),
        ("off_peak_pricing", "expected an object with hours and prices"),
        ("web_search_billing_unit", "expected per_query or per_prompt"),
        ("cost_per_wish", "no field that this import knows"),
    ],
)
def test_a_field_that_no_price_can_hold_is_reported_with_its_reason(
    field: str, reason: str
) -> None:
    prices = imported(written(f"{GPT} {field}=0.5"))
    assert prices.problems == [Finding("gpt-4o", field, "0.5", reason)]
    assert prices.expressed == 2


def test_cached_audio_has_its_own_price_or_that_of_other_cached_tokens() -> None:
    text = f"{GPT} cache_read_input_token_cost=5e-07"
    plain = imported(written(text))
    assert price(plain, "openai gpt-4o", "audio_cache_read") == "0.5"
    own = imported(written(f"{text} cache_read_input_audio_token_cost=4e-07"))
    assert (own.expressed, own.problems) == (4, [])
    assert price(own, "openai gpt-4o", "audio_cache_read") == "0.4"
    assert price(own, "openai gpt-4o", "cache_read") == "0.5"


def test_cached_images_are_no_problem_where_they_cost_what_other_cached_tokens_cost() -> None:
    text = f"{GPT} cache_read_input_token_cost=5e-07 cache_read_input_image_token_cost="
    same, other = imported(written(f"{text}5e-07")), imported(written(f"{text}4e-07"))
    assert (same.expressed, same.problems) == (4, [])
    (problem,) = other.problems
    assert problem.field == "cache_read_input_image_token_cost"
    assert price(other, "openai gpt-4o", "cache_read") == "0.5"


def test_cached_audio_in_a_batch_costs_its_batch_price_or_that_of_what_is_cached() -> None:
    text = (
        f"{GPT} cache_read_input_token_cost=5e-07 cache_read_input_audio_token_cost=4e-07"
        " cache_read_input_token_cost_batches=3e-07"
    )
    shared = imported(written(text))
    assert price(shared, "openai gpt-4o", "audio_cache_read", tier="batch") == "0.3"
    own = imported(written(f"{text} cache_read_input_audio_token_cost_batches=2e-07"))
    assert price(own, "openai gpt-4o", "audio_cache_read", tier="batch") == "0.2"
    assert price(own, "openai gpt-4o", "audio_cache_read") == "0.4"


def test_another_name_of_the_price_of_cached_tokens_is_that_price() -> None:
    prices = imported(written(f"{GPT} input_cost_per_token_cache_hit=5e-07"))
    assert price(prices, "openai gpt-4o", "cache_read") == "0.5"
    assert (prices.expressed, prices.problems) == (3, [])


TIERS = "m p input_cost_per_token=1e-06 input_cost_per_token_{}=3e-06"


@pytest.mark.parametrize("tier", ["priority", "flex", "balanced", "ultrafast"])
def test_each_service_tier_of_the_list_has_its_price(tier: str) -> None:
    prices = imported(written(TIERS.format(tier)))
    assert price(prices, "p m", "input") == "1"
    assert price(prices, "p m", "input", tier=tier) == "3"


def test_decisions_have_prices_of_their_own_in_every_tier_that_lists_none() -> None:
    fields = "output_cost_per_token=2e-06 output_cost_per_token_decisions=0"
    prices = imported(
        written(f"m p input_cost_per_token=1e-06 {fields} output_cost_per_token_flex=1e-06")
    )
    assert price(prices, "p m", "output") == "2"
    assert price(prices, "p m", "output", operation="decisions") == "0"
    assert price(prices, "p m", "input", operation="decisions") == "1"
    assert price(prices, "p m", "output", operation="decisions", tier="flex") == "1"


def test_a_cache_kept_twelve_hours_is_told_by_an_attribute() -> None:
    base = "input_cost_per_token=1e-06 cache_creation_input_token_cost=2e-06"
    twelve = "cache_creation_input_token_cost_above_12hr"
    lines = f"m p {base} {twelve}=4e-06 {twelve}_flex=3e-06 {twelve}_above_272k_tokens=8e-06"
    prices = imported(written(lines))
    kept: dict[str, Any] = {"attributes": {"cache_ttl": "12h"}}
    assert price(prices, "p m", "cache_write_1h") == "2"
    assert price(prices, "p m", "cache_write_1h", **kept) == "4"
    assert price(prices, "p m", "cache_write_1h", tier="flex", **kept) == "3"
    assert price(prices, "p m", "cache_write_1h", context=272_001, **kept) == "8"


def test_an_explicit_cache_is_told_by_an_attribute_in_every_tier() -> None:
    base = "input_cost_per_token=1e-06 cache_read_input_token_cost=2e-07"
    fields = (
        f"{base} cache_read_input_token_cost_flex=1e-07 explicit_cache_read_input_token_cost=5e-08"
    )
    prices = imported(written(f"m p {fields}"))
    explicit: dict[str, Any] = {"attributes": {"cache_type": "ephemeral"}}
    assert price(prices, "p m", "cache_read", **explicit) == "0.05"
    assert price(prices, "p m", "cache_read", tier="flex", **explicit) == "0.05"
    assert price(prices, "p m", "cache_read", tier="flex") == "0.1"


def test_a_markup_stands_beside_the_list_price_of_every_component() -> None:
    prices = imported(written(GPT), markup_percent="20.0")
    components = prices.document["components"]
    assert [component["markup_percent"] for component in components] == ["20", "20"]
    assert price(prices, "openai gpt-4o", "input") == "2.5"
    scenario = Scenario()
    scenario.publish(prices.version)
    scenario.open()
    scenario.assign("list")
    charge = scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 1_000_000, "output": 500})
    assert charge.amount == (2_500_000 + 5_000) * 12 * PICO // 10_000_000
    assert "markup_percent" not in imported(written(GPT)).document["components"][0]


def test_a_model_without_a_price_is_named_and_is_no_problem() -> None:
    prices = imported(written(f"{GPT}\nfree-text p mode=1"))
    assert (prices.models, prices.without_price, prices.problems) == (2, ["free-text"], [])


def test_facts_and_the_sample_that_explains_the_list_are_no_problems() -> None:
    facts = 'mode="chat" max_input_tokens=128000 supports_vision=true source="page"'
    sample = "sample_spec provider input_cost_per_token=0 anything=0"
    prices = imported(written(f"{GPT} {facts}\n{sample}"))
    assert (prices.expressed, prices.problems) == (2, [])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("[]", {}, "expected a JSON object with one object per model"),
        ('{"m": 1}', {}, "model m: got 1, expected an object of fields"),
        ('{"m": {}, "m": {}}', {}, "key 'm' stands twice"),
        (written(GPT), {"models": ["gpt-5*"]}, "models: got 'gpt-5*', expected a name or glob"),
        (written("m p mode=1"), {}, "expected at least one model with a price"),
        (written(GPT), {"effective_from": datetime(2026, 1, 1)}, "expected a time with a zone"),  # noqa: DTZ001 - that is the point
        (written(GPT), {"currency": "XXX"}, "currency: got 'XXX'"),
        (written(GPT), {"markup_percent": "a fifth"}, "markup: got 'a fifth', expected a percent"),
        (written(GPT), {"markup_percent": "0.00001"}, "expected a percentage from -100 with 4"),
        (written(GPT), {"markup_percent": "-100.5"}, "expected a percentage from -100 with 4"),
    ],
)
def test_what_is_no_price_list_is_refused_by_name(
    text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidFile, match=re.escape(message)):
        imported(text, **options)


NAMES = st.sampled_from(["gpt-4o", "azure/gpt-4o", "azure/*", "", "\ud800", "x" * 300])
FIELDS = st.sampled_from(
    [
        *("input_cost_per_token", "input_cost_per_token_above_9k_tokens_flex", "mode", "other"),
        *("tiered_pricing", "off_peak_pricing", "provider_specific_entry", "output_cost_per_image"),
        *("search_context_cost_per_query", "web_search_billing_unit", "input_cost_per_second"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(st.dictionaries(NAMES, st.dictionaries(FIELDS | st.just("litellm_provider"), VALUES)))
def test_any_list_is_imported_or_refused_and_nothing_else(entries: dict[str, Any]) -> None:
    text = json.dumps({**entries, "sure": {"litellm_provider": "p", "input_cost_per_token": 1}})
    prices = imported(text)
    assert price(prices, "p sure", "input") == "1000000"
