"""A version's canonical form, its digest, and what it prices."""

import json
from hashlib import sha256

import pytest

from engine.adapters.documents.reading import InvalidFile
from engine.rating.component import Component
from engine.rating.errors import InvalidDocument
from engine.rating.tariff import TariffVersion
from engine.rating.usage import KINDS, UsageEvent
from tests.rating.scenario import tariff, usage

BUSINESS_YAML = """
tariff_id: business
version: 3
effective_from: 2026-11-01T00:00:00Z
currency: USD
rounding: half_up
fallback: {reasoning: output, cache_read: input}
components:
  - id: output-by-volume
    match: {service_tier: [standard, priority]}
    kinds: [output]
    scope: account
    period: calendar_month
    price:
      model: graduated
      per: 1000000
      tiers:
        - {up_to: 50000000, unit_price: "10"}
        - {unit_price: 8, flat_fee: "1.00"}
  - id: gpt-4o-input
    match: {provider: openai, model: [gpt-4o]}
    kinds: {input: "1.0", cache_read: 1}
    price: {model: unit, unit_price: 2.50, per: 1000000}
"""

BUSINESS_JSON = """
{"version": 3, "currency": "USD", "tariff_id": "business", "time_zone": "UTC",
 "effective_from": "2026-11-01T01:00:00+01:00", "effective_to": null,
 "components": [
  {"id": "gpt-4o-input", "kinds": ["cache_read", "input"], "period": "event", "scope": "account",
   "match": {"model": "gpt-4o", "provider": "openai"},
   "price": {"model": "graduated", "per": 1000000, "tiers": [{"unit_price": "2.5"}]}},
  {"id": "output-by-volume", "period": "calendar_month", "kinds": ["output"],
   "match": {"service_tier": ["priority", "standard", "standard"]},
   "price": {"model": "graduated", "per": 1000000, "tiers": [
    {"up_to": 50000000, "unit_price": 10.0, "flat_fee": "0"},
    {"unit_price": "8.0", "flat_fee": "1"}]}}],
 "fallback": {"cache_read": "input", "reasoning": "output"}}
"""

CANONICAL = (
    '{"components":['
    '{"id":"gpt-4o-input","kinds":["input","cache_read"],'
    '"match":{"model":"gpt-4o","provider":"openai"},'
    '"price":{"model":"unit","per":1000000,"unit_price":"2.5"}},'
    '{"id":"output-by-volume","kinds":["output"],'
    '"match":{"service_tier":["priority","standard"]},"period":"calendar_month",'
    '"price":{"model":"graduated","per":1000000,"tiers":'
    '[{"unit_price":"10","up_to":50000000},{"flat_fee":"1","unit_price":"8"}]}}],'
    '"currency":"USD","effective_from":"2026-11-01T00:00:00.000000Z",'
    '"fallback":{"cache_read":"input","reasoning":"output"},"tariff_id":"business","version":3}'
)

CHAT = usage(service_tier="standard")


def chat(model: str, context: int = 0) -> UsageEvent:
    """Return a chat with a model and a context of so many tokens."""
    quantities = {"input": context} if context else {"output": 1}
    return usage(model=model, service_tier="standard", quantities=quantities)


def plan(*components: str, fallback: str = "{}") -> TariffVersion:
    """Return a tariff with these components, each a YAML text without its price."""
    rows = [f"- {{{text}, price: {{model: unit, unit_price: 1}}}}" for text in components]
    head = "tariff_id: plan\nversion: 1\neffective_from: 2026-01-01T00:00:00Z\ncurrency: USD"
    return tariff("\n".join([head, f"fallback: {fallback}", "components:", *rows]))


def priced_by(version: TariffVersion, context_length: int = 0) -> dict[str, str]:
    """Return which component prices each kind of a chat with gpt-4o."""
    prices = version.prices(chat("gpt-4o", context_length))
    return {kind: price.component.component_id for kind, price in prices.items()}


def test_the_digest_does_not_depend_on_how_a_version_was_written() -> None:
    assert tariff(BUSINESS_YAML).digest == tariff(BUSINESS_JSON).digest


