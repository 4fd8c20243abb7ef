"""The language of the price list tests: a list of one model a line, and what usage pays by it."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from engine.adapters.price_list import ImportedPrices, import_price_list
from engine.rating.money import format_decimal
from engine.rating.plan import KindPrice
from engine.rating.usage import UsageEvent, check_usage
from tests.rating.scenario import usage_fields

REAL = Path(__file__).parent.parent / "data" / "model_prices.json"
START = datetime(2026, 1, 1, tzinfo=UTC)


def written(text: str) -> str:
    """Return the JSON of a list; values go through as they stand, digit by digit."""
    entries = []
    for line in text.strip().splitlines():
        key, provider, *fields = line.split()
        pairs = [f'"{name}": {value}' for name, value in (field.split("=") for field in fields)]
        entries.append(f'"{key}": {{"litellm_provider": "{provider}", {", ".join(pairs)}}}')
    return "{" + ", ".join(entries).replace(", }", "}") + "}"


def imported(text: str, **options: Any) -> ImportedPrices:
    """Import a list under a tariff named `list`."""
    given_options: dict[str, Any] = {"tariff_id": "list", "version": 1, "effective_from": START}
    return import_price_list(text, **{**given_options, **options})


@cache
def the_real_list() -> ImportedPrices:
    """Import the whole list as it is published; once, since it takes seconds."""
    return imported(REAL.read_text(), effective_from=datetime(2023, 1, 1, tzinfo=UTC))


def price(
    prices: ImportedPrices,
    usage: str,
    kind: str,
    *,
    tier: str = "standard",
    context: int = 1000,
    at: str = "2026-11-02T12:00:00Z",
    **rest: Any,
) -> str | None:
    """Return the unit price of a kind for the usage (``provider model``); None: suspense.

    A price for another number of units than a million tokens, or one, is shown as ``1 per 1000``; one
    that is due once a call as ``flat 1``. `rest` are fields of the usage: region, attributes ...
    """
    provider, model = usage.split()
    quantities = {"input": context} if context else {"output": 1}
    fields = usage_fields("e1", at, quantities, provider=provider, model=model, **rest)
    attributes = frozenset(rest.get("attributes", ()))
    event = check_usage({**fields, "service_tier": tier}, attributes)
    assert isinstance(event, UsageEvent), event
    found = prices.version.prices(event).get(kind)
    return None if found is None else _shown(found)


def _shown(found: KindPrice) -> str:
    price = found.component.price
    (tier,) = price.tiers
    if price.model == "flat":
        return f"flat {format_decimal(tier.flat_fee)}"
    text = format_decimal(tier.unit_price)
    return text if price.per in (1, 1_000_000) else f"{text} per {price.per}"


GPT = "gpt-4o openai input_cost_per_token=2.5e-06 output_cost_per_token=1e-05"
