"""The price pages of docs/tariffs: tariff, usage, and what a page says that it costs.

Each page works its amounts out by hand. Its arithmetic is worked out again here, in exact rationals
and without the engine, so a figure that was copied from the engine would have to pass twice.
"""

import ast
import json
import operator
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from engine.entrypoints.checking import read_version
from engine.rating.charge import SETTLEMENT, Charge
from engine.rating.money import PICO, format_pico
from engine.rating.tariff import TariffVersion
from tests.docs.pages import DOCS

FOLDER = DOCS / "tariffs"
PAGES = sorted(path.parent.name for path in FOLDER.glob("*/README.md"))

_ROW = re.compile(r"^\| ([\w -]+) \| (\w+) \| ([\w-]+) \| ([^|]+) \| (-?[\d.]+) \|$", re.MULTILINE)
_TOTAL = re.compile(r"^Total: ([\d.]+) [A-Z]{3}$", re.MULTILINE)
_MARGIN = re.compile(r"^\| ([\w-]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Row(NamedTuple):
    """A line of a charge: the event, or the month that was closed; what it is and what it costs."""

    event: str
    kind: str
    component: str
    amount: str


class Page(NamedTuple):
    """One page: what it charges by row, with the arithmetic of each, and in total."""

    name: str
    text: str
    rows: list[Row]
    arithmetic: list[str]
    total: str

    @property
    def versions(self) -> list[TariffVersion]:
        """The tariff, and the supplier's where there is one."""
        return [read_version(file) for file in sorted((FOLDER / self.name).glob("*.yaml"))]

    @property
    def usage(self) -> list[Any]:
        """The usage events in their JSON form."""
        text = (FOLDER / self.name / "usage.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def margins(self) -> list[tuple[str, str, str]]:
        """Event, cost and margin, where the page shows them."""
        return _MARGIN.findall(self.text)


@cache
def page(name: str) -> Page:
    """Return a page by the name of its folder."""
    text = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    found = _ROW.findall(text)
    rows = [Row(event, kind, component, amount) for event, kind, component, _, amount in found]
    (total,) = _TOTAL.findall(text)
    return Page(name, text, rows, [entry[3] for entry in found], total)


def rows_of(charge: Charge) -> Iterator[Row]:
    """Yield the lines of a charge as a page shows them."""
    settled = charge.kind == SETTLEMENT
    event = f"close {charge.service_period}" if settled else charge.event_id
    for line in charge.lines:
        amount = "suspense" if line.amount is None else format_pico(line.amount)
        yield Row(event, line.kind, line.component, amount)


def worked_out(arithmetic: str) -> str:
    """Return what an arithmetic such as ``1,200 x 1.75 / 1,000,000`` comes to, floored to pico."""
    plain = arithmetic.replace(",", "").replace(" x ", " * ")
    value = _value(ast.parse(plain, mode="eval").body, plain)
    return format_pico(value.numerator * PICO // value.denominator)


def _value(node: ast.expr, text: str) -> Fraction:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, text), _value(node.right, text))
    written = ast.get_source_segment(text, node)
    return Fraction(written or "")


@cache
def price_list() -> Any:
    """Return the price list that the pages name, its numbers exact."""
    path = Path(__file__).parents[1] / "data" / "model_prices.json"
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Fraction, parse_int=Fraction)
