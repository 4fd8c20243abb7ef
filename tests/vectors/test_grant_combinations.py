"""Grants that no recorded case has: worked out by hand from the semantics, written as records are."""

from typing import Any

import pytest

from tests.vectors.test_prepaid import compared

JANUARY = {"effective_at": "2024-01-01T00:00:00Z", "expires_at": "2024-02-01T00:00:00Z"}
GRANT = {"id": "a", "amount": "100", "priority": "1", **JANUARY}
DAILY = {"recurrence": "P1D", "recurrence_anchor": "2024-01-01T00:00:00Z"}


def at(day: str, amount: str) -> dict[str, str]:
    """Usage on a day of January 2024, such as "03T06"."""
    return {"at": f"2024-01-{day}:00:00Z", "amount": amount}


def period(
    grants: list[dict[str, str]], usage: list[dict[str, str]], until: str, **fields: Any
) -> dict[str, Any]:
    start, end = "2024-01-01T00:00:00Z", f"2024-01-{until}:00:00Z"
    return {"grants": grants, "usage": usage, "start": start, "until": end, **fields}


BURN_DOWNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "what ends first is burnt first, whatever order it was given in": (
        period(
            [{**GRANT, "id": "b"}, {**GRANT, "expires_at": "2024-01-20T00:00:00Z"}],
            [at("01T06", "120")],
            "02T00",
        ),
        {"balances": {"a": "0", "b": "80"}},
    ),
    "a lower priority is burnt before what ends first": (
        period(
            [
                {**GRANT, "priority": "2", "expires_at": "2024-01-20T00:00:00Z"},
                {**GRANT, "id": "b"},
            ],
            [at("01T06", "120")],
            "02T00",
        ),
        {"balances": {"a": "80", "b": "0"}},
    ),
    "of equals the older is burnt first, then the id": (
        period(
            [
                {**GRANT, "created_at": "2024-01-01T02:00:00Z"},
                {**GRANT, "id": "c", "created_at": "2024-01-01T01:00:00Z"},
                {**GRANT, "id": "b", "created_at": "2024-01-01T01:00:00Z"},
            ],
            [at("01T06", "150")],
            "02T00",
        ),
        {"balances": {"a": "100", "b": "0", "c": "50"}},
    ),
    "a recurring grant does not go before one that ends before it": (
        period(
            [{**GRANT, **DAILY}, {**GRANT, "id": "b", "expires_at": "2024-01-20T00:00:00Z"}],
            [at("01T06", "30")],
            "01T12",
        ),
        {"balances": {"a": "100", "b": "70"}},
    ),
    "a week that counts from an anchor inside of it": (
        period(
            [{**GRANT, "recurrence": "P1W", "recurrence_anchor": "2024-01-04T00:00:00Z"}],
            [at("03T06", "70"), at("04T00", "30"), at("10T23", "10")],
            "11T00",
        ),
        {"balances": {"a": "100"}, "total_grant_usage": "110", "overage": "0", "segments": "3"},
    ),
    "six hours are no recurrence of a grant, but as many grants": (
        period([{**GRANT, "recurrence": "PT6H"}], [at("01T05", "90"), at("01T06", "20")], "01T11"),
        {"balances": {"a": "80"}},
    ),
    "a starting balance is what is left of the occurrence that has begun": (
        period(
            [{**GRANT, **DAILY, "effective_at": "2023-12-20T12:00:00Z", "recurrence": "P7D"}],
            [at("01T01", "2.5")],
            "01T12",
            starting_balances={"a": "40"},
        ),
        {"balances": {"a": "97.5"}, "total_grant_usage": "2.5"},
    ),
    "a starting balance of a grant that began before": (
        period(
            [{**GRANT, "effective_at": "2023-12-20T12:00:00Z"}],
            [at("01T01", "30"), {"at": "2023-12-30T00:00:00Z", "amount": "60"}],
            "02T00",
            starting_balances={"a": "40"},
        ),
        {"balances": {"a": "10"}, "total_grant_usage": "30"},
    ),
    "usage at the very end of a grant is not its own": (
        period([{**GRANT, "expires_at": "2024-01-02T00:00:00Z"}], [at("02T00", "10")], "03T00"),
        {"balances": {"a": "0"}, "overage": "10", "segment_usage": ["0", "10"]},
    ),
    "a voided grant does not recur": (
        period(
            [{**GRANT, **DAILY, "voided_at": "2024-01-02T12:00:00Z"}],
            [at("02T06", "40"), at("02T12", "5"), at("03T06", "1")],
            "04T00",
        ),
        {"balances": {"a": "0"}, "overage": "6", "total_grant_usage": "40"},
    ),
    "a reset keeps no more than the most": (
        period(
            [{**GRANT, "max_rollover": "50"}],
            [at("01T01", "10"), at("02T01", "20")],
            "03T00",
            resets=["2024-01-01T05:00:00Z"],
        ),
        {"balances": {"a": "30"}, "segments": "2", "total_grant_usage": "20"},
    ),
    "a reset gives the least": (
        period(
            [{**GRANT, "max_rollover": "50", "min_rollover": "30"}],
            [at("01T01", "95")],
            "02T00",
            resets=["2024-01-02T00:00:00Z"],
        ),
        {"balances": {"a": "30"}, "segments": "2"},
    ),
    "what is rolled over ends with the grant": (
        period(
            [{**GRANT, "max_rollover": "50", "expires_at": "2024-01-03T00:00:00Z"}],
            [at("02T12", "10"), at("03T12", "5")],
            "04T00",
            resets=["2024-01-02T00:00:00Z"],
        ),
        {"balances": {"a": "0"}, "overage": "5", "total_grant_usage": "10"},
    ),
    "a reset drops overage": (
        period(
            [{**GRANT, "max_rollover": "50", "min_rollover": "50"}],
            [at("01T01", "130"), at("02T01", "20")],
            "03T00",
            resets=["2024-01-01T05:00:00Z"],
        ),
        {"balances": {"a": "30"}, "overage": "0", "overage_before_reset": "30"},
    ),
    "a reset where a grant recurs fills it up": (
        period([{**GRANT, **DAILY}], [at("01T01", "80")], "02T12", resets=["2024-01-02T00:00:00Z"]),
        {"balances": {"a": "100"}},
    ),
    "a grant without an end": (
        period([{"id": "a", "amount": "0.5", "effective_at": "2024-01-01T00:00:00Z"}], [], "02T00"),
        {"balances": {"a": "0.5"}, "total_balance": "0.5"},
    ),
}


@pytest.mark.parametrize("name", BURN_DOWNS)
def test_grants_of_openmeter(name: str) -> None:
    compared(BURN_DOWNS[name], "grant_burn_down", "openmeterio/openmeter")


def test_the_order_of_grants() -> None:
    grants = [
        {"id": "never-ends", "priority": "1"},
        {"id": "later", "priority": "2", **JANUARY},
        {"id": "b", "priority": "1", **JANUARY},
        {"id": "a", "priority": "1", **JANUARY},
        {"id": "soon", "priority": "1", **JANUARY, "expires_at": "2024-01-09T00:00:00.9Z"},
    ]
    order = ["soon", "a", "b", "never-ends", "later"]
    compared(({"grants": grants}, {"order": order}), "grant_order", "openmeterio/openmeter")
