"""Table cases: a tariff, usage and the charges that it must give, as text that finance can read.

The golden cases and the examples in the pages are written alike; README.md says how to read one. A
case states the columns that it is about; exactly those are compared.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pytest

from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.rating.charge import Charge, Line
from engine.rating.command import AssignTariff, OpenAccount
from engine.rating.errors import InvalidDocument
from engine.rating.exchange import exchange_rate
from engine.rating.money import format_pico, parse_decimal, to_pico
from engine.rating.reachability import unreachable
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import MONEY_KINDS
from tests.rating.scenario import Scenario, at, tariff, zone

HEADINGS = ("tariff", "exchange rates", "refused", "account", "usage", "charges", "due")

Row = dict[str, str]


class Case(NamedTuple):
    """A table case, read; `refused` is what is said of a tariff that may not be published."""

    versions: list[str]
    exchange_rates: list[Row]
    refused: str
    time_zone: str
    usage: list[Row]
    charges: list[Row]
    due: str


def read(text: str) -> Case:
    """Read a case: free text, then one block per heading, its lines indented."""
    blocks: dict[str, list[str]] = {heading: [] for heading in HEADINGS}
    heading = ""
    for line in text.splitlines():
        if line in HEADINGS:
            heading = line
        elif heading:
            blocks[heading].append(line.removeprefix("  "))
    account = parse_text("\n".join(blocks["account"]), "account") or {}
    return Case(
        "\n".join(blocks["tariff"]).split("\n---\n"),
        table(blocks["exchange rates"]),
        " ".join(" ".join(blocks["refused"]).split()),
        account.get("time_zone", "UTC"),
        table(blocks["usage"]),
        table(blocks["charges"]),
        "\n".join(blocks["due"]).strip(),
    )


def table(lines: Sequence[str]) -> list[Row]:
    """Return the rows of an aligned table by its column names."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines if line.strip()]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def check(case: Case) -> None:
    """Assert that a case gives exactly what it shows."""
    if case.refused:
        with pytest.raises((InvalidDocument, InvalidFile)) as caught:
            publish(case.versions)
        assert str(caught.value).removeprefix("tariff: ") == case.refused
        return
    scenario = begin(case)
    versions = {f"publish v{version.version}": version for version in map(tariff, case.versions)}
    columns = list(case.charges[0])
    rows = [
        {column: CELLS[column](charge, line) for column in columns}
        for row in case.usage
        for charge in take(scenario, row, versions)
        for line in charge.lines
    ]
    assert rows == case.charges
    assert owed(scenario) == case.due


def publish(texts: Sequence[str]) -> None:
    """Take versions through what `tollbook tariff publish` checks; raise what it refuses."""
    book = TariffBook()
    for offset, text in enumerate(texts):
        version = tariff(text)
        for found in unreachable(version):
            raise found.problem(f"tariff {version.tariff_id} version {version.version}")
        book.add(version, offset)


def begin(case: Case) -> Scenario:
    """Return the scenario before the first usage: all accounts open and on the tariff `plan`."""
    scenario = Scenario()
    later = {row["quantities"] for row in case.usage}
    for version in map(tariff, case.versions):
        if f"publish v{version.version}" not in later:
            scenario.publish(version)
    for row in case.exchange_rates:
        exchange = exchange_rate(row["base"], row["quote"], row["rate"], at(row["effective_from"]))
        scenario.book.supply.rates.add(exchange, scenario.origin("tariffs").position.offset)
    named = [row.get("account", "-") for row in case.usage]
    for account_id in dict.fromkeys(["acme", *(name for name in named if name != "-")]):
        scenario.command(OpenAccount("USD", zone(case.time_zone)), account_id=account_id)
        assigned = AssignTariff("plan", at("2026-01-01T00:00:00Z"), None)
        scenario.command(assigned, account_id=account_id)
    return scenario


