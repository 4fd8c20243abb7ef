"""Wallets and balances that no recorded case has, written as records are: worked out by hand."""

from typing import Any

import pytest

from tests.vectors.test_prepaid import compared


def credit(name: str, amount: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "amount": amount, **fields}


WALLETS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "priority, then the older": (
        "getlago/lago-api",
        {
            "credits": [
                credit("late", "25", priority="2", created_order="2"),
                credit("early", "25", priority="2", created_order="1"),
                credit("first", "20", priority="1", created_order="3"),
            ],
            "debits": [{"id": "invoice", "amount": "60", "type": "invoice"}],
        },
        {
            "fundings": [
                ["first", "invoice", "20"],
                ["early", "invoice", "25"],
                ["late", "invoice", "15"],
            ],
            "remaining": {"late": "10"},
        },
    ),
    "several invoices and a void, granted and purchased": (
        "getlago/lago-api",
        {
            "credits": [
                credit("gift", "30", priority="1", created_order="0", type="granted"),
                credit("paid", "70", priority="1", created_order="1", type="purchased"),
            ],
            "debits": [
                {"id": "one", "amount": "25", "type": "invoice"},
                {"id": "void", "amount": "10", "type": "void"},
                {"id": "two", "amount": "20.5", "type": "invoice"},
            ],
        },
        {
            "remaining": {"gift": "0", "paid": "44.5"},
            "prepaid_total": "45.5",
            "prepaid_granted": "25",
            "prepaid_purchased": "20.5",
        },
    ),
    "an invoice above the balance is due": (
        "getlago/lago-api",
        {"credits": [credit("a", "30")], "debits": [{"amount": "50", "type": "invoice"}]},
        {"remaining": {"a": "0"}, "due": "20"},
    ),
    "wallets for some of the usage": (
        "getlago/lago-api",
        {
            "credits": [
                credit("a", "30", applies_to=["calls"]),
                credit("b", "50", applies_to=["storage"]),
            ],
            "debits": [
                {"id": "x", "amount": "25", "type": "invoice", "applies_to": "calls"},
                {"id": "y", "amount": "25", "type": "invoice", "applies_to": "storage"},
            ],
        },
        {"remaining": {"a": "5", "b": "25"}, "prepaid_total": "50"},
    ),
    "credits at a rate": (
        "getlago/lago-api",
        {
            "rate": "0.5",
            "credits": [credit("a", "100")],
            "debits": [{"id": "v", "amount": "60", "type": "void"}],
        },
        {"remaining": {"a": "20"}, "fundings": [["a", "v", "30"]]},
    ),
    "a debit above the balance fails": (
        "flexprice/flexprice",
        {"credits": [credit("a", "100")], "debits": [{"amount": "150", "type": "debit"}]},
        {"error": "insufficient balance", "balance": "100"},
    ),
    "priority, then the end, then the amount; none of them last": (
        "flexprice/flexprice",
        {
            "credits": [
                credit("plain", "50"),
                credit("large", "60", priority="1"),
                credit("small", "40", priority="1"),
                credit("ends", "30", priority="1", expiry="20360301"),
            ],
            "debits": [{"amount": "75", "type": "debit"}],
        },
        {"remaining": {"ends": "0", "small": "0", "large": "55", "plain": "50"}, "balance": "105"},
    ),
    "credits that have expired": (
        "flexprice/flexprice",
        {
            "credits": [credit("a", "100", expiry="20230101")],
            "debits": [{"amount": "50", "type": "debit"}],
        },
        {"error": "insufficient balance", "balance": "0"},
    ),
}


@pytest.mark.parametrize("name", WALLETS)
def test_wallets(name: str) -> None:
    system, *case = WALLETS[name]
    compared((case[0], case[1]), "wallet_consumption", system)


def units(name: str, value: str, weight: str, increment: str = "1") -> dict[str, str]:
    return {"id": name, "value": value, "weight": weight, "increment": increment}


BALANCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the higher weight first": (
        {
            "unit_balances": [units("low", "50", "5"), units("high", "10", "20")],
            "usage": {"quantity": "30"},
        },
        {"unit": {"low": "30", "high": "0"}},
    ),
    "a begun minute is a whole one": (
        {
            "unit_balances": [units("minutes", "150", "10", "60")],
            "usage": {"quantity": "80", "fallback_rate_per_unit": "100"},
        },
        {"unit": {"minutes": "30"}, "error": None},
    ),
    "money pays what is beyond whole minutes, in increments of the price": (
        {
            "unit_balances": [units("minutes", "70", "10", "60")],
            "money_balances": [{"id": "m", "value": "110"}],
            "usage": {
                "quantity": "75",
                "fallback_rate_per_unit": "1",
                "fallback_increment": "10",
            },
        },
        {"unit": {"minutes": "10"}, "money": {"m": "90"}, "charged": "20"},
    ),
    "minutes before seconds": (
        {
            "unit_balances": [units("minutes", "70", "10", "60"), units("seconds", "150", "5")],
            "usage": {"quantity": "80"},
        },
        {"unit": {"minutes": "10", "seconds": "130"}},
    ),
    "money alone, and not enough of it": (
        {
            "money_balances": [{"id": "m", "value": "50"}],
            "usage": {
                "quantity": "80",
                "fallback_rate_per_unit": "1",
                "fallback_increment": "10",
            },
        },
        {"money": {"m": "0"}, "covered_quantity": "50", "error": "insufficient credit"},
    ),
    "a blocker that can pay": (
        {
            "money_balances": [
                {"id": "b", "value": "5", "weight": "20", "blocker": True},
                {"id": "m", "value": "9", "weight": "0"},
            ],
            "usage": {"quantity": "10", "connect_fee": "0.15", "fallback_rate_per_unit": "0.1"},
        },
        {"money": {"b": "3.85", "m": "9"}, "charged": "1.15"},
    ),
    "a connection is paid for beside the units": (
        {
            "unit_balances": [units("seconds", "100", "10")],
            "money_balances": [{"id": "m", "value": "1"}],
            "usage": {"quantity": "10", "connect_fee": "0.25", "fallback_rate_per_unit": "1"},
        },
        {"unit": {"seconds": "90"}, "money": {"m": "0.75"}},
    ),
    "a balance of minutes for seconds": (
        {
            "unit_balances": [{"id": "g", "value": "100", "weight": "5", "factor": "60"}],
            "usage": {"quantity": "30"},
        },
        {"unit": {"g": "99.5"}},
    ),
    "a debit of one balance": (
        {
            "unit_balances": [units("a", "15", "20"), units("b", "8", "30")],
            "usage": {"debit": "10", "matches": "a"},
        },
        {"unit": {"a": "5", "b": "8"}},
    ),
    "nothing costs nothing": (
        {"money_balances": [], "usage": {"quantity": "10", "fallback_rate_per_unit": "0"}},
        {"charged": "0"},
    ),
}


@pytest.mark.parametrize("name", BALANCES)
def test_balances_of_cgrates(name: str) -> None:
    compared(BALANCES[name], "unit_and_money_balances", "cgrates/cgrates")


def balance(name: str, left: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "balance": left, **fields}


OVERDRAWN = balance("n", "-40", overage_allowed=True)
HALF = balance("half", "50", starting_balance="100")
DEDUCTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prepaid before what may be owed": (
        {
            "balances": [balance("owes", "0", overage_allowed=True), balance("prepaid", "300")],
            "deduct": "450",
            "allow_overage": True,
        },
        {"remaining": "0", "balances": {"prepaid": "0", "owes": "-150"}},
    ),
    "what nobody may owe remains": (
        {"balances": [balance("prepaid", "300.5")], "deduct": "450", "allow_overage": False},
        {"remaining": "149.5", "balances": {"prepaid": "0"}},
    ),
    "a refund heals first, and then fills up": (
        {"balances": [OVERDRAWN, HALF], "deduct": "-60", "allow_overage": False},
        {"remaining": "0", "balances": {"n": "0", "half": "70"}},
    ),
    "a refund fills up in order": (
        {
            "balances": [HALF, balance("last", "10", starting_balance="30")],
            "deduct": "-60",
            "allow_overage": False,
        },
        {"remaining": "0", "balances": {"half": "100", "last": "20"}},
    ),
    "a refund beyond what was given remains": (
        {
            "balances": [balance("capped", "0", starting_balance="300")],
            "deduct": "-500",
            "allow_overage": False,
        },
        {"remaining": "-200", "balances": {"capped": "300"}},
    ),
    "what is owed grows": (
        {"balances": [OVERDRAWN, HALF], "deduct": "60", "allow_overage": True},
        {"remaining": "0", "balances": {"n": "-50", "half": "0"}},
    ),
}


@pytest.mark.parametrize("name", DEDUCTIONS)
def test_deductions_of_autumn(name: str) -> None:
    compared(DEDUCTIONS[name], "deduction", "useautumn/autumn")


def test_tokens_are_credits_for_what_they_cost() -> None:
    case = {"price": {"credits_per_unit": "1000"}, "usage": {"cost": "0.125"}}
    compared((case, {"credit_cost": "125"}), "credit_conversion", "useautumn/autumn")


def test_a_balance_pays_for_usage_at_a_price() -> None:
    tiers = [{"up_to": "5", "unit_price": "3"}, {"up_to": None, "unit_price": "1"}]
    price = {"model": "graduated", "tiers": tiers}
    case = {"balance": "100", "price": price, "usage": {"quantity": "9", "line": "single"}}
    compared((case, {"balance": "81"}), "balance_after_usage", "flexprice/flexprice")
