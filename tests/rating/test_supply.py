"""The supply side: what an event costs where it was bought, and what is left of its charge."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.documents.reading import InvalidFile
from engine.rating.charge import Charge, Supplied, TariffReference
from engine.rating.errors import BrokenInvariant, InvalidDocument, Refusal
from engine.rating.event import CommandRefused
from engine.rating.exchange import exchange_rate
from engine.rating.money import PICO, format_pico
from engine.rating.supply import SupplierCost, Supply
from tests.properties.tariffs import PRICES, Document
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at, tariff, usage

NOVEMBER = "2026-11-02T00:00:00Z"
DECEMBER = "2026-12-01T00:00:00Z"
BOUGHT = """
tariff_id: {tariff_id}
version: {version}
effective_from: {since}
effective_to: {until}
currency: {currency}
supplier_for: [{providers}]
components:
  - {{id: in, kinds: [input, cache_read], price: {{model: unit, unit_price: "{price}", per: 3}}}}
  - {{id: out, kinds: [output], price: {{model: unit, unit_price: "0.5"}}}}
"""


def bought(version: int = 1, price: str = "1", **words: str) -> str:
    return BOUGHT.format(
        version=version,
        price=price,
        **{
            "tariff_id": "cost",
            "since": "2026-01-01T00:00:00Z",
            "until": "null",
            "currency": "USD",
            "providers": "openai, azure",
            **words,
        },
    )


def with_rate(scenario: Scenario, rate: str, since: str = "2026-11-01T00:00:00Z") -> None:
    exchange = exchange_rate("EUR", "USD", rate, at(since))
    scenario.book.supply.rates.add(exchange, scenario.origin("tariffs").position.offset)


def money(pico: int | None) -> str:
    return "-" if pico is None else format_pico(pico)


def cost_and_margin(charge: Charge) -> tuple[str, str]:
    return money(charge.supplier_cost), money(charge.margin)


def test_cost_and_margin_stand_on_the_charge_with_the_version_that_rated_the_buy_side() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought())
    charge = scenario.charged("e1", NOVEMBER, {"input": 6, "output": 3})
    assert charge.amount == 9 * PICO
    assert cost_and_margin(charge) == ("3.5", "5.5")
    version = tariff(bought())
    reference = TariffReference("cost", 1, version.digest, 2)
    assert charge.supplier == Supplied(reference, "USD", 35 * PICO // 10)


def test_kinds_of_one_component_are_counted_together_within_the_event_and_no_further() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought())
    first = scenario.charged("e1", NOVEMBER, {"input": 1, "cache_read": 1})
    again = scenario.charged("e2", NOVEMBER, {"input": 1, "cache_read": 1})
    assert first.supplier_cost == again.supplier_cost == 2 * PICO // 3
    assert scenario.ledger.account("acme").counters.keys() == {"plan/tokens/acme/2026-11"}


@given(
    st.tuples(PRICES, PRICES),
    st.dictionaries(
        st.sampled_from(["input", "cache_read", "output"]), st.integers(1, 90), min_size=1
    ),
    st.sampled_from([{}, {"maximum": "20"}, {"minimum": "7"}, {"minimum": "7", "maximum": "9"}]),
    st.sampled_from([[], [{"id": "less", "kinds": ["cache_read"], "percent_off": "50"}]]),
)
def test_a_supplier_tariff_costs_what_it_would_charge_an_account(
    prices: tuple[Document, Document],
    quantities: dict[str, int],
    bounds: Document,
    promotions: list[Document],
) -> None:
    document = {
        "tariff_id": "plan",
        "version": 1,
        "effective_from": "2026-01-01T00:00:00Z",
        "currency": "USD",
        "components": [
            {
                "id": "in",
                "kinds": {"input": "1", "cache_read": "0.25"},
                "price": prices[0],
                **bounds,
            },
            {"id": "out", "kinds": ["output"], "price": prices[1]},
        ],
        "promotions": promotions,
    }
    supplier = {**document, "tariff_id": "cost", "supplier_for": ["openai"]}
    scenario = acme_on(json.dumps(document), json.dumps(supplier))
    charge = scenario.charged("e1", NOVEMBER, quantities)
    assert (charge.supplier_cost, charge.margin) == (charge.amount, 0)


def test_of_all_known_versions_the_one_in_force_counts_without_any_adoption() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought())
    scenario.charged("e1", DECEMBER, {"input": 3})
    scenario.publish(tariff(bought(2, "2", since="2026-11-02T00:00:00Z")))
    scenario.publish(tariff(bought(3, "9", since="2026-12-24T00:00:00Z")))
    costs = [
        scenario.charged(f"e{day}", day, {"input": 3}).supplier_cost
        for day in ("2026-11-01T23:59:59Z", NOVEMBER, DECEMBER, "2026-12-24T00:00:00Z")
    ]
    assert costs == [1 * PICO, 2 * PICO, 2 * PICO, 9 * PICO]


def test_after_its_end_a_version_leaves_a_gap_and_a_provider_can_be_given_up() -> None:
    scenario = acme_on(
        ONE_DOLLAR_EACH,
        bought(),
        bought(2, since="2026-11-01T00:00:00Z", until="2026-11-10T00:00:00Z", providers="openai"),
    )
    for provider, moment, cost in (
        ("azure", "2026-10-31T23:59:59Z", "1"),
        ("azure", NOVEMBER, "-"),
        ("openai", NOVEMBER, "1"),
        ("openai", "2026-11-10T00:00:00Z", "-"),
        ("anthropic", NOVEMBER, "-"),
    ):
        charge = scenario.charged(f"{provider}{moment}", moment, {"input": 3}, provider=provider)
        assert money(charge.supplier_cost) == cost
        assert (charge.supplier is None) == (charge.margin is None) == (cost == "-")


def test_a_kind_that_the_supplier_does_not_price_makes_the_whole_cost_unknown() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought())
    charge = scenario.charged("e1", NOVEMBER, {"input": 3, "image": 1})
    assert charge.amount == 4 * PICO
    assert cost_and_margin(charge) == ("-", "-")
    assert charge.supplier is not None
    assert (charge.supplier.tariff.tariff_id, charge.supplier.cost) == ("cost", None)


def test_a_line_in_suspense_leaves_the_cost_and_takes_the_margin() -> None:
    sold = ONE_DOLLAR_EACH.replace('["*"]', "[input]")
    charge = acme_on(sold, bought()).charged("e1", NOVEMBER, {"input": 3, "output": 2})
    assert cost_and_margin(charge) == ("2", "-")


def test_an_account_that_is_not_open_has_no_currency_and_so_no_cost() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought())
    charge = scenario.charged("e1", NOVEMBER, {"input": 3}, account_id="globex")
    assert (charge.supplier, charge.supplier_cost, charge.margin) == (None, None, None)


def test_a_cost_in_another_currency_is_converted_at_the_rate_of_the_time_of_use() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought(currency="EUR"))
    with_rate(scenario, "1.10", DECEMBER)
    with_rate(scenario, "1.05")
    november = scenario.charged("e1", NOVEMBER, {"input": 6})
    december = scenario.charged("e2", DECEMBER, {"input": 6})
    assert cost_and_margin(november) == ("2.1", "3.9")
    assert cost_and_margin(december) == ("2.2", "3.8")
    assert november.supplier is not None
    assert december.supplier is not None
    assert (november.supplier.currency, november.supplier.cost) == ("EUR", 2 * PICO)
    assert (november.supplier.rate, december.supplier.rate) == ("1.05", "1.1")
    assert november.supplier.rate_offset == december.supplier.rate_offset + 1


def test_without_a_rate_in_force_the_cost_stands_in_its_own_currency_alone() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought(currency="EUR"))
    with_rate(scenario, "1.10", DECEMBER)
    charge = scenario.charged("e1", NOVEMBER, {"input": 6})
    assert cost_and_margin(charge) == ("-", "-")
    assert charge.supplier is not None
    assert (charge.supplier.cost, charge.supplier.rate) == (2 * PICO, "")
    assert charge.supplier.rate_offset == -1


def cost_of(*versions: str, rate: str = "", **quantities: int) -> SupplierCost:
    supply = Supply()
    for offset, text in enumerate(versions):
        supply.add(tariff(text), offset)
    if rate:
        supply.rates.add(exchange_rate("EUR", "USD", rate, at("2026-01-01T00:00:00Z")), 9)
    return supply.cost(usage(quantities=quantities), "USD")


def test_the_whole_is_floored_once_and_each_kind_by_itself() -> None:
    cost = cost_of(bought(currency="EUR"), rate="0.5", input=1, cache_read=1)
    assert cost.supplied is not None
    assert cost.supplied.cost == 666_666_666_666
    assert cost.total == 333_333_333_333
    assert cost.by_kind == {"input": 166_666_666_666, "cache_read": 166_666_666_666}


def test_what_one_kind_costs_is_known_also_where_another_has_no_price() -> None:
    cost = cost_of(bought(), input=3, image=1)
    assert (cost.total, cost.by_kind) == (None, {"input": PICO, "image": None})
    unknown = cost_of(bought(currency="EUR"), input=3)
    assert (unknown.total, unknown.by_kind) == (None, {"input": None})


def test_units_under_a_promotion_are_counted_behind_the_others_as_in_a_counter() -> None:
    text = bought() + (
        "promotions:\n  - {id: half, kinds: [input], percent_off: 50, match: {model: gpt-4o}}\n"
    )
    cost = cost_of(text, input=1, cache_read=1)
    assert cost.by_kind == {"input": 166_666_666_667, "cache_read": 333_333_333_333}


COST_PLUS = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - id: resale
    kinds: ["*"]
    markup_percent: "20"
    price: {model: percentage, rate_percent: "100", of: supplier_cost}
"""