def take(scenario: Scenario, row: Row, versions: Mapping[str, TariffVersion]) -> list[Charge]:
    """Report a row's usage, close a month or publish; return the charge and what was settled."""
    words = {name: text for name, text in row.items() if text != "-"}
    reported = words.pop("quantities")
    settled = len(scenario.settlements)
    if reported.startswith("close "):
        scenario.close(reported.removeprefix("close "), words["occurred_at"])
        return scenario.settlements[settled:]
    if reported in versions:
        scenario.publish(versions[reported])
        return scenario.settlements[settled:]
    more: dict[str, object] = {}
    if "attributes" in words:
        more["attributes"] = dict(item.split() for item in words.pop("attributes").split(", "))
    words["subject"] = words.pop("login", "login-1")
    words["account_id"] = words.pop("account", "acme")
    charge = scenario.charged(
        words.pop("event"), words.pop("occurred_at"), quantities(reported), **words, **more
    )
    return [charge, *scenario.settlements[settled:]]


def quantities(text: str) -> dict[str, int]:
    """Return quantities by kind; money in pico, as it is metered."""
    found = dict(item.split() for item in text.split(", "))
    return {
        kind: to_pico(parse_decimal(number))
        if kind in MONEY_KINDS
        else int(number.replace(",", ""))
        for kind, number in found.items()
    }


def owed(scenario: Scenario) -> str:
    """Return what acme owes; with more accounts, what each of them owes."""
    dues = {name: format_pico(account.due) for name, account in scenario.ledger.accounts.items()}
    if len(dues) == 1:
        return dues["acme"]
    return "\n".join(f"{name} {due}" for name, due in sorted(dues.items()))


def slices(line: Line) -> str:
    texts = []
    for part in line.slices:
        fee = f" + {part.flat_fee}" if part.flat_fee else ""
        per = f"/{part.per}" if part.per != 1 else ""
        texts.append(f"{format_pico(part.quantity)} at {part.unit_price}{per}{fee}")
    return ", ".join(texts) or "-"


def repricing(line: Line) -> str:
    texts = [
        f"v{change.version} {format_pico(change.metered)} from {format_pico(change.before)}: "
        f"{format_pico(change.amount)}"
        for change in line.repricings
    ]
    return ", ".join(texts) or "-"


def quantity(line: Line) -> str:
    return format_pico(line.quantity) if line.kind in MONEY_KINDS else str(line.quantity)


def money(pico: int | None) -> str:
    return "-" if pico is None else format_pico(pico)


def supplier(charge: Charge) -> str:
    if charge.supplier is None:
        return "-"
    version, currency, cost, rate, _ = charge.supplier
    text = f"v{version.version} {money(cost)} {currency}"
    return f"{text} x {rate}" if rate else text


CELLS: dict[str, Callable[[Charge, Line], str]] = {
    "event": lambda charge, _: charge.event_id or "-",
    "account": lambda charge, _: charge.account_id,
    "version": lambda charge, _: f"v{charge.tariff.version}" if charge.tariff else "-",
    "month": lambda charge, _: charge.service_period,
    "component": lambda _, line: line.component or "-",
    "promotion": lambda _, line: line.promotion or "-",
    "kind": lambda _, line: line.kind,
    "quantity": lambda _, line: quantity(line),
    "counter": lambda _, line: line.counter or "-",
    "before": lambda _, line: format_pico(line.before),
    "metered": lambda _, line: format_pico(line.metered),
    "slices": lambda _, line: slices(line),
    "repricing": lambda _, line: repricing(line),
    "amount": lambda _, line: money(line.amount),
    "status": lambda _, line: line.status,
    "reason": lambda _, line: line.reason or "-",
    "supplier": lambda charge, _: supplier(charge),
    "cost": lambda charge, _: money(charge.supplier_cost),
    "margin": lambda charge, _: money(charge.margin),
}
"""How a line of a charge is written in each column that a case may show."""
