"""What operators type for an account: mistakes are named before anything is sent."""

from pathlib import Path

import pytest

from engine.entrypoints.cli.account_commands import read_span
from tests.docs.pages import DOCS, blocks
from tests.entrypoints.command import Command, command

__all__ = ["command"]

NO_KAFKA = "host:port of a Kafka broker"


@pytest.fixture(autouse=True)
def _no_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is right ends at the missing broker, whatever runs on this machine."""
    monkeypatch.setenv("TOLLBOOK_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "arguments",
    [
        "open acme --currency EUR --time-zone Asia/Shanghai --close-grace-days 3",
        "assign acme business --overage suspended",
        "adopt acme business 3",
        "grant acme starter --tokens 10000000 --for 30d",
        "grant acme starter --money 50 --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z",
        "grant acme team --tokens 5 --recurs calendar_month --rollover-up-to 2 --weight output=4",
        "recharge acme --money 50",
        "recharge acme --tokens 10 --grant-id top-up --for 52w --command-id invoice-1",
        "recharge acme --money 50 --bucket top-up",
        "void-grant acme starter --needs-approval --principal alice",
        "limit acme monthly --spend 100 --warn-at 80 --warn-at 95",
        "limit acme daily --tokens 1000 --per day --subject login-7",
        "limit acme monthly --remove",
        "adjust acme -12.50 --reason outage",
        "adjust acme --reason outage -- -12.50",
        "adjust acme 3 --reason fee --at 2026-11-01T00:00:00Z",
        "approve acme credit-7 --principal bob",
        "close-period acme 2026-10",
    ],
)
def test_what_is_right_goes_as_far_as_kafka(command: Command, arguments: str) -> None:
    done = command("account", *arguments.split())
    assert done.code == 1
    assert NO_KAFKA in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("open acme --currency DM", "--currency: got 'DM', expected an ISO 4217 code"),
        ("assign acme plan --overage free", "--overage: got 'free', expected priced or suspended"),
        ("grant acme g", "amount: got 'none of them', expected one of --tokens, --money"),
        ("grant acme g --tokens 5 --money 5", "amount: got '--tokens, --money', expected one of"),
        ("grant acme g --tokens five", "grant: amount: got 'five', expected a decimal above 0"),
        ("grant acme g/1 --tokens 5", "grant: grant_id: got 'g/1', expected 1 to 256 printable"),
        ("grant acme g --tokens 5 --for 30", "--for: got '30', expected a span such as 30d"),
        ("grant acme g --tokens 5 --for 9w --to 2027-01-01T00:00:00Z", "either --to or --for"),
        ("grant acme g --tokens 5 --from now", "--from: got 'now', expected a time such as"),
        ("grant acme g --tokens 5 --weight output", "--weight: got 'output', expected KIND=UNITS"),
        ("grant acme g --money 5 --weight input=1", "expected weights only with unit tokens"),
        ("grant acme g --tokens 5 --file absent.yaml", "absent.yaml: file"),
        ("recharge acme --money 5 --bucket b --for 30d", "--for: got '30d', expected not together"),
        ("recharge acme --bucket b --money -5", "--money: got '-5', expected a decimal above 0"),
        ("void-grant acme g --needs-approval", "principal: got '', expected who asks"),
        ("limit acme m", "limit: document: got"),
        ("limit acme m --spend 5 --warn-at 0", "limit: warn_at[0]: got 0, expected greater than"),
        ("limit acme m --spend 5 --per month", "limit: per: got 'month', expected 'day' or"),
        ("adjust acme 0 --reason x", "AMOUNT: got '0', expected a decimal other than 0"),
        ("adjust acme 1.1234567890123 --reason x", "AMOUNT: got '1.1234567890123', expected"),
        ("close-period acme November", "PERIOD: got 'November', expected a month such as"),
        ("void-grant acme g --command-id \x07", "--command-id: got '\\x07', expected 1 to 256"),
    ],
)
def test_a_mistake_is_named_with_its_place(command: Command, arguments: str, message: str) -> None:
    done = command("account", *arguments.split(" "))
    assert done.code == 1
    assert message in done.err
    assert done.out == ""


def test_a_grant_of_a_file_may_be_given_under_another_name(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "package.yaml"
    file.write_text("{unit: tokens, amount: 5, valid_from: 2026-11-01T00:00:00Z, recurs: day}")
    done = command("account", "grant", "acme", "starter", "--file", file)
    assert NO_KAFKA in done.err
    done = command("account", "grant", "acme", "starter", "--file", file, "--recurs", "hour")
    assert f"{file}: recurs: got 'hour'" in done.err
    file.write_text("[]")
    done = command("account", "grant", "acme", "starter", "--file", file)
    assert f"{file}: got 'list', expected a grant: a mapping of fields" in done.err


def test_a_span_is_a_number_of_seconds_minutes_hours_days_or_weeks() -> None:
    texts = ("1s", "2m", "3h", "30d", "4w")
    seconds = [read_span(text, "--for") // 1_000_000 for text in texts]
    assert seconds == [1, 120, 10_800, 2_592_000, 2_419_200]


ORDERS = """\
{"account_id": "acme", "do": "open"}

