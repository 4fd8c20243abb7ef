"""Random usage of real models costs what the list's own arithmetic says."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from engine.adapters.price_list import ImportedPrices, import_price_list
from engine.entrypoints.offline import OfflineRating
from engine.rating.charge import Charge
from engine.rating.money import PICO
from engine.rating.reachability import unreachable
from tests.adapters.price_arithmetic import FIELDS, OTHERS, cost
from tests.adapters.price_lists import REAL

SEED = 20_261_124
MODELS, CALLS = 200, 12
TIERS = ("standard", "standard", "batch", "priority", "flex", "balanced", "ultrafast")
START = datetime(2026, 11, 1, tzinfo=UTC)
LIST: dict[str, dict[str, Any]] = json.loads(REAL.read_text(), parse_float=str)


def chosen_models() -> list[str]:
    """Return 200 models: some of each shape of price that is rare, the others at random."""
    random = Random(SEED)  # noqa: S311 - seeded on purpose
    names = sorted(name for name in LIST if "*" not in name)
    chosen: dict[str, None] = {}
    for shape in (
        *("tiered_pricing", "off_peak_pricing", "output_cost_per_reasoning_token", "_batches"),
        *("_above_200k_tokens", "_above_272k_tokens", "_flex", "_ultrafast", "_balanced"),
        *("uplift", "provider_specific_entry", "_above_12hr", "explicit_cache", "second_1080p"),
        *("audio_token", "image_token", "per_second", "per_character", "per_image", "per_query"),
    ):
        having = [name for name in names if any(shape in field for field in LIST[name])]
        chosen.update(dict.fromkeys(random.sample(having, min(8, len(having)))))
    chosen.update(dict.fromkeys(random.sample(names, MODELS)))
    return list(chosen)[:MODELS]


def calls_of(name: str) -> Iterator[tuple[dict[str, int], str, datetime]]:
    """Yield random usage of a model: kinds it has a price for, a tier, a time of the week."""
    random = Random(f"{SEED} {name}")  # noqa: S311 - seeded on purpose
    has_tokens = "tiered_pricing" in LIST[name] or any("per_token" in field for field in LIST[name])
    others = [
        kind for kind, (fields, _) in OTHERS.items() if not LIST[name].keys().isdisjoint(fields)
    ]
    searches = ["search"] if any("per_query" in field for field in LIST[name]) else []
    for _ in range(CALLS):
        kinds = random.sample(list(FIELDS), random.randint(1, 5)) if has_tokens else []
        kinds += (
            random.sample(others + searches, random.randint(not has_tokens, 1))
            if others + searches
            else []
        )
        longest = random.choice((10, 5_000, 150_000, 300_000))
        quantities = {kind: random.randint(1, longest) for kind in kinds}
        at = START + timedelta(minutes=random.randrange(7 * 24 * 60))
        yield quantities, random.choice(TIERS), at


@pytest.fixture(scope="module")
def prices() -> ImportedPrices:
    """Import the list of the chosen models alone."""
    text = json.dumps({name: LIST[name] for name in chosen_models()})
    return import_price_list(
        text, tariff_id="list", version=1, effective_from=datetime(2023, 1, 1, tzinfo=UTC)
    )


@pytest.fixture(scope="module")
def rating(prices: ImportedPrices) -> OfflineRating:
    """Rate offline by these prices."""
    return OfflineRating([prices.version], None, frozenset())


def test_usage_can_meet_every_component_of_an_import(prices: ImportedPrices) -> None:
    assert list(unreachable(prices.version)) == []


def usage_event(
    name: str, number: int, call: tuple[dict[str, int], str, datetime]
) -> dict[str, Any]:
    quantities, tier, at = call
    return {
        "account_id": "acme",
        "source": "gateway-1",
        "event_id": f"{name} {number}",
        "occurred_at": at.isoformat().replace("+00:00", "Z"),
        "provider": LIST[name]["litellm_provider"],
        "model": name,
        "service_tier": tier,
        "quantities": quantities,
    }


@pytest.mark.parametrize("name", chosen_models())
def test_random_usage_costs_what_the_raw_fields_of_the_list_say(
    name: str, rating: OfflineRating
) -> None:
    for number, call in enumerate(calls_of(name)):
        if not call[0]:
            continue
        (charge,) = rating.rate(usage_event(name, number, call), number)
        assert isinstance(charge, Charge), charge
        expected = cost(LIST[name], *call)
        suspended = any(line.amount is None for line in charge.lines)
        assert suspended == (expected is None), call
        if expected is not None:
            assert 0 <= expected * PICO - charge.amount < len(charge.lines), call


def test_most_of_the_random_usage_has_a_price() -> None:
    costs = [cost(LIST[name], *call) for name in chosen_models() for call in calls_of(name)]
    assert len(chosen_models()) == MODELS
    assert sum(isinstance(amount, Fraction) for amount in costs) > len(costs) // 2
