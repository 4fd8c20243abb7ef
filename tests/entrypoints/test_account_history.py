"""What `account history` and `account show` make of an account's records."""

from typing import Any, get_args

import pytest

from engine.adapters.documents.account_orders import parse_order
from engine.entrypoints.cli.account_history import charge_row, event_row
from engine.entrypoints.cli.account_view import prepaid_details
from engine.entrypoints.describing import change_name, describe_event, describe_order
from engine.rating.charge import Charge
from engine.rating.command import Order
from engine.rating.event import Change
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, at, tariff

WAITING: tuple[dict[str, Any], ...] = (
    {"do": "limit", "limit_id": "each", "tokens": 5, "per": "day", "each_subject": True},
    {"do": "limit", "limit_id": "one", "spend": 5, "subject": "login-7"},
)


def send(scenario: Scenario, **words: Any) -> None:
    """Send an order to acme in the words of its document."""
    command = parse_order({"account_id": "acme", **words}, "order")
    scenario.command(
        command.order,
        words.get("key", ""),
        principal=command.principal,
        received_at=at("2026-11-01T00:00:00Z"),
        needs_approval=command.needs_approval,
    )


@pytest.fixture(scope="module")
def lived() -> Scenario:
    """Return an account to which much has happened."""
    scenario = Scenario()
    scenario.publish(tariff(ONE_DOLLAR_EACH))
    day = {"valid_from": "2026-11-01T00:00:00Z", "valid_to": "2026-11-02T00:00:00Z"}
    send(scenario, do="open")
    send(scenario, do="assign", tariff_id="plan", overage="suspended")
    send(scenario, do="grant", grant_id="free", unit="tokens", amount=3, rollover_up_to=1, **day)
    send(scenario, do="grant", grant_id="cash", unit="money", amount=50, recurs="day", **day)
    send(scenario, do="recharge", bucket="free", amount=2)
    for words in WAITING:
        send(scenario, **words)
    send(scenario, do="limit", limit_id="one", remove=True)
    send(scenario, do="adjust", amount="-9", reason="outage", key="c7", principal="alice",
         needs_approval=True)  # fmt: skip
    send(scenario, do="approve", command_id="c7", principal="bob")
    send(scenario, do="adjust", amount="-1", reason="late", key="c8", principal="alice",
         needs_approval=True)  # fmt: skip
    scenario.use("e1", "2026-11-01T01:00:00Z", {"input": 1, "output": 5})
    scenario.use("v1", "2026-11-01T02:00:00Z", {}, action="void", corrects="e1")
    scenario.use("v2", "2026-11-01T02:00:00Z", {}, action="void", corrects="e1")
    scenario.use("v3", "2026-11-01T02:00:00Z", {}, action="void", corrects="e9")
    send(scenario, do="void-grant", grant_id="cash")
    send(scenario, do="void-grant", grant_id="cash")
    scenario.advance("2026-11-02T12:00:00Z")
    return scenario


def rows(scenario: Scenario) -> list[dict[str, Any]]:
    """Return the history of acme."""
    return [
        charge_row(record) if isinstance(record, Charge) else event_row(record, 0)
        for record in scenario.records
        if record.account_id == "acme"
    ]


def explained(scenario: Scenario, what: str) -> list[str]:
    return [row["explanation"] for row in rows(scenario) if row["what"] == what]


def test_every_record_is_one_row_with_its_sequence(lived: Scenario) -> None:
    assert [row["sequence"] for row in rows(lived)] == list(range(1, len(rows(lived)) + 1))
    assert all(row["explanation"] for row in rows(lived))


