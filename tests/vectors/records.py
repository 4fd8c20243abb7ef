"""Vectors: facts from other billing systems' own tests, "this price and this usage cost that".

The files in tests/data/vectors are read as they are: every record of every file there is a case,
so a file that is dropped in is run with the others. Numbers are decimal texts and stay exact.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engine.rating.money import format_decimal

FOLDER = Path(__file__).parents[1] / "data" / "vectors"
MONEY = "pass_through_cost"
COUNT = "request"
"""The kinds that stand for the quantity of a record: money, or units."""

Record = Mapping[str, Any]
"""One case: `kind`, `source`, `price`, `usage`, `expected`, and what else its kind has."""


def records(*kinds: str) -> list[Record]:
    """Return the records of these kinds, of all files, in the order of files and lines."""
    return [record for record in all_records() if record["kind"] in kinds]


def price_entries() -> dict[str, Record]:
    """Return the price entries of the files that hold them apart from their rows, by name."""
    return {
        name: entry
        for path in sorted(FOLDER.glob("*.json"))
        if isinstance(data := _read(path.read_text(encoding="utf-8")), dict)
        for name, entry in data["prices"].items()
    }


def cases(found: list[Record]) -> list[Any]:
    """Return records as parameters of a test, under their ids."""
    return [pytest.param(record, id=record["id"]) for record in found]


def all_records() -> Iterator[Record]:
    """Yield the records of all files, in the order of files and lines."""
    for path in sorted(FOLDER.glob("*.json")):
        data = _read(path.read_text(encoding="utf-8"))
        yield from data["rows"] if isinstance(data, dict) else data
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield _read(line)


def _read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def source(record: Record) -> str:
    """Return the system that a record comes from: the repository its source names."""
    return str(record["source"]).split("@", maxsplit=1)[0].split(" ", maxsplit=1)[0]


def number(value: object) -> Fraction:
    """Return a decimal text, or a JSON number, exactly; nothing is zero."""
    return Fraction(0) if value is None else Fraction(str(value))


def text(value: Fraction) -> str:
    """Return a number as a document writes it."""
    return format_decimal(value)


def whole(value: Fraction) -> int:
    """Return a number that has to be whole."""
    if value.denominator != 1:
        raise ValueError(f"{value} is not whole")
    return value.numerator


def rounded(value: Fraction, decimals: int) -> Fraction:
    """Return a number rounded half up, away from zero, to so many decimals."""
    scaled = abs(value) * 10**decimals
    units = Fraction(int(scaled + Fraction(1, 2)), 10**decimals)
    return -units if value < 0 else units
