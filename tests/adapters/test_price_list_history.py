"""Dated changes of a price list as a chain of versions, each complete and in force from its date."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from engine.adapters.documents.reading import InvalidFile
from engine.adapters.price_list import ImportedPrices
from engine.adapters.price_list.history import Chain, chain, read_history
from engine.adapters.price_list.importing import parse_list
from engine.rating.money import format_pico
from engine.rating.tariff_book import check_succession
from tests.adapters.price_lists import REAL, price
from tests.rating.scenario import Scenario

REAL_HISTORY = REAL.parent / "price_history.jsonl"
TERMS = Chain("history")
HAIKU = "claude-3-5-haiku-20241022"


def lines_of(table: str) -> list[tuple[int, str]]:
    """Return lines of a history: date, model, field, value; a dash or `removed` end the price."""
    lines = []
    for number, row in enumerate(table.strip().splitlines(), 1):
        day, model, field, value = row.split()
        kind = {"-": "field_absent", "removed": "model_removed"}.get(value, "changed")
        change = {
            "model": model,
            "field": field,
            "value": None if kind != "changed" else value,
            "kind": kind,
            "date": day,
            "litellm_provider": None if kind == "model_removed" else "openai",
        }
        lines.append((number, json.dumps(change)))
    return lines


def versions_of(table: str, *args: Any, terms: Chain = TERMS) -> list[ImportedPrices]:
    return list(chain(read_history(lines_of(table)), terms, *args))


def real_lines() -> list[tuple[int, str]]:
    return list(enumerate(REAL_HISTORY.read_text().splitlines(), 1))


def starts(versions: Iterable[ImportedPrices]) -> list[str]:
    return [imported.document["effective_from"][:10] for imported in versions]


def prices_of(imported: ImportedPrices) -> dict[str, str]:
    return {c["id"]: c["price"]["unit_price"] for c in imported.document["components"]}


TWO_FIELDS = """
2025-04-01 gpt input_cost_per_token 0.000002
2025-02-01 gpt input_cost_per_token 0.000001
2025-02-01 gpt output_cost_per_token 0.000004
2025-06-01 gpt output_cost_per_token 0.000003
"""


def test_each_date_of_a_change_starts_a_version_that_is_complete() -> None:
    versions = versions_of(TWO_FIELDS)
    assert [imported.version.version for imported in versions] == [1, 2, 3]
    assert starts(versions) == ["2025-02-01", "2025-04-01", "2025-06-01"]
    assert [prices_of(imported) for imported in versions] == [
        {"gpt:input": "1", "gpt:output": "4"},
        {"gpt:input": "2", "gpt:output": "4"},
        {"gpt:input": "2", "gpt:output": "3"},
    ]


def test_a_field_that_is_absent_ends_its_price_and_not_the_others() -> None:
    first, second = versions_of(
        """
        2025-02-01 gpt input_cost_per_token 0.000001
        2025-02-01 gpt cache_read_input_token_cost 0.0000005
        2025-04-01 gpt cache_read_input_token_cost -
        """
    )
    assert price(first, "openai gpt", "cache_read") == "0.5"
    assert price(second, "openai gpt", "cache_read") == "1"


def test_a_removed_model_ends_and_a_tariff_without_prices_has_a_gap_until_one_comes_back() -> None:
    versions = versions_of(
        """
        2025-02-01 gpt input_cost_per_token 0.000001
        2025-04-01 gpt input_cost_per_token removed
        2025-06-01 gpt input_cost_per_token 0.000003
        """
    )
    assert starts(versions) == ["2025-02-01", "2025-06-01"]
    ends = [imported.document.get("effective_to", "")[:10] for imported in versions]
    assert ends == ["2025-04-01", ""]
    assert [imported.version.version for imported in versions] == [1, 2]


def test_a_date_at_which_no_price_of_the_chosen_models_changed_starts_no_version() -> None:
    table = """
    2025-02-01 gpt input_cost_per_token 0.000001
    2025-03-01 o3 input_cost_per_token 0.000009
    2025-04-01 gpt cost_per_wish 1
    2025-06-01 gpt input_cost_per_token 0.000002
    """
    versions = versions_of(table, ["g*"])
    assert starts(versions) == ["2025-02-01", "2025-06-01"]
    assert [problem.field for problem in versions[1].problems] == ["cost_per_wish"]


def test_what_never_changed_comes_from_the_list_itself() -> None:
    unchanged: Mapping[str, Any] = {
        "gpt": {
            "litellm_provider": "openai",
            "input_cost_per_token": "0.000002",
            "cache_read_input_token_cost": "0.0000005",
        },
        "o3": {"litellm_provider": "openai", "input_cost_per_token": "0.000009"},
    }
    table = """
    2025-02-01 gpt input_cost_per_token 0.000001
    2025-06-01 gpt input_cost_per_token 0.000002
    """
    first, second = versions_of(table, (), unchanged)
    steady = {"gpt:cache_read": "0.5", "o3:input": "9"}
    assert prices_of(first) == {"gpt:input": "1", **steady}
    assert prices_of(second) == {"gpt:input": "2", **steady}
    assert all("o3:input" not in prices_of(v) for v in versions_of(table, ["gpt"], unchanged))


def test_a_markup_is_on_every_component_of_every_version() -> None:
    versions = versions_of(TWO_FIELDS, terms=Chain("history", markup_percent="12.5"))
    markups = {c["markup_percent"] for v in versions for c in v.document["components"]}
    assert (len(versions), markups) == (3, {"12.5"})


GOOD = '"model": "m", "field": "input_cost_per_token"'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1", "line 7: got '1', expected a JSON object"),
        ("{", "line 7: got '{', expected a JSON object"),
        ("{}", "line 7: got None, expected a text as model"),
        (f'{{{GOOD}, "kind": "wish"}}', "got 'wish', expected kind to be one of set, changed"),
        (f'{{{GOOD}, "kind": "set"}}', "line 7: got None, expected a decimal string as value"),
        (f'{{{GOOD}, "kind": "field_absent", "value": "1"}}', "line 7: got '1', expected"),
        (f'{{{GOOD}, "kind": "set", "value": "1"}}', "line 7: got None, expected a date such as"),
        (
            f'{{{GOOD}, "kind": "set", "value": "1", "date": "2025-02-30"}}',
            "line 7: got '2025-02-30', expected a date such as",
        ),
        (
            f'{{{GOOD}, "kind": "set", "value": "1", "date": "1999-12-31"}}',
            "line 7: got '1999-12-31', expected a date such as 2026-11-12, from 2000",
        ),
    ],
)
def test_a_line_that_is_no_change_is_refused_by_its_number(line: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=re.escape(message)):
        read_history([(7, line)])


@pytest.mark.parametrize(
    ("table", "models", "message"),
    [
        (TWO_FIELDS, ["o3*"], "models: got 'o3*', expected a name or glob"),
        ("2025-02-01 gpt cost_per_wish 1", [], "expected at least one model with a price"),
    ],
)
def test_a_history_without_a_price_is_refused(table: str, models: list[str], message: str) -> None:
    with pytest.raises(InvalidFile, match=re.escape(message)):
        versions_of(table, models)


def test_a_real_model_is_rated_with_the_price_of_the_day_of_its_use() -> None:
    versions = list(chain(read_history(real_lines()), TERMS, [HAIKU]))
    assert starts(versions) == ["2024-11-28", "2025-04-01", "2025-06-01"]
    scenario = Scenario()
    for imported in versions:
        scenario.publish(imported.version)
    scenario.open()
    scenario.assign("history", "2024-01-01T00:00:00Z")
    days = {
        "2024-11-28T00:00:00Z": "0.1",
        "2025-03-31T23:59:59Z": "0.1",
        "2025-04-01T00:00:00Z": "0.8",
        "2025-05-31T23:59:59Z": "0.8",
        "2025-06-01T00:00:00Z": "0.08",
        "2026-03-30T23:59:59Z": "0.08",
        "2026-03-31T00:00:00Z": "no_tariff_in_force",
    }
    rated = {}
    for day in days:
        usage = {"cache_read": 1_000_000}
        charge = scenario.charged(day, day, usage, provider="anthropic", model=HAIKU)
        (line,) = charge.lines
        rated[day] = line.reason if line.amount is None else format_pico(line.amount)
    assert rated == days


def test_the_whole_real_history_is_a_chain_of_fifteen_versions() -> None:
    versions = list(chain(read_history(real_lines()), TERMS))
    earlier: list[Any] = []
    for imported in versions:
        check_succession(earlier, imported.version)
        earlier.append(imported.version)
    assert [version.version for version in earlier] == list(range(1, 16))
    assert (starts(versions)[0], starts(versions)[-1]) == ("2023-12-14", "2026-11-12")
    assert max(len(version.document) for version in earlier) < 600_000


def test_the_last_real_version_with_what_never_changed_is_what_the_list_itself_gives() -> None:
    listed = parse_list(REAL.read_text())
    chosen = ["claude-*", "deepseek/*"]
    *_, last = chain(read_history(real_lines()), TERMS, chosen, listed)
    only_list = chain(read_history(lines_of("2026-11-12 x field 1")), TERMS, chosen, listed)
    (now,) = only_list
    assert prices_of(last) == prices_of(now)
    assert last.models == now.models > 20