@pytest.mark.parametrize(
    ("what", "explanations"),
    [
        ("account_opened", ["in USD, months of UTC"]),
        ("tariff_assigned", ["plan from the beginning, overage suspended"]),
        (
            "granted",
            [
                "free: 3 units from 2026-11-01T00:00:00.000000Z to 2026-11-02T00:00:00.000000Z",
                "cash: 50 from 2026-11-01T00:00:00.000000Z to 2026-11-02T00:00:00.000000Z, each day",
            ],
        ),
        ("grant", ["free: 3 put in", "cash#0: 50 put in"]),
        ("bucket_recharged", ["2 more into free"]),
        ("recharge", ["free: 2 put in"]),
        (
            "limit_set",
            [
                "each: 5 tokens of each subject per day",
                "one: 5 of login-7 per billing_period",
                "one: removed",
            ],
        ),
        ("approval_awaited", ["adjust: -9: outage", "adjust: -1: late"]),
        ("adjusted", ["-9: outage; approves c7"]),
        ("usage", ["gateway-1/e1: gpt-4o 1 input (covered), 5 output (4 covered)"]),
        (
            "usage_refused",
            [
                (
                    "gateway-1/v2: already_voided: corrects: event 'e1' of source 'gateway-1' "
                    "was voided before"
                )
            ],
        ),
        ("command_refused", ["grant_void: grant_id: 'cash' was voided before"]),
        ("grant_voided", ["cash"]),
        ("expiry", ["free: 1 rolled over, 4 expired"]),
        ("rollover", ["freer: 1 put in"]),
    ],
)
def test_a_row_explains_what_happened(lived: Scenario, what: str, explanations: list[str]) -> None:
    assert explained(lived, what) == explanations


def test_usage_shows_what_moved_and_a_void_what_came_back(lived: Scenario) -> None:
    (used,) = [row for row in rows(lived) if row["what"] == "usage"]
    assert used["buckets"] == [{"bucket": "free", "units": "5", "remaining": "0"}]
    assert (used["amount"], used["due"]) == ("1", "-8")
    (taken,) = [row for row in rows(lived) if row["what"] == "correction"]
    assert taken["buckets"] == [{"bucket": "free", "units": "-5", "remaining": "5"}]
    assert (taken["amount"], taken["due"]) == ("-1", "-9")
    assert taken["explanation"].startswith("gateway-1/v1 takes back ")


def test_show_tells_what_is_prepaid_and_what_waits(lived: Scenario) -> None:
    shown = prepaid_details(lived.ledger.account("acme"))
    states = {b["bucket"]: (b["state"], b["remaining"]) for b in shown["buckets"]}
    assert states == {"freer": ("open", "1"), "cash#0": ("closed", "0"), "free": ("closed", "0")}
    assert shown["grants"]["cash"]["void"] is True
    assert shown["grants"]["free"]["rollover_up_to"] == "1"
    assert shown["limits"]["each"]["limit"] == "each: 5 tokens of each subject per day"
    assert [void["corrects"] for void in shown["pending_voids"]] == ["e9"]
    assert shown["awaiting_approval"] == [
        {"command_id": "c8", "principal": "alice", "asks": "adjust: -1: late"}
    ]


def test_every_kind_of_change_and_order_has_a_name() -> None:
    names = {
        change_name(kind.__new__(kind, *([""] * len(kind._fields)))) for kind in get_args(Change)
    }
    assert len(names) == len(get_args(Change))
    assert {"period_closed", "void_pending", "alert_raised", "version_adopted"} <= names


def test_what_is_asked_reads_like_what_happened(lived: Scenario) -> None:
    orders: list[Order] = [
        parse_order({"account_id": "acme", **words}, "order").order
        for words in (
            {"do": "open", "currency": "EUR"},
            {"do": "assign", "tariff_id": "plan", "effective_to": "2026-12-01T00:00:00Z"},
            {"do": "close-period", "period": "2026-11"},
            {"do": "recharge", "bucket": "free", "amount": "1.5"},
            {"do": "void-grant", "grant_id": "free"},
            {"do": "adopt", "tariff_id": "plan", "version": 2},
            {"do": "approve", "command_id": "c7", "principal": "bob"},
        )
    ]
    assert [describe_order(order) for order in orders] == [
        "in EUR, months of UTC",
        "plan from the beginning to 2026-12-01T00:00:00.000000Z",
        "2026-11",
        "1.5 more into free",
        "free",
        "plan version 2",
        "c7",
    ]
    opened = lived.records[0]
    assert not isinstance(opened, Charge)
    assert describe_event(opened) == describe_order(orders[0]).replace("EUR", "USD")
