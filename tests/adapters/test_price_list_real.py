"""The real price list against two other projects' programs: whole traces, and single calls.

genai-prices states exact decimals, so totals are compared exactly; LiteLLM's are binary floats,
compared to a relative 1e-9.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.price_list import ImportedPrices, import_price_list
from engine.rating.money import PICO, parse_decimal
from engine.rating.period import format_instant
from tests.adapters.price_lists import REAL, the_real_list
from tests.data.traces import (
    AZURE_CODE,
    MOONCAKE,
    MOONCAKE_START,
    TraceRow,
    azure_code_rows,
    mooncake_rows,
)
from tests.rating.scenario import Scenario

DATA = Path(__file__).parent.parent / "data"
START = datetime(2023, 1, 1, tzinfo=UTC)
KAFKA_RECORD_LIMIT = 16 * 1024 * 1024
FACTS = {
    *("litellm_provider", "mode", "max_input_tokens", "max_output_tokens", "deprecation_date"),
    *("prompt_cache_min_tokens", "output_vector_size"),
}
"""Fields of the list that are no price."""


@pytest.fixture(scope="module")
def real() -> ImportedPrices:
    """Import the whole list, once."""
    return the_real_list()


def scenario_on(prices: ImportedPrices) -> Scenario:
    """Return a scenario in which acme is on the imported prices."""
    scenario = Scenario()
    scenario.publish(prices.version)
    scenario.open()
    scenario.assign("list", "2023-01-01T00:00:00Z")
    return scenario


def test_every_field_of_the_real_list_is_a_price_a_fact_or_a_named_problem(
    real: ImportedPrices,
) -> None:
    entries = json.loads(REAL.read_text(), parse_float=str)
    fields = sum(name not in FACTS for entry in entries.values() for name in entry)
    assert real.models == len(entries) == 4455
    assert real.expressed + len(real.problems) == fields
    assert real.expressed == 17_107


def test_what_the_real_list_says_that_no_price_can_hold_is_counted_by_reason(
    real: ImportedPrices,
) -> None:
    assert Counter(problem.reason for problem in real.problems) == {
        "the same price once more, in Databricks units instead of money": 151,
        "free searches shared by models and a whole project, not an account": 47,
        "no kind of usage stands for cached images; they cost what cached tokens cost": 28,
        "no kind of usage stands for tokens of video": 27,
        "a call counts the images that it makes; the price of images it is given has no kind": 25,
        "no kind of usage stands for audio put in a cache; it costs what other tokens cost there": 24,
        "several prices of one kind, which counts once for each call": 8,
        "priced per pixel, and the name does not say how many pixels an image has": 7,
        "priced by the seconds between two pictures of a video": 4,
        "no kind of usage counts text messages of a conversation": 3,
    }


def test_every_model_of_the_real_list_with_a_price_has_a_component(real: ImportedPrices) -> None:
    named = {c["match"]["model"] for c in real.document["components"]}
    silent = {name for name in json.loads(REAL.read_text()) if name not in named}
    reported = {problem.entry for problem in real.problems}
    assert len(real.without_price) == 94
    assert silent - set(real.without_price) <= reported
    assert len(silent) == 99


def test_the_real_list_fits_into_one_kafka_record(real: ImportedPrices) -> None:
    assert len(real.version.document.encode()) < KAFKA_RECORD_LIMIT // 2


def test_no_float_is_in_the_document_of_the_real_list(real: ImportedPrices) -> None:
    assert not any(isinstance(value, float) for value in leaves(real.document))


def leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def azure_bucket(row: TraceRow) -> str:
    return datetime.fromtimestamp(row.occurred_at // 1_000_000, UTC).strftime("%Y-%m-%d %H")


def mooncake_bucket(row: TraceRow) -> str:
    start = int(MOONCAKE_START.timestamp()) * 1_000_000
    return str((row.occurred_at - start) // (600 * 1_000_000))


TRACES: dict[str, tuple[Callable[[], Iterator[TraceRow]], Callable[[TraceRow], str]]] = {
    AZURE_CODE: (azure_code_rows, azure_bucket),
    MOONCAKE: (mooncake_rows, mooncake_bucket),
}
RUNS: list[dict[str, Any]] = json.loads((DATA / "traces" / "expected_totals.json").read_text())


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run['model']}-{run['trace'][:5]}")
def test_a_whole_trace_costs_what_genai_prices_says(
    run: dict[str, Any], real: ImportedPrices
) -> None:
    rows, bucket_of = TRACES[run["trace"]]
    scenario = scenario_on(real)
    buckets: dict[str, int] = {}
    for row in rows():
        cached = row.cached if run["prefix_cached"] else 0
        charge = scenario.charged(
            f"row-{row.row}",
            format_instant(row.occurred_at),
            {"input": row.input - cached, "cache_read": cached, "output": row.output},
            provider=run["provider"],
            model=run["model"],
        )
        bucket = bucket_of(row)
        buckets[bucket] = buckets.get(bucket, 0) + charge.amount
    account = scenario.ledger.account("acme")
    assert (account.charges, account.suspended_lines) == (run["requests"], 0)
    assert account.due == pico(run["genai_prices_0.2.3"]["total"])
    expected = {name: pico(bucket["total"]) for name, bucket in run["by_bucket"].items()}
    assert buckets == expected


def pico(text: str) -> Fraction:
    return parse_decimal(text) * PICO


ORACLE: dict[str, Any] = json.loads(
    (DATA / "vectors" / "oracle_litellm.json").read_text(), parse_float=str
)
PROMPT_KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input")


@pytest.fixture(scope="module")
def oracle_prices() -> ImportedPrices:
    """Import the price entries of the oracle, each under the provider its rows name."""
    providers = {row["price_ref"]: row["provider"] for row in ORACLE["rows"]}
    entries = {
        name: {"litellm_provider": providers[name], **entry}
        for name, entry in ORACLE["prices"].items()
    }
    text = json.dumps(entries)
    return import_price_list(text, tariff_id="list", version=1, effective_from=START)


def quantities_of(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return disjoint kinds: LiteLLM counts cached, written and audio tokens in prompt_tokens."""
    prompt = usage["prompt_tokens_details"] or {}
    completion = usage["completion_tokens_details"] or {}
    written = prompt.get("cache_creation_tokens", 0)
    hour = (prompt.get("cache_creation_token_details") or {}).get("ephemeral_1h_input_tokens") or 0
    cached, audio = prompt.get("cached_tokens", 0), prompt.get("audio_tokens", 0)
    reasoning = completion.get("reasoning_tokens", 0)
    return {
        "input": usage["prompt_tokens"] - cached - written - audio,
        "cache_read": cached,
        "cache_write_5m": written - hour,
        "cache_write_1h": hour,
        "audio_input": audio,
        "output": usage["completion_tokens"] - reasoning,
        "reasoning": reasoning,
    }