def test_the_canonical_form_is_sorted_shortest_and_without_defaults() -> None:
    assert tariff(BUSINESS_YAML).document == CANONICAL
    assert tariff(BUSINESS_YAML).digest == sha256(CANONICAL.encode()).digest()


def test_the_canonical_form_is_a_document_of_the_same_version() -> None:
    assert tariff(CANONICAL).document == CANONICAL


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("tariff_id: business", "tariff_id: private"),
        ("version: 3", "version: 4"),
        ("2026-11-01", "2026-11-02"),
        ("currency: USD", "currency: EUR"),
        ("rounding: half_up", "rounding: half_even"),
        ("rounding: half_up", "effective_to: 2027-01-01T00:00:00Z"),
        ("rounding: half_up", "time_zone: Europe/Berlin"),
        ("reasoning: output", "reasoning: input"),
        ("id: gpt-4o-input", "id: gpt-4o"),
        ("model: [gpt-4o]", "model: [gpt-4o, gpt-5]"),
        ("provider: openai", "provider: azure"),
        ("provider: openai", "context_above: 1"),
        ("scope: account", "scope: subject"),
        ("period: calendar_month", "period: day"),
        ('"1.0"', '"1.5"'),
        ("2.50", "2.51"),
        ("per: 1000000}", "per: 1000}"),
        ("up_to: 50000000", "up_to: 50000001"),
        ('"1.00"', '"1.01"'),
    ],
)
def test_every_change_of_content_changes_the_digest(word: str, other: str) -> None:
    assert BUSINESS_YAML.count(word) == 1
    changed = tariff(BUSINESS_YAML.replace(word, other))
    assert changed.digest != tariff(BUSINESS_YAML).digest


def test_the_transitions_of_the_zone_are_part_of_the_digest() -> None:
    berlin = tariff(BUSINESS_YAML.replace("rounding: half_up", "time_zone: Europe/Berlin"))
    document = json.loads(berlin.document)
    assert ["2026-10-25T01:00:00.000000Z", 3600] in document["time_zone_transitions"]
    document["time_zone_transitions"].pop()
    assert tariff(json.dumps(document)).digest != berlin.digest


def test_frozen_transitions_win_over_todays_time_zone_data() -> None:
    berlin = tariff(BUSINESS_YAML.replace("rounding: half_up", "time_zone: Europe/Berlin"))
    document = json.loads(berlin.document)
    document["time_zone_transitions"] = [["2000-01-01T00:00:00Z", 7200]]
    assert tariff(json.dumps(document)).zone.offsets == (7200,)


def test_components_that_tie_for_a_kind_are_refused() -> None:
    with pytest.raises(InvalidDocument, match="kind input: got 'a and b'"):
        TariffVersion("plan", 1, 0, "USD", (_component("a"), _component("b")))


def test_a_component_id_stands_once() -> None:
    with pytest.raises(InvalidDocument, match="each component id once"):
        TariffVersion("plan", 1, 0, "USD", (_component("a"), _component("a")))


