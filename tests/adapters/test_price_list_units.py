"""Importing prices of what is no token: seconds, characters, images, pages, searches, calls."""

from typing import Any

import pytest

from engine.adapters.price_list import Finding
from tests.adapters.price_lists import imported, price, written


@pytest.mark.parametrize(
    ("field", "kind", "shown"),
    [
        ("input_cost_per_second=0.0001", "millisecond", "0.0001 per 1000"),
        ("output_cost_per_second=0.5", "millisecond", "0.5 per 1000"),
        ("cost_per_second=0.5", "millisecond", "0.5 per 1000"),
        ("output_cost_per_video_per_second=0.1", "millisecond", "0.1 per 1000"),
        ("input_cost_per_character=1.5e-05", "character", "0.000015"),
        ("output_cost_per_character=1.5e-05", "character", "0.000015"),
        ("input_cost_per_image=0.04", "image", "0.04"),
        ("output_cost_per_image=0.04", "image", "0.04"),
        ("ocr_cost_per_page=0.001", "page", "0.001"),
        ("input_cost_per_query=0.002", "search", "0.002"),
        ("input_cost_per_request=0.005", "request", "0.005"),
        ("code_interpreter_cost_per_session=0.03", "request", "0.03"),
        (
            "input_cost_per_second=3.3333333333333335e-05",
            "millisecond",
            "0.033333333333333335",
        ),
    ],
)
def test_a_price_of_a_second_a_character_an_image_is_that_of_its_kind(
    field: str, kind: str, shown: str
) -> None:
    prices = imported(written(f"m p {field}"))
    assert price(prices, "p m", kind) == shown
    assert (prices.expressed, prices.problems) == (1, [])


def test_the_free_side_of_a_call_adds_nothing_to_the_side_that_costs() -> None:
    prices = imported(written("m p input_cost_per_second=0.0001 output_cost_per_second=0.0"))
    assert price(prices, "p m", "millisecond") == "0.0001 per 1000"
    assert prices.expressed == 2


def test_input_and_output_at_different_prices_are_both_reported() -> None:
    lines = "m p input_cost_per_character=5e-06 output_cost_per_character=1.5e-05 input_cost_per_token=1e-06"
    prices = imported(written(lines))
    reason = "several prices of one kind, which counts once for each call"
    assert prices.problems == [
        Finding("m", "input_cost_per_character", "5e-06", reason),
        Finding("m", "output_cost_per_character", "1.5e-05", reason),
    ]
    assert price(prices, "p m", "character") is None


def test_audio_and_video_at_different_prices_are_told_by_an_attribute() -> None:
    prices = imported(
        written("m p input_cost_per_audio_per_second=0.0001 input_cost_per_video_per_second=0.0007")
    )
    seconds = {
        modality: price(prices, "p m", "millisecond", attributes={"modality": modality})
        for modality in ("audio", "video")
    }
    assert seconds == {"audio": "0.0001 per 1000", "video": "0.0007 per 1000"}
    assert price(prices, "p m", "millisecond") is None


def test_a_resolution_has_its_price_and_any_other_the_plain_one() -> None:
    fields = "output_cost_per_second=0.05 output_cost_per_second_1080p=0.22 output_cost_per_second_4k=1.5"
    prices = imported(written(f"m p {fields}"))

    def of(resolution: str) -> str | None:
        return price(prices, "p m", "millisecond", attributes={"resolution": resolution})

    assert of("1080p") == "0.22 per 1000"
    assert of("4k") == "1.5 per 1000"
    assert of("720p") == "0.05 per 1000"
    assert price(prices, "p m", "millisecond") == "0.05 per 1000"


def test_a_call_that_makes_images_counts_those_and_not_the_ones_it_is_given() -> None:
    fields = "input_cost_per_image=0.0011 output_cost_per_image=0.134"
    made = imported(written(f'm p {fields} mode="image_generation"'))
    assert price(made, "p m", "image") == "0.134"
    (problem,) = made.problems
    assert problem.field == "input_cost_per_image"
    chat = imported(written(f'm p {fields} mode="chat" input_cost_per_token=1'))
    assert len(chat.problems) == 2


def test_the_price_of_a_pixel_is_that_of_an_image_whose_size_is_in_the_name() -> None:
    lines = """
    azure/hd/1024-x-1792/dall-e-3 azure input_cost_per_pixel=6.5e-08 output_cost_per_pixel=0.0
    unknown/flux p input_cost_per_pixel=1e-09
    """
    prices = imported(written(lines))
    assert price(prices, "azure hd/1024-x-1792/dall-e-3", "image") == "0.11927552"
    (problem,) = prices.problems
    assert (problem.entry, problem.field) == ("unknown/flux", "input_cost_per_pixel")