def costs(prices: ImportedPrices, row: Mapping[str, Any]) -> tuple[int, int]:
    """Return what the prompt and the completion of an oracle row cost, in pico."""
    charge = scenario_on(prices).charged(
        row["id"],
        row["at"],
        {kind: quantity for kind, quantity in quantities_of(row["usage"]).items() if quantity},
        provider=row["provider"],
        model=row["model"],
        service_tier=row["service_tier"] or "standard",
    )
    prompt = completion = 0
    for line in charge.lines:
        assert line.amount is not None, line
        if line.kind in PROMPT_KINDS:
            prompt += line.amount
        else:
            completion += line.amount
    return prompt, completion


def nearly(amount: int, expected: str) -> bool:
    """Say whether an exact amount is a binary float's, to a relative 1e-9."""
    wanted = Fraction(expected) * PICO
    return abs(amount - wanted) <= wanted / 10**9


@pytest.mark.parametrize("row", ORACLE["rows"], ids=lambda row: row["id"])
def test_a_call_costs_what_litellm_says(row: dict[str, Any], oracle_prices: ImportedPrices) -> None:
    prompt, completion = costs(oracle_prices, row)
    assert nearly(prompt, row["expected"]["prompt_cost"])
    assert nearly(completion, row["expected"]["completion_cost"])


