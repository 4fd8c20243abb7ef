"""Importing a price list: which usage an entry prices, and how its components are called."""

import re

import pytest

from engine.adapters.price_list import Finding
from tests.adapters.price_lists import GPT, imported, price, written


def test_an_entry_is_found_by_its_key_and_by_its_key_without_the_provider() -> None:
    prices = imported(written("azure/eu/gpt-4o azure input_cost_per_token=3e-06"))
    assert price(prices, "azure azure/eu/gpt-4o", "input") == "3"
    assert price(prices, "azure eu/gpt-4o", "input") == "3"
    assert price(prices, "azure gpt-4o", "input") is None
    assert price(prices, "openai eu/gpt-4o", "input") is None


def test_a_key_comes_before_the_short_name_of_another_entry() -> None:
    lines = """
    deepseek/chat deepseek input_cost_per_token=2e-06
    chat deepseek input_cost_per_token=1e-06
    """
    prices = imported(written(lines))
    assert price(prices, "deepseek chat", "input") == "1"
    assert price(prices, "deepseek deepseek/chat", "input") == "2"


def test_google_is_vertex_where_vertex_has_the_model_and_the_gemini_api_elsewhere() -> None:
    lines = """
    gemini/pro gemini input_cost_per_token=2e-06
    pro vertex_ai-language-models input_cost_per_token=1e-06
    gemini/tts gemini input_cost_per_token=4e-06
    vertex_ai/tts vertex_ai-language-models input_cost_per_token=3e-06
    gemini/flash gemini input_cost_per_token=5e-06
    """
    prices = imported(written(lines))
    cases = {
        "google pro": "1",
        "vertex_ai pro": "1",
        "vertex_ai-language-models pro": "1",
        "gemini pro": "2",
        "google tts": "3",
        "gemini tts": "4",
        "google flash": "5",
    }
    assert {usage: price(prices, usage, "input") for usage in cases} == cases


def test_usage_calls_some_providers_by_another_name_than_the_list() -> None:
    lines = """
    anthropic.claude bedrock_converse input_cost_per_token=1e-06
    cohere/command cohere_chat input_cost_per_token=2e-06
    codestral/latest codestral input_cost_per_token=3e-06
    text-completion-codestral/latest text-completion-codestral input_cost_per_token=4e-06
    """
    prices = imported(written(lines))
    assert price(prices, "bedrock anthropic.claude", "input") == "1"
    assert price(prices, "cohere command", "input") == "2"
    assert price(prices, "codestral latest", "input") == "3"
    assert price(prices, "text-completion-codestral latest", "input") == "4"


def test_globs_choose_models_by_their_key() -> None:
    lines = f"{GPT}\ngpt-4o-mini openai input_cost_per_token=1e-07\no3 openai input_cost_per_token=2e-06"
    prices = imported(written(lines), models=["gpt-4o", "o?"])
    assert price(prices, "openai gpt-4o", "input") == "2.5"
    assert price(prices, "openai o3", "input") == "2"
    assert price(prices, "openai gpt-4o-mini", "input") is None


@pytest.mark.parametrize(
    ("key", "provider"),
    [("claude", "bed?rock"), (r"\ud800", "bedrock")],
)
def test_an_entry_whose_names_usage_can_not_have_is_reported(key: str, provider: str) -> None:
    lines = f"{GPT}\n{key} {provider} input_cost_per_token=1e-06"
    (problem,) = imported(written(lines)).problems
    assert (problem.field, problem.value) == ("input_cost_per_token", "1e-06")
    assert problem.reason.startswith("expected names of a model and a provider, got ")


def test_a_star_in_a_key_stands_for_any_region() -> None:
    lines = """
    bedrock/*/1-month-commitment/claude bedrock input_cost_per_second=0.01
    bedrock/eu-west-1/1-month-commitment/claude bedrock input_cost_per_second=0.02
    """
    prices = imported(written(lines))
    month = "bedrock bedrock/{}/1-month-commitment/claude"
    assert price(prices, month.format("us-east-1"), "millisecond") == "0.01 per 1000"
    assert price(prices, month.format("eu-west-1"), "millisecond") == "0.02 per 1000"
    assert price(prices, "bedrock us-east-1/1-month-commitment/claude", "millisecond") is not None


def test_an_entry_without_a_provider_is_reported() -> None:
    lines = f"{GPT}\nm p input_cost_per_token=1e-06"
    (problem,) = imported(written(lines).replace('"litellm_provider": "p", ', "")).problems
    reason = "expected names of a model and a provider, got null"
    assert problem == Finding("m", "input_cost_per_token", "1e-06", reason)


def test_component_ids_are_readable_unique_and_short_enough() -> None:
    long_key = "m" * 200
    lines = f"""
    azure/gpt-4o azure input_cost_per_token=1e-06 input_cost_per_token_above_200k_tokens_flex=1e-06
    {long_key}1 p input_cost_per_token=1e-06
    {long_key}2 p input_cost_per_token=1e-06
    modèle p input_cost_per_token=1e-06
    """
    ids = [component["id"] for component in imported(written(lines)).document["components"]]
    assert ids[:4] == [
        "azure/gpt-4o:input",
        "azure/gpt-4o:input:flex:above-200000",
        "gpt-4o@azure:input",
        "gpt-4o@azure:input:flex:above-200000",
    ]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[!-~]{1,128}", component_id) for component_id in ids)
