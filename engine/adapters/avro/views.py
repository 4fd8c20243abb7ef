"""Balances and alerts to bytes and back: records of topics that are derived from the journal."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from engine.adapters.avro.wire import encode, from_decimal, to_decimal
from engine.rating.account import PeriodSpend
from engine.rating.alert import Alert
from engine.rating.balance import Balance, BucketState, LimitState, PrepaidTotal
from schemas.loader import latest

_BALANCE = latest("balance")
_ALERT = latest("alert")

_AMOUNTS = frozenset(
    "granted remaining drawn expired rolled voided burn used amount".split()  # of nested records
)


def encode_balance(balance: Balance) -> bytes:
    """Return a balance in single-object encoding."""
    return encode(_BALANCE, balance_fields(balance))


def balance_fields(balance: Balance) -> dict[str, Any]:
    """Return a balance as the fields of its schema."""
    periods = [
        {"period": label, "amount": to_decimal(spend.amount), "charges": spend.charges}
        for label, spend in balance.periods
    ]
    return {
        **balance._asdict(),
        "due": to_decimal(balance.due),
        "periods": periods,
        "buckets": _rows(balance.buckets),
        "prepaid": _rows(balance.prepaid),
        "limits": _rows(balance.limits),
    }


def balance_from(fields: dict[str, Any]) -> Balance:
    """Return the balance that decoded fields describe."""
    periods = tuple(
        (row["period"], PeriodSpend(from_decimal(row["amount"]), row["charges"]))
        for row in fields["periods"]
    )
    return Balance(
        **{
            **fields,
            "due": from_decimal(fields["due"]),
            "periods": periods,
            "buckets": tuple(BucketState(**_pico(row)) for row in fields["buckets"]),
            "prepaid": tuple(PrepaidTotal(**_pico(row)) for row in fields["prepaid"]),
            "limits": tuple(LimitState(**_pico(row)) for row in fields["limits"]),
            "limited_subjects": tuple(fields["limited_subjects"]),
        }
    )


def _rows(records: Iterable[NamedTuple]) -> list[dict[str, Any]]:
    return [
        {
            name: to_decimal(value) if name in _AMOUNTS else value
            for name, value in record._asdict().items()
        }
        for record in records
    ]


def _pico(row: dict[str, Any]) -> dict[str, Any]:
    return {name: from_decimal(value) if name in _AMOUNTS else value for name, value in row.items()}


def encode_alert(alert: Alert) -> bytes:
    """Return an alert in single-object encoding."""
    return encode(_ALERT, alert_fields(alert))


def alert_fields(alert: Alert) -> dict[str, Any]:
    """Return an alert as the fields of its schema."""
    return alert._asdict()


def alert_from(fields: dict[str, Any]) -> Alert:
    """Return the alert that decoded fields describe."""
    return Alert(**fields)