def test_prices_above_a_context_length_hold_for_any_unit() -> None:
    fields = "input_cost_per_image=0.001 input_cost_per_image_above_128k_tokens=0.002"
    prices = imported(written(f"m p {fields}"))
    assert price(prices, "p m", "image", context=128_000) == "0.001"
    assert price(prices, "p m", "image", context=128_001) == "0.002"


SIZES = (
    'search_context_cost_per_query={"search_context_size_low":"0.005",'
    '"search_context_size_medium":"0.008","search_context_size_high":"0.012"}'
)


@pytest.mark.parametrize(("provider", "usual"), [("openai", "0.008"), ("perplexity", "0.005")])
def test_a_search_costs_what_its_context_size_does(provider: str, usual: str) -> None:
    prices = imported(written(f"m {provider} {SIZES}"))

    def of(size: str) -> str | None:
        attributes = {"search_context_size": size}
        return price(prices, f"{provider} m", "search", attributes=attributes)

    assert [of(size) for size in ("low", "medium", "high")] == ["0.005", "0.008", "0.012"]
    assert price(prices, f"{provider} m", "search") == usual


SEARCH = 'search_context_cost_per_query={"search_context_size_medium":0.035}'


@pytest.mark.parametrize(
    ("usage", "unit", "shown"),
    [
        ("gemini gemini/flash", "", "flat 0.035"),
        ("gemini gemini/flash", 'web_search_billing_unit="per_query"', "0.035"),
        ("vertex_ai flash", "", "flat 0.035"),
        ("vertex_ai claude", "", "0.035"),
        ("openai gpt", "", "0.035"),
    ],
)
def test_searches_of_gemini_cost_once_a_call_unless_the_list_says_per_query(
    usage: str, unit: str, shown: str
) -> None:
    provider, model = usage.split()
    prices = imported(written(f"{model} {provider} {SEARCH} {unit}"))
    assert price(prices, usage, "search") == shown
    assert prices.problems == []


def test_a_search_on_the_map_has_its_price_where_it_differs() -> None:
    maps = "google_maps_grounding_cost_per_query=0.025"
    prices = imported(written(f"gemini/flash gemini {SEARCH} {maps}"))
    on_map: dict[str, Any] = {"attributes": {"search_tool": "google_maps"}}
    assert price(prices, "gemini gemini/flash", "search", **on_map) == "flat 0.025"
    assert price(prices, "gemini gemini/flash", "search") == "flat 0.035"


def test_images_that_are_free_in_each_call_are_an_allowance() -> None:
    free = 'provider_specific_entry={"minimax_free_input_images":5}'
    prices = imported(written(f"m p input_cost_per_image=0.04 output_cost_per_second=0.08 {free}"))
    allowances = {c["id"]: c.get("allowance") for c in prices.document["components"]}
    assert allowances == {"m:image": 5, "m:millisecond": None}
    assert prices.problems == []


@pytest.mark.parametrize(
    ("dear", "fields", "cases"),
    [
        (
            "eu",
            "regional_processing_uplift_multiplier_eu=1.1",
            {"": "2", "eu": "2.2", "us": "2", "global": "2"},
        ),
        (
            "eu",
            "regional_endpoint_uplift_multiplier=1.1",
            {"": "2", "us-east5": "2.2", "eu": "2.2", "global": "2"},
        ),
        ("us", 'provider_specific_entry={"us":1.1}', {"": "2", "us": "2.2", "eu": "2"}),
    ],
)
def test_a_region_that_is_dearer_has_every_token_price_times_its_factor(
    dear: str, fields: str, cases: dict[str, str]
) -> None:
    tier = "input_cost_per_token_flex=1e-06 input_cost_per_token_above_200k_tokens=4e-06"
    prices = imported(written(f"m p input_cost_per_token=2e-06 {tier} {fields} {SEARCH}"))
    assert {region: price(prices, "p m", "input", region=region) for region in cases} == cases
    assert price(prices, "p m", "input", region=dear, tier="flex") == "1.1"
    assert price(prices, "p m", "input", region=dear, context=200_001) == "4.4"
    assert price(prices, "p m", "search", region=dear) == "0.035"
    assert (prices.expressed, prices.problems) == (5, [])


def test_a_fast_answer_is_a_service_tier_and_dearer_regions_are_dearer_there_too() -> None:
    factors = 'provider_specific_entry={"us":1.1,"fast":2.0}'
    prices = imported(written(f"claude anthropic input_cost_per_token=5e-06 {factors}"))
    assert price(prices, "anthropic claude", "input", tier="fast") == "10"
    assert price(prices, "anthropic claude", "input", tier="fast", region="us") == "11"
    assert price(prices, "anthropic claude", "input", region="us") == "5.5"