def test_no_row_is_left_out_and_prices_that_look_like_a_slip_are_named(
    oracle_prices: ImportedPrices,
) -> None:
    assert len(ORACLE["rows"]) == 199
    assert not [p for p in oracle_prices.problems if "audio" not in p.field]
    slip = "cache_creation_input_token_cost_above_200k_tokens"
    assert {(doubt.entry, doubt.field) for doubt in oracle_prices.doubts} == {
        ("gemini-2.5-pro", slip)
    }


LITELLM_RUNS = """
claude-haiku-4-5                            anthropic         batch     input 10007, cache_read 3001, cache_write_5m 1009, cache_write_1h 2003, output 411  0.008063550000000001
o3                                          openai            batch     input 10007, cache_read 3001, output 411, reasoning 97                             0.015039999999999998
gpt-5.4                                     openai            batch     input 272000, output 411                                                           0.3430825
gpt-5.4                                     openai            batch     input 272001, output 411                                                           0.6846262500000001
anthropic.claude-sonnet-4-5-20250929-v1:0   bedrock_converse  batch     input 200001, output 411                                                           0.303084
anthropic.claude-sonnet-4-5-20250929-v1:0   bedrock_converse  standard  input 200001, output 411                                                           1.2092535000000002
gemini/gemini-2.5-flash-lite                gemini            batch     input 1009, audio_input 2003, output 411, reasoning 97                             0.0004525
azure/gpt-5.5                               azure             flex      input 300001, cache_read 3001, output 411                                          1.521501
azure/gpt-5.5                               azure             priority  input 272001, output 411                                                           5.477010000000001
azure/gpt-6-astra                           azure             flex      input 100003, output 411                                                           1.02058
azure/gpt-6-astra                           azure             flex      input 300001, output 411                                                           3.0154225
xai/grok-4.20                               xai               standard  input 199999, output 411                                                           0.25102625
xai/grok-4.20                               xai               standard  input 200000, output 411                                                           0.502055
gpt-audio                                   openai            standard  input 1009, audio_input 2003, output 411, audio_output 97                          0.07693649999999999
gemini-2.5-flash-image                      google            standard  input 1009, image_input 2003, output 411, image_output 1290                        0.040631099999999996
gpt-4o-mini                                 openai            flex      input 1009, output 97                                                              0.00020955
gemini/gemini-2.5-flash                     gemini            standard  input 1009, cache_read 3001, audio_cache_read 2003, audio_input 307, output 411    0.00192753
gemini/gemini-2.5-flash                     gemini            flex      input 1009, cache_read 3001, audio_cache_read 2003, audio_input 307, output 411    0.00110893
gemini/gemini-2.5-flash                     gemini            priority  input 1009, cache_read 3001, audio_cache_read 2003, audio_input 307, output 411    0.003469554
gemini/gemini-2.5-flash                     gemini            batch     input 1009, cache_read 3001, audio_cache_read 2003, audio_input 307, output 411    0.00110893
gemini-3.1-flash-lite                       google            priority  input 1009, cache_read 3001, audio_cache_read 2003, audio_input 307, output 411    0.002075245
gemini-3.1-flash-lite                       google            batch     input 1009, cache_read 3001, audio_cache_read 2003, audio_input 307, output 411    0.0005736749999999999
gpt-realtime-mini                           openai            standard  input 1009, cache_read 3001, audio_cache_read 2003, audio_input 307, output 411    0.0054427600000000005
"""
"""Our own runs of litellm 1.109.1 (of cached audio: 1.108.7) on entries of the list: `generic_cost_per_token`, and for batch
`batch_cost_calculator`. Model, provider, tier, usage, cost."""


@pytest.mark.parametrize("run", LITELLM_RUNS.strip().splitlines())
def test_batches_thresholds_and_other_tokens_cost_what_litellm_says(
    run: str, real: ImportedPrices
) -> None:
    model, provider, tier, rest = run.split(maxsplit=3)
    usage, cost = rest.rsplit(maxsplit=1)
    quantities = {kind: int(number) for kind, number in map(str.split, usage.split(", "))}
    charge = scenario_on(real).charged(
        "e1",
        "2026-11-01T00:00:00Z",
        quantities,
        provider=provider,
        model=model,
        service_tier=tier,
    )
    assert nearly(charge.amount, cost)
