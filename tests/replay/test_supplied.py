"""What a partition knew of the supply side when it rated is what every replay rates with again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.authority import encode_registration, encode_revision
from engine.adapters.avro.exchange import encode_exchange_rate
from engine.adapters.avro.journal import decode_commit
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.memory import MemoryCluster, MemoryLog
from engine.adapters.tariff_log import TARIFFS, TariffLog
from engine.entrypoints.cli.audit import explanation_lines
from engine.ports import LogRecord, TopicPartition
from engine.rating.authority import OPEN
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand
from engine.rating.exchange import exchange_rate
from engine.rating.money import format_pico
from engine.rating.rules import LATEST_REVISION, TARIFF_LANGUAGE
from replay.archive import sql
from replay.explain import explain_charge
from schemas.loader import by_fingerprint
from tests.docs.pages import DOCS, blocks
from tests.properties.memory_deployment import (
    HOMES,
    PARTITIONS,
    TOPICS,
    Caches,
    MemoryWorker,
    work,
)
from tests.rating.scenario import ONE_DOLLAR_EACH, at, tariff, usage_fields
from tests.replay.clusters import archived
from tests.replay.test_verify import ORDERS, Tampered, verified

HOME = HOMES["acme"]
USAGE, JOURNAL = TopicPartition("usage", HOME), TopicPartition("journal", HOME)
COST = """
tariff_id: cost
version: {version}
effective_from: {since}
currency: EUR
supplier_for: [openai]
components:
  - {{id: tokens, kinds: ["*"], price: {{model: unit, unit_price: "{price}"}}}}