def test_usage_can_be_sold_at_what_it_costs_and_a_share_on_top() -> None:
    scenario = acme_on(COST_PLUS, bought(currency="EUR"))
    unknown = scenario.charged("e1", NOVEMBER, {"input": 6})
    assert [(line.status, line.reason) for line in unknown.lines] == [
        ("suspense", "no_supplier_cost")
    ]
    with_rate(scenario, "1.5")
    charge = scenario.charged("e2", NOVEMBER, {"input": 6, "output": 2})
    assert [(line.kind, money(line.amount)) for line in charge.lines] == [
        ("input", "3.6"),
        ("output", "1.8"),
    ]
    assert cost_and_margin(charge) == ("4.5", "0.9")
    part = scenario.charged("e3", NOVEMBER, {"input": 6, "image": 1})
    assert [money(line.amount) for line in part.lines] == ["3.6", "-"]
    assert cost_and_margin(part) == ("-", "-")


def test_cached_audio_is_sold_at_what_it_costs_which_is_what_cached_tokens_cost() -> None:
    scenario = acme_on(COST_PLUS, bought())
    charge = scenario.charged("e1", NOVEMBER, {"cache_read": 3, "audio_cache_read": 6})
    assert [(line.kind, money(line.amount)) for line in charge.lines] == [
        ("cache_read", "1.2"),
        ("audio_cache_read", "2.4"),
    ]
    assert cost_and_margin(charge) == ("3", "0.6")


