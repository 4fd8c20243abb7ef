"""`tollbook rate`, as a person runs it: files in, JSON lines out, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TARIFF = """
tariff_id: business
version: 1
effective_from: 2026-11-01T00:00:00Z
currency: USD
fallback: {cache_read: input}
components:
  - {id: in, kinds: [input], price: {model: unit, unit_price: "2.50", per: 1000000}}
  - {id: out, kinds: [output], price: {model: unit, unit_price: "10", per: 1000000}}
"""


def usage(event_id: str, account_id: str = "acme", **quantities: object) -> str:
    """Return one usage line."""
    event = {
        "account_id": account_id,
        "source": "gateway-eu",
        "event_id": event_id,
        "occurred_at": "2026-11-24T09:15:02Z",
        "provider": "openai",
        "model": "gpt-4o",
        "quantities": quantities,
    }
    return json.dumps(event)


def tollbook(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command."""
    environment = {key: value for key, value in os.environ.items() if key != "TOLLBOOK_BOOTSTRAP"}
    return subprocess.run(
        [sys.executable, "-m", "engine.entrypoints.cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


@pytest.fixture
def tariff(tmp_path: Path) -> str:
    path = tmp_path / "business.yaml"
    path.write_text(TARIFF)
    return str(path)


def test_usage_on_stdin_becomes_charges_on_stdout(tariff: str) -> None:
    lines = usage("e1", input=1200, cache_read=4096, output=310)
    done = tollbook("rate", "--tariff", tariff, "--usage", "-", stdin=lines)
    assert done.returncode == 0
    (charge,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert charge["amount"] == "0.01634"
    assert [line["amount"] for line in charge["lines"]] == ["0.003", "0.01024", "0.0031"]
    assert "1 charged" in done.stderr


def test_what_is_rejected_is_named_with_its_line_and_the_rest_is_charged(tariff: str) -> None:
    lines = "\n".join(
        [
            usage("e1", input=1),
            usage("e1", input=1),
            usage("e1", input=2),
            "nonsense",
            usage("e2", inputs=1),
            usage("e3", input=-1),
            usage("e4", input=10**30),
            usage("e5", input=1.5),
            usage("e6", image=3),
        ]
    )
    done = tollbook("rate", "--tariff", tariff, "--usage", "-", stdin=lines)
    assert done.returncode == 4
    assert len(done.stdout.splitlines()) == 2
    expected = [
        "-:3: identity_conflict",
        "-:4: invalid_json",
        "-:5: unknown_kind",
        "-:6: negative_quantity",
        "-:7: quantity_too_large",
        "-:8: invalid_field",
    ]
    rejected = [line for line in done.stderr.splitlines() if line.startswith("-:")]
    assert [line[: len(start)] for line, start in zip(rejected, expected, strict=True)] == expected
    assert "1 charged, 1 in suspense, 1 duplicate, 6 rejected" in done.stderr


def test_accounts_may_be_given_with_their_zones_and_tariffs(tariff: str, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text(
        "- {account_id: acme, currency: USD, time_zone: Asia/Shanghai, "
        "tariffs: [{tariff_id: business}]}\n- {account_id: late, currency: USD}\n"
    )
    lines = "\n".join(usage(a, a, input=4) for a in ("acme", "late", "unknown"))
    done = tollbook(
        *("rate", "--tariff", tariff, "--accounts", str(accounts), "--usage", "-"), stdin=lines
    )
    charges = [json.loads(line) for line in done.stdout.splitlines()]
    reasons = [charge["lines"][0].get("reason", "") for charge in charges]
    assert reasons == ["", "account_not_assigned", "account_not_open"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tariff", "absent.yaml", "--usage", "-"], "absent.yaml: file"),
        (["--usage", "absent.jsonl"], "absent.jsonl"),
        (["--usage", "-", "--out", "absent/charges.jsonl"], "absent/charges.jsonl"),
    ],
)
def test_a_file_that_is_not_there_is_named_without_a_traceback(
    arguments: list[str], message: str, tariff: str
) -> None:
    given = arguments if "--tariff" in arguments else ["--tariff", tariff, *arguments]
    done = tollbook("rate", *given)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_and_fails(tariff: str) -> None:
    lines = usage("e1", input=1)
    done = tollbook("rate", "--tariff", tariff, "--usage", "-", "--out", "/dev/full", stdin=lines)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_two_tariffs_without_accounts_are_refused(tariff: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(TARIFF.replace("business", "other"))
    done = tollbook("rate", "--tariff", tariff, "--tariff", str(other), "--usage", "-")
    assert done.returncode == 1
    assert "one tariff, or --accounts" in done.stderr


def test_a_command_that_needs_kafka_says_where_to_get_one(tmp_path: Path) -> None:
    os.environ["TOLLBOOK_HOME"] = str(tmp_path)
    try:
        done = tollbook("account", "list")
    finally:
        del os.environ["TOLLBOOK_HOME"]
    assert done.returncode == 1
    assert "tollbook broker start" in done.stderr


def test_months_that_are_over_are_settled_behind_the_usage(tmp_path: Path) -> None:
    file = tmp_path / "business.yaml"
    file.write_text(
        TARIFF.replace("kinds: [input]", 'kinds: [input], period: calendar_month, minimum: "5"')
    )
    arguments = ("rate", "--tariff", str(file), "--usage", "-", "--close-until")
    done = tollbook(*arguments, "2026-12-01T00:00:00Z", stdin=usage("e1", input=400_000))
    assert done.returncode == 0, done.stderr
    charges = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(charge.get("kind"), charge["amount"], charge["due"]) for charge in charges] == [
        ("usage", "1", "1"),
        ("settlement", "4", "5"),
    ]
    assert "1 settled" in done.stderr
    done = tollbook(*arguments, "tomorrow", stdin=usage("e1", input=1))
    assert done.returncode == 1
    assert "--close-until: got 'tomorrow'" in done.stderr
