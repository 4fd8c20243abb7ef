"""The public offline rating, for a vector: a tariff document and usage in, charges out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import Any

from engine.adapters.documents.accounts import parse_accounts
from engine.adapters.documents.tariff import parse_tariff
from engine.entrypoints.offline import OfflineRating
from engine.rating.charge import Charge
from engine.rating.errors import Refusal
from engine.rating.money import PICO

ACCOUNT = "acme"
START = datetime(2026, 11, 1, tzinfo=UTC)
AFTER_THE_MONTH = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 10**6
VERSION: Mapping[str, Any] = {
    "tariff_id": "plan",
    "version": 1,
    "effective_from": "2000-01-01T00:00:00Z",
    "currency": "USD",
}
ACCOUNTS = [
    {
        "account_id": ACCOUNT,
        "currency": "USD",
        "tariffs": [{"tariff_id": "plan", "effective_from": "2026-11-01T00:00:00Z"}],
    }
]
CALL: Mapping[str, Any] = {
    "account_id": ACCOUNT,
    "source": "vectors",
    "provider": "provider",
    "model": "model",
    "operation": "chat",
}


class Vector:
    """One account on one tariff, through the month that the usage of a vector falls in."""

    def __init__(self, *documents: Mapping[str, Any], since_the_month: bool = True) -> None:
        versions = [parse_tariff({**VERSION, **document}, "vector") for document in documents]
        accounts = parse_accounts(ACCOUNTS, "accounts") if since_the_month else None
        self._rating = OfflineRating(versions, accounts, frozenset())
        self._lines = count()

    def charge(self, quantities: Mapping[str, Any], **fields: Any) -> Charge | Refusal:
        """Rate one event; `fields` override those of a call, `occurred_at` a time in the month."""
        line = next(self._lines)
        at = (START + timedelta(seconds=line)).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {**CALL, "event_id": f"event-{line}", "occurred_at": at, **fields}
        (outcome,) = self._rating.rate({**event, "quantities": dict(quantities)}, line)
        assert isinstance(outcome, Charge | Refusal), outcome
        return outcome

    def charged(self, events: Iterable[Mapping[str, Any]], **fields: Any) -> list[Charge]:
        """Rate events one after the other; all of them are accepted."""
        charges = []
        for quantities in events:
            outcome = self.charge(quantities, **fields)
            assert isinstance(outcome, Charge), outcome
            charges.append(outcome)
        return charges

    def close(self) -> Fraction:
        """Close the month; return what is settled, in currency units."""
        records = self._rating.advance(AFTER_THE_MONTH)
        return money(record.amount for record in records if isinstance(record, Charge))


def money(picos: Iterable[int]) -> Fraction:
    """Return the sum of amounts in currency units."""
    return Fraction(sum(picos), PICO)


def charged_amount(charges: Sequence[Charge]) -> Fraction:
    """Return what charges come to, in currency units."""
    return money(charge.amount for charge in charges)