@pytest.mark.parametrize("kinds", ["[cache_read]", "[audio_cache_read]", '["*"]'])
def test_no_price_of_a_promotion_meets_a_share_of_supplier_cost(kinds: str) -> None:
    cached = COST_PLUS.replace('["*"]', "[cache_read]")
    offer = f"{{id: p, kinds: {kinds}, price: {{model: unit, unit_price: 1}}}}"
    with pytest.raises(InvalidFile, match="percent_off for all units"):
        tariff(f"{cached}promotions: [{offer}]\n")


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_two_supplier_tariffs_for_one_provider_are_refused(provider: str) -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought())
    other = tariff(bought(tariff_id="other", providers=f"mistral, {provider}"))
    with pytest.raises(InvalidDocument, match=f"supplier_for: got '{provider}'.*it has cost"):
        scenario.book.check(other)
    with pytest.raises(InvalidDocument, match="a provider without a supplier tariff"):
        scenario.publish(other)
    assert scenario.book.tariff_ids() == ["cost", "plan"]
    charge = scenario.charged("e1", NOVEMBER, {"input": 3}, provider="mistral")
    assert charge.supplier is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (bought(), ONE_DOLLAR_EACH.replace("plan", "cost").replace("version: 1", "version: 2")),
        (ONE_DOLLAR_EACH, bought(2, tariff_id="plan")),
    ],
)
def test_a_tariff_does_not_change_sides(first: str, second: str) -> None:
    scenario = Scenario()
    scenario.publish(tariff(first))
    with pytest.raises(InvalidDocument, match=r"supplier_for: got .*as in version 1"):
        scenario.publish(tariff(second))


def test_no_account_is_assigned_to_a_supplier_tariff() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, bought())
    change = scenario.assign("cost").change
    assert isinstance(change, CommandRefused)
    assert change.refusal.code == "supplier_tariff"
    assert scenario.charged("e1", NOVEMBER, {"input": 3}).amount == 3 * PICO


def test_a_margin_that_contradicts_the_charge_is_refused_by_the_fold() -> None:
    charge = acme_on(ONE_DOLLAR_EACH, bought()).charged("e1", NOVEMBER, {"input": 3})
    for wrong in (
        charge._replace(margin=2 * PICO + 1),
        charge._replace(margin=None),
        charge._replace(supplier_cost=None),
    ):
        with pytest.raises(BrokenInvariant, match="margin"):
            acme_on(ONE_DOLLAR_EACH, bought()).ledger.apply(wrong)


@pytest.mark.parametrize(("rate", "tokens"), [("", 10**15), ("99999999999999999999999999", 1000)])
def test_a_cost_that_leaves_its_decimal_is_refused(rate: str, tokens: int) -> None:
    dear = bought(price="999999999", currency="EUR" if rate else "USD").replace(
        "[input, cache_read]", '{input: "999999999"}'
    )
    scenario = acme_on(ONE_DOLLAR_EACH.replace('unit_price: "1"', "unit_price: 0"), dear)
    if rate:
        with_rate(scenario, rate)
    refused = scenario.use("e1", NOVEMBER, {"input": tokens})
    assert isinstance(refused, Refusal)
    assert refused.code == "amount_overflow"
    assert "supplier_cost" in refused.explanation


def test_the_bounds_of_a_supplier_s_component_hold_over_its_promotions() -> None:
    capped = """
tariff_id: cost
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
supplier_for: [openai]
components:
  - {id: in, kinds: [input, output], maximum: "10", price: {model: unit, unit_price: "1"}}
promotions:
  - {id: less, kinds: [output], percent_off: "50"}
"""
    scenario = acme_on(ONE_DOLLAR_EACH, capped)
    charge = scenario.charged("e1", NOVEMBER, {"input": 8, "output": 10})
    assert charge.supplier_cost == 10 * PICO
