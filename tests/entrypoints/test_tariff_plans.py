"""`tollbook tariff diff` and `compare`: what changes, and what the same usage comes to."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.rating.period import format_instant
from tests.data.traces import TRACES, azure_code_rows
from tests.entrypoints.command import Command, command
from tests.entrypoints.test_rate_command import usage

__all__ = ["command"]

TIERS = """
tariff_id: business
version: 1
effective_from: 2026-12-01T00:00:00Z
currency: USD
components:
  - {id: in, kinds: [input], price: {model: unit, unit_price: "2.50", per: 1000000}}
  - id: out
    kinds: [output]
    period: calendar_month
    price:
      model: graduated
      per: 1000
      tiers: [{up_to: 1000, unit_price: "10"}, {unit_price: "8"}]
"""
FLAT = """
tariff_id: flat
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - {id: all, kinds: ["*"], price: {model: unit, unit_price: "0.009"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiers.yaml").write_text(TIERS)
    (tmp_path / "flat.yaml").write_text(FLAT)
    lines = [
        usage("e1", input=1000, output=1000),
        usage("e2", output=1000),
        usage("e2", output=1000),
    ]
    (tmp_path / "usage.jsonl").write_text("\n".join(lines))
    return tmp_path


def changed(folder: Path, name: str, text: str, *changes: tuple[str, str]) -> Path:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def fields_of(report: str) -> list[tuple[Any, ...]]:
    """Return (part, what, field, old, new, percent) of a difference in JSON."""
    return [
        (part["name"], part["what"], *field.values())
        for part in json.loads(report)["changes"]
        for field in part["fields"]
    ]


def test_prices_are_compared_where_they_hold_and_in_percent(folder: Path, command: Command) -> None:
    new = changed(
        folder,
        "new.yaml",
        TIERS,
        ('"2.50", per: 1000000', '"0.000002"'),
        ("{up_to: 1000", "{up_to: 2000"),
        ('"8"}', '"7", flat_fee: "1"}'),
    )
    done = command("tariff", "diff", folder / "tiers.yaml", new, "--json")
    assert done.code == 0
    assert fields_of(done.out) == [
        ("in", "changed", "price.unit_price", "2.5 per 1000000", "0.000002", "-20.00"),
        (
            *("out", "changed", "price.unit_price, units 1001 to 2000"),
            *("8 per 1000", "10 per 1000", "+25.00"),
        ),
        (
            *("out", "changed", "price.unit_price, units above 2000"),
            *("8 per 1000", "7 per 1000", "-12.50"),
        ),
        ("out", "changed", "price.flat_fee, units above 2000", "0", "1", None),
    ]


def test_components_and_fields_that_came_went_or_changed_are_told(
    folder: Path, command: Command
) -> None:
    new = changed(
        folder,
        "new.yaml",
        TIERS,
        ("id: in,", "id: prompt, match: {model: gpt-4o},"),
        ("period: calendar_month", 'minimum: "5"\n    period: calendar_month\n    scope: subject'),
        ("currency: USD", "currency: USD\nfallback: {reasoning: output}"),
    )
    done = command("tariff", "diff", folder / "tiers.yaml", new, "--json")
    price = {"model": "unit", "per": 1000000, "unit_price": "2.5"}
    assert fields_of(done.out) == [
        ("business", "changed", "fallback.reasoning", None, "output", None),
        ("in", "removed", "kinds.input", "1", None, None),
        ("in", "removed", "price", price, None, None),
        ("out", "changed", "scope", "account", "subject", None),
        ("out", "changed", "minimum", None, "5", None),
        ("prompt", "added", "match.model", None, "gpt-4o", None),
        ("prompt", "added", "kinds.input", None, "1", None),
        ("prompt", "added", "price", None, price, None),
    ]
    shown = command("tariff", "diff", folder / "tiers.yaml", new).out
    assert [line for line in shown.splitlines() if "scope" in line and "subject" in line]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            '{model: package, package_size: 1000, package_price: "4"}',
            '{model: package, package_size: 500, package_price: "3"}',
            [("price.package_price", "4 per 1000", "3 per 500", "+50.00")],
        ),
        (
            '{model: flat, amount: "4"}',
            '{model: flat, amount: "5"}',
            [("price.amount", "4", "5", "+25.00")],
        ),
        (
            '{model: unit, unit_price: "0"}',
            '{model: unit, unit_price: "5", increment: 10}',
            [("price.unit_price", "0", "5", None), ("price.increment", None, 10, None)],
        ),
        (
            '{model: graduated, tiers: [{up_to: 5, unit_price: "2"}, {unit_price: "1"}]}',
            '{model: volume, tiers: [{up_to: 5, unit_price: "2"}, {unit_price: "1"}]}',
            [("price.model", "graduated", "volume", None)],
        ),
        (
            '{model: unit, unit_price: "1"}',
            '{model: flat, amount: "5"}',
            [
                (
                    *("price", {"model": "unit", "unit_price": "1"}),
                    *({"model": "flat", "amount": "5"}, None),
                )
            ],
        ),
    ],
)
def test_each_price_model_says_what_changed(
    old: str, new: str, told: list[tuple[Any, ...]], folder: Path, command: Command
) -> None:
    price = '{model: unit, unit_price: "0.009"}'
    files = [changed(folder, f"{n}.yaml", FLAT, (price, text)) for n, text in enumerate((old, new))]
    done = command("tariff", "diff", *files, "--json")
    assert [row[2:] for row in fields_of(done.out)] == told


