"""`tollbook tariff validate` and `schema`: what is wrong is told before anyone is charged."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.rating.component import WILDCARD_KINDS
from tests.entrypoints.command import Command, command
from tests.entrypoints.test_rate_command import TARIFF, usage

__all__ = ["command"]

Folder = Path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "1.yaml").write_text(TARIFF)
    (tmp_path / "2.yaml").write_text(
        TARIFF.replace("version: 1", "version: 2").replace("2.50", "2.25")
    )
    lines = [usage("e1", input=1_000_000), usage("e2", image=2), usage("e3", inputs=2), "nonsense"]
    (tmp_path / "usage.jsonl").write_text("\n".join(lines))
    return tmp_path


def write(folder: Folder, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_versions_that_are_sound_and_follow_each_other_are_fine(
    folder: Folder, command: Command
) -> None:
    done = command("tariff", "validate", folder / "2.yaml", folder / "1.yaml")
    assert done.code == 0
    assert [line.split()[1:4] for line in done.out.splitlines()[1:]] == [
        ["business", "2", "2"],
        ["business", "1", "2"],
    ]


def test_every_problem_of_every_file_is_told_with_path_value_and_expectation(
    folder: Folder, command: Command
) -> None:
    tiers = 'tiers: [{up_to: 1.5, unit_price: "1"}, {unit_price: "1e3"}]'
    graduated = TARIFF.replace(
        'price: {model: unit, unit_price: "10", per: 1000000}',
        f"price: {{model: graduated, {tiers}}}",
    )
    first = write(folder, "a.yaml", graduated.replace("USD", "usd"))
    files = [
        first,
        write(folder, "b.yaml", "a: 1\na: 2\n"),
        write(folder, "c.yaml", ""),
        folder / "absent.yaml",
    ]
    done = command("tariff", "validate", *files, "--json")
    assert done.code == 1
    problems = json.loads(done.out)["problems"]
    assert [(found["path"], found["value"]) for found in problems[:3]] == [
        ("currency", "usd"),
        ("components[1].price.tiers[0].up_to", "1.5"),
        ("components[1].price.tiers[1].unit_price", "1e3"),
    ]
    assert [Path(found["file"]).name for found in problems[3:]] == [
        "b.yaml",
        "c.yaml",
        "absent.yaml",
    ]
    assert all(found["expected"] for found in problems)
    shown = command("tariff", "validate", *files)
    assert f"{first}: currency: got 'usd', expected an ISO 4217 currency code\n" in shown.out
    assert shown.err == "6 problems\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("version: 1", "version: 1", "a version above 1"),
        ("USD", "EUR", "the tariff's currency USD"),
        ("kinds: [input]", "kinds: [image]", "or a new component id"),
    ],
)
def test_a_version_that_may_not_follow_is_a_problem_of_its_file(
    old: str, new: str, told: str, folder: Folder, command: Command
) -> None:
    text = TARIFF.replace("2.50", "3").replace(old, new)
    if old != new:
        text = text.replace("version: 1", "version: 2")
    done = command("tariff", "validate", folder / "1.yaml", write(folder, "n.yaml", text))
    assert done.code == 1
    assert done.out.startswith(f"{folder / 'n.yaml'}: tariff business version ")
    assert told in done.out


def test_a_dry_run_says_what_usage_comes_to_and_what_no_price_is_there_for(
    folder: Folder, command: Command
) -> None:
    arguments = ("tariff", "validate", folder / "1.yaml", "--usage", folder / "usage.jsonl")
    done = command(*arguments, "--json")
    assert done.code == 4
    assert json.loads(done.out)["dry_run"] == {
        "events": {"charged": 1, "in suspense": 1, "duplicate": 0, "rejected": 2},
        "suspense": [{"reason": "no_price", "kind": "image", "model": "gpt-4o", "lines": 1}],
        "rejections": {"invalid_json": 1, "unknown_kind": 1},
        "totals": {"USD": "2.5"},
        "components": [{"component": "in", "currency": "USD", "amount": "2.5"}],
    }
    shown = command(*arguments)
    assert "total 2.5 USD" in shown.out
    assert "1 charged, 1 in suspense, 0 duplicate, 2 rejected" in shown.err
    assert "in suspense, no_price: image of gpt-4o (lines: 1)" in shown.err


def test_a_dry_run_on_usage_that_is_priced_in_full_is_fine(
    folder: Folder, command: Command
) -> None:
    lines = write(folder, "fine.jsonl", usage("e1", input=4))
    assert command("tariff", "validate", folder / "1.yaml", "--usage", lines).code == 0
    empty = write(folder, "empty.jsonl", "")
    assert command("tariff", "validate", folder / "1.yaml", "--usage", empty).code == 0


def test_a_dry_run_on_several_tariffs_needs_accounts(folder: Folder, command: Command) -> None:
    other = write(folder, "other.yaml", TARIFF.replace("business", "other"))
    lines = write(folder, "fine.jsonl", usage("e1", input=4))
    arguments = ("tariff", "validate", folder / "1.yaml", other, "--usage", lines)
    done = command(*arguments)
    assert done.code == 1
    assert "business, other" in done.err
    assert "--accounts" in done.err
    accounts = write(
        folder,
        "accounts.yaml",
        "- {account_id: acme, currency: USD, tariffs: [{tariff_id: other}]}",
    )
    assert command(*arguments, "--accounts", accounts).code == 0


def test_the_schema_describes_every_field_and_accepts_what_people_write(
    command: Command,
) -> None:
    schema = json.loads(command("tariff", "schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert undescribed(schema) == []


def undescribed(schema: dict[str, Any]) -> list[str]:
    """Return the fields that an editor could say nothing about."""
    shapes = {"TariffDocument": schema, **schema["$defs"]}
    return [
        f"{shape}.{name}"
        for shape, declared in shapes.items()
        for name, field in declared.get("properties", {}).items()
        if "description" not in field and "const" not in field
    ]


def test_a_component_that_no_usage_can_meet_is_refused_with_an_event_that_shows_it(
    folder: Folder, command: Command
) -> None:
    never = '  - {id: never, kinds: ["*"], match: {model: "*"}, price: {model: unit, unit_price: "1"}}\n'
    every = "".join(
        f"  - {{id: {kind}, kinds: [{kind}], price: {{model: unit, unit_price: 1}}}}\n"
        for kind in WILDCARD_KINDS
    )
    head, _, _ = TARIFF.partition("  - {id: in")
    file = write(folder, "never.yaml", f"{head}{never}{every}")
    done = command("tariff", "validate", file)
    assert done.code == 1
    assert "component never" in done.out
    assert "always beaten by" in done.out
    rated = command("rate", "--tariff", file, "--usage", folder / "usage.jsonl")
    assert (rated.code, rated.out) == (1, "")
    assert "component never" in rated.err


def test_a_mistake_in_the_yaml_is_told_by_file_and_line(tmp_path: Path, command: Command) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("tariff_id: plan\nversion: [1\n")
    done = command("tariff", "validate", broken)
    assert done.code == 1
    assert f"{broken}: document: got" in done.out
    assert "line 3" in done.out
    assert "<unicode string>" not in done.out
