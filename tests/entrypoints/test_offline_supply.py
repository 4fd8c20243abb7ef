"""Offline rating knows the buy side too: supplier tariffs and exchange rates are given like tariffs."""

import pytest

from engine.adapters.documents.usage import usage_json
from engine.entrypoints.offline import OfflineRating
from engine.rating.charge import Charge
from engine.rating.errors import InvalidDocument
from engine.rating.exchange import exchange_rate
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, at, tariff, usage_fields

COST = """
tariff_id: a-supplier
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: EUR
supplier_for: [openai]
components: [{id: tokens, kinds: ["*"], price: {model: unit, unit_price: "0.5"}}]
"""
RATE = exchange_rate("EUR", "USD", "1.1", at("2026-01-01T00:00:00Z"))
USAGE = usage_json(usage_fields("e1", "2026-11-02T00:00:00Z", {"input": 4}))


def test_accounts_are_opened_on_the_tariff_to_sell_by_and_bought_for_by_the_others() -> None:
    rating = OfflineRating([tariff(COST), tariff(ONE_DOLLAR_EACH)], None, frozenset(), [RATE])
    (charge,) = rating.rate(USAGE, 0)
    assert isinstance(charge, Charge)
    assert charge.tariff is not None
    assert charge.supplier is not None
    assert charge.tariff.tariff_id == "plan"
    assert (charge.amount, charge.supplier_cost) == (4 * PICO, 22 * PICO // 10)
    assert charge.margin == 18 * PICO // 10
    assert (charge.supplier.tariff.offset, charge.supplier.rate_offset) == (0, 2)


def test_without_the_rate_the_cost_stands_in_its_own_currency() -> None:
    rating = OfflineRating([tariff(COST), tariff(ONE_DOLLAR_EACH)], None, frozenset())
    (charge,) = rating.rate(USAGE, 0)
    assert isinstance(charge, Charge)
    assert charge.supplier is not None
    assert (charge.supplier.cost, charge.supplier_cost) == (2 * PICO, None)


def test_a_suppliers_tariff_alone_opens_no_account() -> None:
    with pytest.raises(InvalidDocument, match="expected one tariff, or --accounts"):
        OfflineRating([tariff(COST)], None, frozenset())