"""


class Supplied:
    """A deployment in memory whose account acme sells input at 1 USD and buys it in EUR."""

    def __init__(self, revision: int = LATEST_REVISION) -> None:
        self.cluster = MemoryCluster(TOPICS)
        self.caches = Caches()
        self.rules(revision)
        self.cluster.append(TARIFFS, encode_registration(OPEN))
        self.cluster.append(TARIFFS, encode_tariff(tariff(ONE_DOLLAR_EACH)))
        for number, order in enumerate(ORDERS):
            command = AccountCommand(f"{number}", "acme", "", order)
            self.cluster.append(TopicPartition("accounts", HOME), encode_command(command))
        self.worker = MemoryWorker(self.cluster, caches=self.caches)

    def rules(self, revision: int) -> None:
        self.cluster.append(TARIFFS, encode_revision(revision))

    def version(self, number: int, price: str, since: str = "2026-01-01T00:00:00Z") -> None:
        text = COST.format(version=number, price=price, since=since)
        self.cluster.append(TARIFFS, encode_tariff(tariff(text)))

    def rate(self, rate: str, since: str = "2026-01-01T00:00:00Z") -> None:
        exchange = exchange_rate("EUR", "USD", rate, at(since))
        self.cluster.append(TARIFFS, encode_exchange_rate(exchange))

    def use(self, *event_ids: str, **quantities: int) -> None:
        used = quantities or {"input": 1}
        events = [usage_fields(name, "2026-11-02T00:00:00Z", used) for name in event_ids]
        data = encode_usage(events[0]) if len(events) == 1 else encode_usage_batch(events)
        self.cluster.append(USAGE, data)

    def work(self) -> None:
        work(self.cluster, self.worker.turn)

    def restart(self, *losing: str) -> None:
        for what in losing:
            self.caches.lose(what)
        self.worker.worker.close()
        self.worker = MemoryWorker(self.cluster, slot="worker-2", caches=self.caches)

    def charges(self) -> list[Charge]:
        log = MemoryLog(self.cluster)
        return [
            record
            for commit in log.read(JOURNAL, 0, self.cluster.stable_end(JOURNAL))
            for record in decode_commit(commit.value).records
            if isinstance(record, Charge)
        ]

    def costs(self) -> dict[str, str]:
        return {charge.event_id: cost_text(charge) for charge in self.charges()}


def cost_text(charge: Charge) -> str:
    if charge.supplier is None:
        return "-"
    cost, rate = charge.supplier.cost, charge.supplier.rate
    assert cost is not None
    in_euro = f"v{charge.supplier.tariff.version} {format_pico(cost)} EUR"
    if charge.supplier_cost is None:
        return in_euro
    return f"{in_euro} x {rate} = {format_pico(charge.supplier_cost)}"


@pytest.fixture
def history() -> Supplied:
    """Return a history in which the supply side becomes known bit by bit."""
    supplied = Supplied()
    supplied.use("before")
    supplied.work()
    supplied.version(1, "0.5")
    supplied.use("without a rate")
    supplied.work()
    supplied.use("in a batch, 1", "in a batch, 2")
    supplied.rate("1.1")
    supplied.use("in the same poll")
    supplied.work()
    supplied.version(2, "0.25", since="2026-11-01T00:00:00Z")
    supplied.use("a version backdated")
    supplied.work()
    return supplied


KNOWN = {
    "before": "-",
    "without a rate": "v1 0.5 EUR",
    "in a batch, 1": "v1 0.5 EUR x 1.1 = 0.55",
    "in a batch, 2": "v1 0.5 EUR x 1.1 = 0.55",
    "in the same poll": "v1 0.5 EUR x 1.1 = 0.55",
    "a version backdated": "v2 0.25 EUR x 1.1 = 0.275",
}


def test_an_event_costs_what_was_known_when_it_was_rated_and_verifies_so(
    history: Supplied,
) -> None:
    assert history.costs() == KNOWN
    found = verified(MemoryLog(history.cluster))
    assert (found.difference, found.charges) == ("", len(KNOWN))


def test_each_of_these_charges_can_be_explained(history: Supplied) -> None:
    log = MemoryLog(history.cluster)
    for charge in history.charges():
        explained = explain_charge(log, PARTITIONS, charge.charge_id)
        assert explained is not None
        assert explained.holds, explained.findings


def test_what_is_published_while_a_batch_is_decided_is_not_known_to_it(history: Supplied) -> None:
    def publish() -> None:
        history.worker.transactions.before_commit = lambda: None
        history.version(3, "9", since="2026-11-02T00:00:00Z")

    history.worker.transactions.before_commit = publish
    history.use("meanwhile")
    history.work()
    history.use("after")
    history.work()
    assert history.costs() == {
        **KNOWN,
        "meanwhile": "v2 0.25 EUR x 1.1 = 0.275",
        "after": "v3 9 EUR x 1.1 = 9.9",
    }
    assert verified(MemoryLog(history.cluster)).difference == ""


@pytest.mark.parametrize("lost", [(), ("snapshots",), ("indexes", "snapshots")])
def test_a_worker_that_comes_back_knows_the_same(history: Supplied, lost: tuple[str, ...]) -> None:
    history.restart(*lost)
    history.use("after a restart")
    history.work()
    assert history.costs() == {**KNOWN, "after a restart": KNOWN["a version backdated"]}
    assert verified(MemoryLog(history.cluster)).difference == ""


def test_the_query_of_the_page_adds_margins_up(history: Supplied, tmp_path: Path) -> None:
    history.use("unexplained", unexplained=1)
    history.work()
    archived(history.cluster, tmp_path)
    (query,) = [b.text for b in blocks(DOCS / "how-to" / "margin.md") if b.language == "sql"]
    (row,) = sql(tmp_path, query).fetchall()
    # Four of the seven have a margin: 4 - (3 x 0.55 + 0.275).
    assert row[:5] == ("2026-11", "openai", "gpt-4o", "USD", 7)
    assert [str(value) for value in row[5:]] == [
        "6.000000000000",
        "1.925000000000",
        "2.075000000000",
        "3",
    ]


def test_the_archive_shows_how_a_cost_came_about(history: Supplied, tmp_path: Path) -> None:
    archived(history.cluster, tmp_path)
    found = sql(
        tmp_path,
        "SELECT event_id, supplier_tariff_id, supplier_tariff_version, supplier_currency, "
        "cost_in_supplier_currency::VARCHAR, exchange_rate FROM charges ORDER BY sequence",
    ).fetchall()
    assert found[0] == ("before", None, None, None, None, None)
    assert found[1] == ("without a rate", "cost", 1, "EUR", "0.500000000000", None)
    assert found[-1] == ("a version backdated", "cost", 2, "EUR", "0.250000000000", "1.1")
    rates = sql(tmp_path, "SELECT base, quote, rate, source FROM exchange_rates").fetchall()
    assert rates == [("EUR", "USD", "1.1", "")]


EXPLAINED = {
    "before": [],
    "without a rate": [
        "  supplier cost 0.5 EUR by tariff cost version 1",
        "    no exchange rate from EUR to USD was in force",
    ],
    "a version backdated": [
        "  supplier cost 0.25 EUR by tariff cost version 2",
        "    x 1.1 (tariffs offset 4) = 0.275 USD",
        "  margin 0.725 USD",
    ],
    "unexplained": ["  supplier cost not known: tariff cost version 2 does not price every kind"],
}


def test_an_explanation_says_how_the_cost_came_about(history: Supplied) -> None:
    history.use("unexplained", unexplained=1)
    history.work()
    log = MemoryLog(history.cluster)
    for charge in history.charges():
        if charge.event_id in EXPLAINED:
            found = explain_charge(log, PARTITIONS, charge.charge_id)
            assert found is not None
            lines = explanation_lines(found)
            due = [line.startswith("  due after it") for line in lines].index(True)
            assert lines[due + 1 : lines.index("", due)] == EXPLAINED[charge.event_id]


STEPS = st.lists(
    st.sampled_from(
        ["version", "backdated version", "rate", "one event", "two events", "turn", "restart"]
    ),
    max_size=14,
)


@settings(max_examples=40)
@given(STEPS)
def test_whenever_the_supply_side_becomes_known_every_charge_verifies(steps: list[str]) -> None:
    supplied = Supplied()
    for number, step in enumerate(steps, 1):
        if step == "version":
            supplied.version(number, f"0.{number}", since="2026-11-01T00:00:00Z")
        elif step == "backdated version":
            supplied.version(number, f"0.{number}", since=f"2026-01-{31 - number}T00:00:00Z")
        elif step == "rate":
            supplied.rate(f"1.{number}", since=f"2026-10-{number:02d}T00:00:00Z")
        elif step == "turn":
            supplied.worker.turn()
        elif step == "restart":
            supplied.restart()
        else:
            supplied.use(*[f"e{number}", f"f{number}"][: 1 if step == "one event" else 2])
    supplied.work()
    found = verified(MemoryLog(supplied.cluster))
    assert found.difference == ""
    assert found.charges == steps.count("one event") + 2 * steps.count("two events")


def without(name: str) -> Callable[[list[LogRecord]], list[LogRecord]]:
    """Return a change that takes the records of one type out of a topic."""

    def change(records: list[LogRecord]) -> list[LogRecord]:
        schemas = [by_fingerprint(record.value[:10]) for record in records]
        return [
            record
            for record, schema in zip(records, schemas, strict=True)
            if schema is None or schema.name != name
        ]

    return change


def test_verification_finds_a_rate_that_is_gone(history: Supplied) -> None:
    log = Tampered(MemoryLog(history.cluster), TARIFFS, without("exchange_rate"))
    assert "supplier_cost stands as 550000000000, rated again None" in verified(log).difference


def test_a_rate_published_before_the_rules_that_know_of_it_is_never_taken_in() -> None:
    supplied = Supplied(TARIFF_LANGUAGE - 1)
    supplied.rate("1.1")
    supplied.rules(TARIFF_LANGUAGE)
    supplied.version(1, "0.5")
    supplied.use("e1")
    supplied.work()
    assert supplied.costs() == {"e1": "v1 0.5 EUR"}
    supplied.rate("1.1")
    supplied.use("e2")
    supplied.work()
    assert supplied.costs()["e2"] == "v1 0.5 EUR x 1.1 = 0.55"
    assert verified(MemoryLog(supplied.cluster)).difference == ""


def test_a_second_rate_for_one_instant_is_skipped_by_every_reader() -> None:
    supplied = Supplied()
    supplied.version(1, "0.5")
    for rate in ("1.1", "1.2", "1.10"):
        supplied.rate(rate)
    supplied.use("e1")
    supplied.work()
    assert supplied.costs() == {"e1": "v1 0.5 EUR x 1.1 = 0.55"}
    tariffs = TariffLog(MemoryLog(supplied.cluster))
    tariffs.read_all()
    assert [known.offset for known in tariffs.book.supply.rates.known()] == [4]
