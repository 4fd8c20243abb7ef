"""Each reason why a record of prepaid balances means something else here, and a record that does."""

from typing import Any

import pytest

from tests.vectors.prepaid_records import PREPAID_REASONS, reason
from tests.vectors.test_balance_combinations import balance, credit, units
from tests.vectors.test_grant_combinations import DAILY, GRANT, at, period

MEANS_SOMETHING_ELSE: dict[str, tuple[str, dict[str, Any]]] = {
    "overage_carried": (
        "grant_burn_down",
        period([{**GRANT, **DAILY}], [at("01T01", "120")], "02T01"),
    ),
    "rolls_again": (
        "grant_burn_down",
        period(
            [{**GRANT, "max_rollover": "50"}],
            [],
            "05T00",
            resets=["2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"],
        ),
    ),
    "reset_of_a_recurring_grant": (
        "grant_burn_down",
        period([{**GRANT, **DAILY}], [], "05T00", resets=["2024-01-02T12:00:00Z"]),
    ),
    "rolls_for_longer": (
        "grant_burn_down",
        period(
            [{**GRANT, "max_rollover": "50", "effective_at": "2024-01-03T00:00:00Z"}],
            [at("02T00", "1")],
            "20T00",
            resets=["2024-01-04T00:00:00Z"],
        ),
    ),
    "refused_there": (
        "grant_burn_down",
        period([GRANT], [], "05T00", starting_balances={"unknown": "100"}),
    ),
    "not_traced": (
        "wallet_consumption",
        {"credits": [credit("a", "30", traceable=False)], "debits": []},
    ),
    "increments_of_several_sizes": (
        "unit_and_money_balances",
        {
            "unit_balances": [units("m", "70", "5", "60"), units("s", "10", "10")],
            "usage": {"quantity": "20"},
        },
    ),
    "connection_first": (
        "unit_and_money_balances",
        {"unit_balances": [units("s", "10", "1")], "usage": {"quantity": "5", "connect_fee": "1"}},
    ),
    "units_that_cost": (
        "unit_and_money_balances",
        {
            "unit_balances": [{**units("s", "10", "1"), "rate_per_unit": "1"}],
            "usage": {"quantity": "5"},
        },
    ),
    "below_zero": (
        "unit_and_money_balances",
        {"unit_balances": [units("s", "10", "1")], "usage": {"debit": "15", "matches": "s"}},
    ),
    "cut_in_increments": (
        "unit_and_money_balances",
        {
            "money_balances": [{"id": "m", "value": "55"}],
            "usage": {
                "quantity": "80",
                "fallback_rate_per_unit": "1",
                "fallback_increment": "10",
            },
        },
    ),
    "refund_beyond_use": (
        "deduction",
        {"balances": [balance("a", "0")], "deduct": "-50", "allow_overage": True},
    ),
}


@pytest.mark.parametrize("name", MEANS_SOMETHING_ELSE)
def test_a_record_that_means_something_else_is_named(name: str) -> None:
    kind, fields = MEANS_SOMETHING_ELSE[name]
    assert reason({"kind": kind, "source": "getlago/lago-api@0", **fields}) == name


def test_more_voided_than_there_is_is_refused_there() -> None:
    debits = [{"amount": "50", "type": "void"}]
    fields = {"credits": [credit("a", "30")], "debits": debits, "source": "getlago/lago-api@0"}
    assert reason({"kind": "wallet_consumption", **fields}) == "refused_there"


def test_every_reason_has_such_a_record() -> None:
    assert MEANS_SOMETHING_ELSE.keys() == PREPAID_REASONS
