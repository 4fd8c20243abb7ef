"""`tollbook rate --accounts` with what is prepaid: the same orders as a deployment takes."""

import json
from pathlib import Path

import pytest

from tests.entrypoints.command import Command, command

__all__ = ["command"]

TARIFF = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - {id: tokens, kinds: ["*"], period: calendar_month, price: {model: unit, unit_price: "1"}}
"""
ACCOUNTS = """
- account_id: acme
  currency: USD
  close_grace_days: 2
  tariffs: [{tariff_id: plan}]
  grants:
    - {grant_id: free, unit: tokens, amount: 3, valid_from: 2026-11-01T00:00:00Z}
    - {grant_id: top-up, unit: money, amount: "2.50", valid_from: 2026-11-01T00:00:00Z, paid: true}
  limits: [{limit_id: monthly, spend: 100}]
- account_id: strict
  currency: USD
  tariffs: [{tariff_id: plan, overage: suspended}]
  grants: [{grant_id: free, unit: tokens, amount: 3, valid_from: 2026-11-01T00:00:00Z}]
"""


def usage(event_id: str, account_id: str, **fields: object) -> str:
    return json.dumps(
        {
            "account_id": account_id,
            "source": "gateway-eu",
            "event_id": event_id,
            "occurred_at": "2026-11-24T09:15:02Z",
            "provider": "openai",
            "model": "gpt-4o",
            "quantities": {"input": 7},
            **fields,
        }
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "plan.yaml").write_text(TARIFF)
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)
    return tmp_path


def rate(command: Command, files: Path, *lines: str) -> list[dict[str, object]]:
    """Rate usage lines; return the charges."""
    (files / "usage.jsonl").write_text("\n".join(lines))
    done = command(
        *("rate", "--tariff", files / "plan.yaml", "--accounts", files / "accounts.yaml"),
        *("--usage", files / "usage.jsonl"),
    )
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_buckets_of_the_document_cover_and_pay(command: Command, files: Path) -> None:
    (charge,) = rate(command, files, usage("e1", "acme"))
    assert (charge["amount"], charge["due"]) == ("4", "1.5")
    assert charge["drawdowns"] == [
        {"bucket": "free", "units": "3", "remaining": "0"},
        {"bucket": "top-up", "units": "2.5", "remaining": "0"},
    ]


def test_what_no_bucket_covers_is_suspended_where_the_assignment_says_so(
    command: Command, files: Path
) -> None:
    (charge,) = rate(command, files, usage("e1", "strict"))
    lines = charge["lines"]
    assert isinstance(lines, list)
    assert [line.get("reason") for line in lines] == ["unfunded"]
    assert [line.get("covered") for line in lines] == [3]


def test_a_void_takes_back_what_it_names(command: Command, files: Path) -> None:
    void = {
        "account_id": "acme",
        "source": "gateway-eu",
        "event_id": "v1",
        "occurred_at": "2026-11-25T00:00:00Z",
        "action": "void",
        "corrects": "e1",
    }
    charges = rate(command, files, usage("e1", "acme"), json.dumps(void))
    assert [charge["amount"] for charge in charges] == ["4", "-4"]
    assert charges[1]["due"] == "0"


def test_a_mistake_in_the_document_is_named_with_its_place(command: Command, files: Path) -> None:
    path = files / "accounts.yaml"
    path.write_text(ACCOUNTS.replace("amount: 3,", "amount: -3,"))
    done = command("rate", "--tariff", files / "plan.yaml", "--accounts", path, "--usage", "-")
    assert done.code == 1
    assert f"{path}: [0].grants[0].amount: got -3, expected a decimal above 0" in done.err
    assert f"{path}: [1].grants[0].amount: got -3, expected a decimal above 0" in done.err


def test_an_order_that_does_not_apply_is_named(command: Command, files: Path) -> None:
    path = files / "accounts.yaml"
    path.write_text(ACCOUNTS.replace("grant_id: top-up", "grant_id: free"))
    done = command("rate", "--tariff", files / "plan.yaml", "--accounts", path, "--usage", "-")
    assert done.code == 1
    assert "account acme" in done.err
    assert "grant_id: got 'free'" in done.err
