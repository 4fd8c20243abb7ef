"""The price pages: published, rated offline and through Kafka, and their arithmetic worked out."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.documents.usage import parse_usage
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.entrypoints.offline import OfflineRating
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AssignTariff, ClosePeriod, OpenAccount, Order
from engine.rating.errors import Refusal
from engine.rating.language import require_language
from engine.rating.money import format_pico
from engine.rating.period import FIRST_INSTANT
from engine.rating.rules import LATEST_REVISION
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.settings import WorkerSettings
from tests.docs.price_pages import FOLDER, PAGES, Row, page, price_list, rows_of, worked_out
from tests.golden.tables import money, table
from tests.rating.scenario import at
from tests.stream.deployment import Deployment, turns_until

ATTRIBUTES = frozenset({"quality", "size"})
CLOSED = ("2026-09", "2026-10")
CLOSED_AT = at("2026-11-01T00:00:00Z")
LISTED = table(Path(__file__).with_name("listed_prices.txt").read_text().splitlines())


def rated(name: str) -> list[Charge]:
    """Rate a page's usage offline, and close the months that are over on the first of November."""
    rating = OfflineRating(page(name).versions, None, ATTRIBUTES)
    charges = []
    for line, data in enumerate(page(name).usage):
        (charge,) = rating.rate(data, line)
        assert isinstance(charge, Charge), charge
        charges.append(charge)
    return [*charges, *(r for r in rating.advance(CLOSED_AT) if isinstance(r, Charge))]


def rows(charges: Sequence[Charge]) -> list[Row]:
    return [row for charge in charges for row in rows_of(charge)]


def test_there_are_ten_pages_and_the_index_links_each() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(PAGES) == 10
    assert all(f"]({name}/README.md)" in index for name in PAGES)


def test_every_page_may_be_published_beside_the_others() -> None:
    book = TariffBook()
    for offset, version in enumerate(version for name in PAGES for version in page(name).versions):
        require_language(version, LATEST_REVISION)
        assert book.add(version, offset) is not None


@pytest.mark.parametrize("name", PAGES)
def test_the_usage_of_a_page_costs_what_the_page_says_line_by_line(name: str) -> None:
    charges = rated(name)
    assert rows(charges) == page(name).rows
    assert format_pico(sum(charge.amount for charge in charges)) == page(name).total


@pytest.mark.parametrize("name", PAGES)
def test_the_arithmetic_of_a_page_comes_to_its_amounts_without_the_engine(name: str) -> None:
    shown = page(name)
    assert [worked_out(text) for text in shown.arithmetic] == [row.amount for row in shown.rows]
    assert sum(Fraction(row.amount) for row in shown.rows) == Fraction(shown.total)


def test_cost_and_margin_are_those_that_the_resale_page_shows() -> None:
    charges = rated("resale")
    assert page("resale").margins == [
        (charge.event_id, money(charge.supplier_cost), money(charge.margin)) for charge in charges
    ]


@pytest.mark.parametrize("row", LISTED, ids=lambda row: f"{row['page']}-{row['component']}")
def test_a_listed_price_is_the_list_s(row: dict[str, str]) -> None:
    listed: Any = price_list()[row["entry"]]
    for field in row["field"].split("."):
        listed = listed[field]
    units = 1000 if row["field"].endswith("per_second") else 1
    (component,) = [
        component
        for version in page(row["page"]).versions
        for component in version.components
        if component.component_id == row["component"]
    ]
    assert component.price.tiers[0].unit_price / component.price.per == listed / units


@pytest.mark.parametrize("entry", ["deepseek/deepseek-v4-flash", "deepseek/deepseek-v4-pro"])
def test_off_peak_the_list_halves_every_price_of_deepseek(entry: str) -> None:
    listed = price_list()[entry]
    off_peak = listed["off_peak_pricing"]
    fields = [field for field in off_peak if "cost" in field]
    assert len(fields) == 3
    assert all(off_peak[field] * 2 == listed[field] for field in fields)


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    yield deployment
    deployment.close()


def orders(plan: TariffVersion, account_id: str) -> list[AccountCommand]:
    """Return what opens an account in the plan's currency and zone, on the plan."""
    opening: tuple[Order, ...] = (
        OpenAccount(plan.currency, plan.zone),
        AssignTariff(plan.tariff_id, FIRST_INSTANT, None),
    )
    return [
        AccountCommand(f"{account_id}/{number}", account_id, "", order)
        for number, order in enumerate(opening)
    ]


@pytest.mark.kafka
def test_all_pages_are_published_and_rated_through_kafka_as_they_say(
    deployment: Deployment,
) -> None:
    usage, accounts, published = [], {}, list[TariffVersion]()
    for name in PAGES:
        versions = page(name).versions
        (plan,) = [version for version in versions if not version.is_of_supplier]
        published += versions
        for data in page(name).usage:
            accounts[data["account_id"]] = (name, plan)
            fields = parse_usage(data)
            assert not isinstance(fields, Refusal), fields
            usage.append(fields)
    deployment.publish_tariff(*published)
    with KafkaPublisher(deployment.settings) as publisher:
        publisher.commands([o for name, (_, plan) in accounts.items() for o in orders(plan, name)])
    deployment.send_usage(usage)
    settings = WorkerSettings(allowed_attributes=ATTRIBUTES)
    with deployment.worker(settings=settings) as worker:
        deployment.work_until(worker, len(usage))
        close = [
            AccountCommand(f"close/{month}", account_id, "", ClosePeriod(month))
            for account_id in ("acme", "carrier-customer", "reseller-customer")
            for month in CLOSED
        ]
        with KafkaPublisher(deployment.settings) as publisher:
            publisher.commands(close)
        expected = [row for name in PAGES for row in page(name).rows]
        turns_until(
            worker.turn,
            lambda: len(rows(deployment.charges())),
            lambda count: count >= len(expected),
        )
    charges = deployment.charges()
    for name in PAGES:
        own = [charge for charge in charges if accounts[charge.account_id][0] == name]
        assert sorted(rows(own)) == sorted(page(name).rows)
