"""Balances and alerts to bytes and back: records of topics that are derived from the journal."""

from typing import Any

from engine.adapters.avro.wire import encode, from_decimal, to_decimal
from engine.rating.account import PeriodSpend
from engine.rating.alert import Alert
from engine.rating.balance import Balance
from schemas.loader import latest

_BALANCE = latest("balance")
_ALERT = latest("alert")


def encode_balance(balance: Balance) -> bytes:
    """Return a balance in single-object encoding."""
    return encode(_BALANCE, balance_fields(balance))


def balance_fields(balance: Balance) -> dict[str, Any]:
    """Return a balance as the fields of its schema."""
    periods = [
        {"period": label, "amount": to_decimal(spend.amount), "charges": spend.charges}
        for label, spend in balance.periods
    ]
    return {**balance._asdict(), "due": to_decimal(balance.due), "periods": periods}


def balance_from(fields: dict[str, Any]) -> Balance:
    """Return the balance that decoded fields describe."""
    periods = tuple(
        (row["period"], PeriodSpend(from_decimal(row["amount"]), row["charges"]))
        for row in fields["periods"]
    )
    return Balance(**{**fields, "due": from_decimal(fields["due"]), "periods": periods})


def encode_alert(alert: Alert) -> bytes:
    """Return an alert in single-object encoding."""
    return encode(_ALERT, alert._asdict())
