"""The table cases: text files that finance can read, each worked out by hand.

A case states the columns it is about; exactly those are compared. README.md says how to read one.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.adapters.documents.reading import parse_text
from engine.rating.charge import Charge, Line
from engine.rating.exchange import exchange_rate
from engine.rating.money import PICO, format_pico
from tests.rating.scenario import Scenario, acme_on, at

FOLDER = Path(__file__).parent
HEADINGS = ("tariff", "exchange rates", "account", "usage", "charges", "due")

Row = dict[str, str]


class Case(NamedTuple):
    """A table case, read."""

    versions: list[str]
    exchange_rates: list[Row]
    time_zone: str
    usage: list[Row]
    charges: list[Row]
    due: str


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
def test_a_table_case_gives_exactly_the_charges_it_shows(name: str) -> None:
    case = read(FOLDER / name)
    scenario = scenario_of(case)
    columns = list(case.charges[0])
    rows = [
        {column: CELLS[column](charge, line) for column in columns}
        for charge in (report(scenario, row) for row in case.usage)
        for line in charge.lines
    ]
    assert rows == case.charges
    assert format_pico(scenario.ledger.account("acme").due) == case.due


def scenario_of(case: Case) -> Scenario:
    """Return acme on the case's tariff, before its usage."""
    scenario = acme_on(*case.versions, time_zone=case.time_zone)
    for row in case.exchange_rates:
        exchange = exchange_rate(row["base"], row["quote"], row["rate"], at(row["effective_from"]))
        scenario.book.supply.rates.add(exchange, scenario.origin("tariffs").position.offset)
    return scenario


def report(scenario: Scenario, row: Row) -> Charge:
    """Report the usage of one row."""
    words = {name: text for name, text in row.items() if text != "-"}
    words["subject"] = words.pop("login", "login-1")
    quantities = {
        kind: int(number.replace(",", ""))
        for kind, number in (item.split() for item in words.pop("quantities").split(", "))
    }
    return scenario.charged(words.pop("event"), words.pop("occurred_at"), quantities, **words)


def units(pico: int) -> str:
    return format_pico(pico)


def money(pico: int | None) -> str:
    return "-" if pico is None else format_pico(pico)


def supplier(charge: Charge) -> str:
    if charge.supplier is None:
        return "-"
    tariff, currency, cost, rate, _ = charge.supplier
    text = f"v{tariff.version} {money(cost)} {currency}"
    return f"{text} x {rate}" if rate else text


def slices(line: Line) -> str:
    texts = []
    for part in line.slices:
        fee = f" + {part.flat_fee}" if part.flat_fee else ""
        per = f"/{part.per}" if part.per != 1 else ""
        texts.append(f"{units(part.quantity)} at {part.unit_price}{per}{fee}")
    return ", ".join(texts) or "-"


def repricing(line: Line) -> str:
    texts = [
        f"v{change.version} {units(change.metered)} from {units(change.before)}: "
        f"{format_pico(change.amount)}"
        for change in line.repricings
    ]
    return ", ".join(texts) or "-"


CELLS: dict[str, Callable[[Charge, Line], str]] = {
    "event": lambda charge, _: charge.event_id,
    "version": lambda charge, _: f"v{charge.tariff.version}" if charge.tariff else "-",
    "month": lambda charge, _: charge.service_period,
    "component": lambda _, line: line.component or "-",
    "kind": lambda _, line: line.kind,
    "quantity": lambda _, line: str(line.quantity),
    "counter": lambda _, line: line.counter or "-",
    "before": lambda _, line: units(line.before),
    "metered": lambda _, line: units(line.metered),
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


def read(path: Path) -> Case:
    """Read a case: free text, then one block per heading, its lines indented."""
    blocks: dict[str, list[str]] = {heading: [] for heading in HEADINGS}
    heading = ""
    for text in path.read_text().splitlines():
        if text in HEADINGS:
            heading = text
        elif heading:
            blocks[heading].append(text.removeprefix("  "))
    account = parse_text("\n".join(blocks["account"]), path.name)
    return Case(
        "\n".join(blocks["tariff"]).split("\n---\n"),
        table(blocks["exchange rates"]) if blocks["exchange rates"] else [],
        account["time_zone"],
        table(blocks["usage"]),
        table(blocks["charges"]),
        "".join(blocks["due"]).strip(),
    )


def table(lines: list[str]) -> list[Row]:
    """Return the rows of an aligned table by its column names."""
    header, *rows = [re.split(r"\s{2,}", line.strip()) for line in lines if line.strip()]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_column_of_a_table_is_set_apart_by_two_blanks() -> None:
    rows = table(["  event  quantities", "", "  a      input 1, output 2"])
    assert rows == [{"event": "a", "quantities": "input 1, output 2"}]


def test_pico_units_are_shown_as_units() -> None:
    assert units(PICO // 10) == "0.1"