def test_the_same_prices_differ_in_nothing(folder: Path, command: Command) -> None:
    done = command("tariff", "diff", folder / "flat.yaml", folder / "flat.yaml")
    assert (done.code, done.out, done.err) == (0, "", "nothing differs\n")


def test_the_effect_on_usage_is_told_by_month_and_component(folder: Path, command: Command) -> None:
    new = changed(folder, "new.yaml", TIERS, ('"10"', '"12"'), ("version: 1", "version: 2"))
    done = command(
        *("tariff", "diff", folder / "tiers.yaml", new),
        *("--usage", folder / "usage.jsonl", "--json"),
    )
    effect = json.loads(done.out)["effect"]
    assert [tuple(row.values()) for row in effect["amounts"]] == [
        ("2026-11", "in", "0.0025", "0.0025", "0", "+0.00"),
        ("2026-11", "out", "18", "20", "2", "+11.11"),
        ("all", "all", "18.0025", "20.0025", "2", "+11.11"),
    ]
    assert effect["new"]["events"] == {
        "charged": 2,
        "in suspense": 0,
        "duplicate": 1,
        "rejected": 0,
    }


def test_plans_are_compared_cheapest_first_by_month_and_component(
    folder: Path, command: Command
) -> None:
    """The prices of a plan that begins next month are asked for too: its date does not count."""
    done = command(
        *("tariff", "compare", "--usage", folder / "usage.jsonl"),
        *(folder / "flat.yaml", folder / "tiers.yaml", "--json"),
    )
    assert done.code == 0
    first, second = json.loads(done.out)["plans"]
    assert (first["tariff_id"], first["total"]) == ("business", "18.0025")
    assert first["amounts"] == [
        {"month": "2026-11", "component": "in", "amount": "0.0025"},
        {"month": "2026-11", "component": "out", "amount": "18"},
    ]
    assert (second["tariff_id"], second["total"]) == ("flat", "27")
    assert second["percent_above_cheapest"] == "+49.98"


def test_a_plan_that_leaves_usage_unpriced_is_never_the_cheapest(
    folder: Path, command: Command
) -> None:
    cheap = changed(folder, "cheap.yaml", FLAT, ('["*"]', "[input]"))
    arguments = (
        "tariff",
        "compare",
        "--usage",
        folder / "usage.jsonl",
        cheap,
        folder / "flat.yaml",
    )
    done = command(*arguments, "--json")
    assert done.code == 4
    first, second = json.loads(done.out)["plans"]
    assert (first["tariff_id"], first["total"], first["comparable"]) == ("flat", "27", True)
    assert (second["total"], second["comparable"]) == ("9", False)
    assert second["percent_above_cheapest"] is None
    assert second["suspense"] == [
        {"reason": "no_price", "kind": "output", "model": "gpt-4o", "lines": 2}
    ]
    shown = command(*arguments)
    assert "not comparable" in shown.out
    assert f"{cheap}: in suspense, no_price: output of gpt-4o (lines: 2)" in shown.err