{"account_id": "acme", "do": "gront"}
{"account_id": "acme", "do": "recharge", "bucket": "b", "amount": "5"}
{"account_id": "acme", "do": "recharge", "bucket": "b", "amount": "5"}
{"account_id": "acme", "do": "void-grant", "grant_id": "g", "key": "k"}
not json
{"account_id": "acme", "do": "void-grant", "grant_id": "h", "key": "k"}
"""


def test_every_problem_of_a_file_is_told_with_its_line(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text(ORDERS)
    done = command("account", "apply", file)
    assert done.code == 1
    assert done.out == ""
    told = [line.partition(": got")[0] for line in done.err.splitlines()]
    assert told == [
        f"{file}:3: document",
        f"{file}:5: key",
        f"{file}:7: document",
        f"{file}:8: key",
        "nothing is written: 4 of 7 orders can not be right",
    ]
    assert "got 'the one of line 4', expected a key of its own" in done.err


@pytest.mark.parametrize(
    "text",
    [
        "# two\n- {account_id: a, do: open}\n\n- account_id: a\n  do: gront\n",
        '[{"account_id": "a", "do": "open"},\n\n\n{"account_id": "a", "do": "gront"}]',
    ],
)
def test_an_entry_of_a_list_is_told_with_the_line_on_which_it_begins(
    command: Command, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(text)
    done = command("account", "apply", file)
    assert done.code == 1
    assert f"{file}:4: document: got" in done.err


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1", "document: got 'dict', expected a list of orders"),
        (b"", "document: got 'NoneType', expected a list of orders"),
        (b"\xff", "expected a readable UTF-8 file"),
    ],
)
def test_a_file_that_holds_no_orders_is_named(
    command: Command, tmp_path: Path, data: bytes, message: str
) -> None:
    file = tmp_path / "orders.yaml"
    file.write_bytes(data)
    done = command("account", "apply", file)
    assert done.code == 1
    assert message in done.err


def test_a_file_without_a_mistake_goes_as_far_as_kafka(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text("- {account_id: a, do: open}\n")
    assert NO_KAFKA in command("account", "apply", file).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "2049-01-01T00:00:00Z"), "--to: got '2049-01-01T00:00:00Z', expected a time"),
        (("--to", "noon"), "--to: got 'noon', expected a time such as"),
        (("--once",), NO_KAFKA),
    ],
)
def test_a_clock_writes_no_time_that_has_not_come(
    command: Command, arguments: tuple[str, ...], message: str
) -> None:
    done = command("clock", *arguments)
    assert done.code == 1
    assert message in done.err


def test_what_the_how_to_shows_can_be_given_and_applied(command: Command, tmp_path: Path) -> None:
    shown = {block.title: block.text for block in blocks(DOCS / "how-to" / "prepaid.md")}
    for name in ("team.yaml", "orders.yaml"):
        (tmp_path / name).write_text(shown[name])
    done = command("account", "grant", "acme", "team", "--file", tmp_path / "team.yaml")
    assert NO_KAFKA in done.err
    assert NO_KAFKA in command("account", "apply", tmp_path / "orders.yaml").err
