"""The language of the price list tests: a list of one model a line, and what usage pays by it."""

from datetime import UTC, datetime
from typing import Any

from engine.adapters.price_list import ImportedPrices, import_price_list

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


def price(
    prices: ImportedPrices,
    usage: str,
    kind: str,
    *,
    tier: str = "standard",
    context: int = 1000,
) -> str | None:
    """Return what a million tokens of a kind cost the usage (``provider model``); None: suspense."""
    provider, model = usage.split()
    found = prices.version.prices((model, provider, "chat", tier), context).get(kind)
    return None if found is None else f"{found.component.price.slices(0, 1)[0].unit_price}"


GPT = "gpt-4o openai input_cost_per_token=2.5e-06 output_cost_per_token=1e-05"