def test_what_every_plan_rejects_makes_none_incomparable(folder: Path, command: Command) -> None:
    with (folder / "usage.jsonl").open("a") as lines:
        lines.write("\nnonsense\n")
    plans = (folder / "flat.yaml", folder / "tiers.yaml")
    arguments = ("tariff", "compare", "--usage", folder / "usage.jsonl", *plans)
    done = command(*arguments, "--json")
    assert done.code == 4
    first, second = json.loads(done.out)["plans"]
    assert first["rejections"] == {"invalid_json": 1}
    assert (first["comparable"], second["percent_above_cheapest"]) == (True, "+49.98")


@pytest.mark.parametrize("year", ["1999", "2050", "2051"])
def test_usage_of_a_time_that_no_tariff_knows_is_rejected_and_stops_no_comparison(
    folder: Path, command: Command, year: str
) -> None:
    stray = usage("e9", input=1).replace("2026", year).replace("acme", "globex")
    with (folder / "usage.jsonl").open("a") as file:
        file.write("\n" + stray)
    ran = command(
        "tariff", "compare", "--usage", folder / "usage.jsonl", folder / "flat.yaml", "--json"
    )
    assert ran.code == 4
    assert json.loads(ran.out)["plans"][0]["total"] == "27"


def test_a_minimum_is_owed_for_every_month_from_the_first_use_to_the_last(
    folder: Path, command: Command
) -> None:
    price = 'price: {model: unit, unit_price: "0.009"}'
    minimum = changed(
        *(folder, "minimum.yaml", FLAT),
        (price, f'period: calendar_month, minimum: "10", {price}'),
    )
    later = usage("e9", input=1).replace("2026-11-24", "2027-01-02")
    (folder / "usage.jsonl").write_text(f"{usage('e1', output=2000)}\n{later}\n")
    arguments = ("tariff", "compare", "--usage", folder / "usage.jsonl", minimum, "--by", "month")
    (plan,) = json.loads(command(*arguments, "--json").out)["plans"]
    assert plan["amounts"] == [
        {"month": "2026-11", "amount": "18"},
        {"month": "2026-12", "amount": "10"},
        {"month": "2027-01", "amount": "10"},
    ]