@pytest.mark.parametrize(
    "fallback",
    [
        (("input", "input"),),
        (("input", "output"), ("output", "input")),
        (("request", "input"), ("input", "output"), ("output", "input")),
        (("cache_read", "audio_cache_read"),),
    ],
)
def test_a_fallback_chain_must_end(fallback: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(InvalidDocument, match="a chain that ends"):
        TariffVersion("plan", 1, 0, "USD", (_component("a"),), fallback=fallback)


def test_a_wildcard_prices_neither_money_nor_what_is_unexplained() -> None:
    priced = priced_by(plan('id: all, kinds: ["*"]'))
    assert set(priced) == set(KINDS) - {"unexplained", "pass_through_cost"}


@pytest.mark.parametrize(
    ("components", "fallback", "component"),
    [
        (["id: c, kinds: [cache_read]", 'id: all, kinds: ["*"]'], "{}", "c"),
        (['id: all, kinds: ["*"]'], "{}", "all"),
        (["id: in, kinds: [input]"], "{cache_read: input}", "in"),
        (["id: c, kinds: [cache_read]", "id: a, kinds: [audio_cache_read]"], "{}", "a"),
        (["id: c, kinds: [cache_read]", "id: a, kinds: [audio_input]"],
         "{audio_cache_read: audio_input}", "a"),
        (["id: out, kinds: [output]"], "{}", None),
    ],
)  # fmt: skip
def test_cached_audio_costs_what_names_it_or_what_cached_tokens_cost(
    components: list[str], fallback: str, component: str | None
) -> None:
    assert priced_by(plan(*components, fallback=fallback)).get("audio_cache_read") == component


def test_what_is_unexplained_can_be_priced_by_name() -> None:
    assert priced_by(plan("id: u, kinds: [unexplained]")) == {"unexplained": "u"}


def test_a_component_may_name_a_kind_beside_the_wildcard() -> None:
    prices = plan('id: all, kinds: {"*": 1, output: 4}').prices(CHAT)
    assert prices["output"].weight_pico == 4 * 10**12
    assert prices["input"].weight_pico == 10**12


def test_a_kind_that_falls_back_takes_the_weight_of_its_source() -> None:
    version = plan("id: t, kinds: {input: 1, output: 4}", fallback="{reasoning: output}")
    assert version.prices(CHAT)["reasoning"].weight_pico == 4 * 10**12


def test_a_kind_with_a_price_of_its_own_does_not_fall_back() -> None:
    version = plan(
        "id: i, kinds: [input]",
        "id: o, kinds: [output]",
        fallback="{reasoning: output, output: input}",
    )
    assert priced_by(version) == {"input": "i", "output": "o", "reasoning": "o"}


def test_a_fallback_without_a_price_at_its_end_prices_nothing() -> None:
    version = plan("id: i, kinds: [input]", fallback="{reasoning: output}")
    assert priced_by(version) == {"input": "i"}


def test_a_fallback_is_decided_by_what_prices_this_very_event() -> None:
    version = plan(
        "id: i, kinds: [input]",
        "id: o, kinds: [output], match: {model: o3}",
        fallback="{reasoning: output, output: input}",
    )
    assert priced_by(version) == {"input": "i", "output": "i", "reasoning": "i"}


def test_a_price_for_long_contexts_holds_for_every_length_of_its_band() -> None:
    """Prices are kept per band of the thresholds: asking in any order must not mix them up."""
    version = plan(
        "id: short, kinds: [input]",
        "id: above-10, kinds: [input], match: {context_above: 10}",
        "id: above-20, kinds: [input], match: {context_above: 20, model: o3}",
    )
    for length in (30, 20, 21, 10, 11, 0, 10, 30):
        expected = "above-10" if length > 10 else "short"
        assert priced_by(version, length) == {"input": expected}


def test_a_listed_model_is_found_under_each_of_its_names() -> None:
    version = plan("id: listed, kinds: [input], match: {model: [gpt-4o, o3]}")
    for model in ("gpt-4o", "o3"):
        assert "input" in version.prices(chat(model))
    assert version.prices(chat("gpt-5")) == {}


def test_many_made_up_models_do_not_change_what_a_version_prices() -> None:
    version = plan("id: i, kinds: [input]")
    for number in range(10_050):
        version.prices(chat(f"model-{number}"))
    assert priced_by(version) == {"input": "i"}


def test_a_component_is_found_by_its_id() -> None:
    version = TariffVersion("plan", 1, 0, "USD", (_component("a"),))
    found = version.component("a")
    assert found is not None
    assert found.component_id == "a"
    assert version.component("b") is None


def _component(component_id: str) -> Component:
    return plan(f"id: {component_id}, kinds: [input]").components[0]


def test_two_globs_of_one_length_may_not_both_weigh_a_model() -> None:
    weights = 'weights: {"gpt-?": {input: 2}, "gp?-5": {input: 3}}'
    with pytest.raises(
        InvalidFile, match="globs of different length where both fit one model: gpt-5"
    ):
        plan(f"id: a, kinds: [input], {weights}")


def test_a_minimum_of_nothing_is_none() -> None:
    assert plan("id: a, kinds: [input], minimum: 0").digest == plan("id: a, kinds: [input]").digest