def test_several_versions_of_a_plan_keep_their_dates(folder: Path, command: Command) -> None:
    later = changed(
        *(folder, "later.yaml", FLAT),
        ("version: 1", "version: 2"),
        ("2026-01-01", "2026-11-24"),
        ("0.009", "1"),
    )
    plan = f"{folder / 'flat.yaml'},{later}"
    done = command("tariff", "compare", "--usage", folder / "usage.jsonl", plan, "--json")
    (found,) = json.loads(done.out)["plans"]
    assert (found["versions"], found["total"]) == ([1, 2], "3000")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["flat.yaml", "euro.yaml"], "euro.yaml, currency: got 'EUR', expected USD"),
        (["flat.yaml,tiers.yaml"], "expected versions of one tariff"),
        (["absent.yaml"], "absent.yaml: file"),
        (["flat.yaml", "--by", "week"], "--by: got 'week'"),
        (["supplier.yaml"], "a tariff that is sold by"),
        (["flat.yaml", "--usage", "empty.jsonl"], "expected at least one usage event"),
        (["flat.yaml", "--usage", "absent.jsonl"], "absent.jsonl"),
    ],
)
def test_what_can_not_be_compared_is_told(
    arguments: list[str],
    told: str,
    folder: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    changed(folder, "euro.yaml", FLAT, ("USD", "EUR"))
    changed(folder, "supplier.yaml", FLAT, ("currency", "supplier_for: [openai]\ncurrency"))
    (folder / "empty.jsonl").write_text("\n")
    given = [] if "--usage" in arguments else ["--usage", "usage.jsonl"]
    done = command("tariff", "compare", *given, *arguments)
    assert done.code == 1
    assert told in done.err
    assert done.out == ""


def test_a_price_on_top_of_cost_is_compared_with_the_suppliers_tariff(
    folder: Path, command: Command
) -> None:
    cost = changed(
        *(folder, "cost.yaml", FLAT),
        ("tariff_id: flat", "tariff_id: cost\nsupplier_for: [openai]"),
        ("0.009", "0.002"),
    )
    resale = changed(
        *(folder, "resale.yaml", FLAT),
        ('unit, unit_price: "0.009"', "percentage, rate_percent: 110, of: supplier_cost"),
    )
    arguments = ("tariff", "compare", "--usage", folder / "usage.jsonl", resale, "--json")
    (alone,) = json.loads(command(*arguments).out)["plans"]
    assert {found["reason"] for found in alone["suspense"]} == {"no_supplier_cost"}
    (plan,) = json.loads(command(*arguments, "--supplier", cost).out)["plans"]
    assert (plan["total"], plan["comparable"]) == ("6.6", True)


def test_a_suppliers_cost_in_another_currency_is_converted(folder: Path, command: Command) -> None:
    cost = changed(
        *(folder, "cost.yaml", FLAT),
        ("tariff_id: flat", "tariff_id: cost\nsupplier_for: [openai]"),
        ("USD", "EUR"),
        ("0.009", "0.002"),
    )
    resale = changed(
        *(folder, "resale.yaml", FLAT),
        ('unit, unit_price: "0.009"', "percentage, rate_percent: 110, of: supplier_cost"),
    )
    rates = folder / "rates.yaml"
    since = "effective_from: 2020-01-01T00:00:00Z"
    rates.write_text(f'- {{base: EUR, quote: USD, rate: "1.5", {since}}}\n')
    given = ("--usage", folder / "usage.jsonl", "--supplier", cost, "--json")
    (unknown,) = json.loads(command("tariff", "compare", *given, resale).out)["plans"]
    assert not unknown["comparable"]
    done = command("tariff", "compare", *given, "--exchange-rates", rates, resale)
    (plan,) = json.loads(done.out)["plans"]
    assert (plan["total"], plan["comparable"]) == ("9.9", True)
    same = command("tariff", "diff", *given, "--exchange-rates", rates, resale, resale)
    assert '"9.9"' in same.out


def test_a_dry_run_converts_a_suppliers_cost(folder: Path, command: Command) -> None:
    changed(
        *(folder, "cost.yaml", FLAT),
        ("tariff_id: flat", "tariff_id: cost\nsupplier_for: [openai]"),
        ("USD", "EUR"),
    )
    changed(
        *(folder, "resale.yaml", FLAT),
        ('unit, unit_price: "0.009"', "percentage, rate_percent: 110, of: supplier_cost"),
    )
    since = "effective_from: 2000-01-01T00:00:00Z"
    (folder / "rates.yaml").write_text(f'- {{base: EUR, quote: USD, rate: "1.5", {since}}}\n')
    files = (folder / "resale.yaml", folder / "cost.yaml", "--usage", folder / "usage.jsonl")
    assert command("tariff", "validate", *files).code == 4
    assert (
        command("tariff", "validate", *files, "--exchange-rates", folder / "rates.yaml").code == 0
    )


def test_a_real_trace_costs_what_others_computed_and_plans_take_their_order(
    folder: Path, command: Command
) -> None:
    lines = [
        json.dumps(
            json.loads(
                usage(str(row.row), f"acme-{row.row % 3}", input=row.input, output=row.output)
            )
            | {"occurred_at": format_instant(row.occurred_at)}
        )
        for row in azure_code_rows()
    ]
    (folder / "trace.jsonl").write_text("\n".join(lines))
    expected = json.loads((TRACES / "expected_totals.json").read_text())[0]
    listed = changed(
        *(folder, "list.yaml", TIERS),
        ("    period: calendar_month\n", ""),
        ("per: 1000\n", "per: 1000000\n"),
        ('{unit_price: "8"}', '{unit_price: "10"}'),
    )
    half = changed(folder, "half.yaml", FLAT, ("0.009", "0.000001"), ('["*"]', "[input]"))
    flat = changed(folder, "flat.yaml", FLAT, ("0.009", "0.000003"))
    done = command(
        *("tariff", "compare", "--usage", folder / "trace.jsonl", half, flat, listed, "--json")
    )
    plans = json.loads(done.out)["plans"]
    assert [(plan["tariff_id"], plan["comparable"]) for plan in plans] == [
        ("business", True),
        *(("flat", comparable) for comparable in (True, False)),
    ]
    assert Decimal(plans[0]["total"]) == Decimal(expected["genai_prices_0.2.3"]["total"])
    assert plans[2]["events"]["in suspense"] == expected["requests"]
