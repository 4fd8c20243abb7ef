"""The domain's language for tests: tariffs as documents, usage by its own words, an account.

Everything takes the public path: a YAML text becomes a version by `parse_tariff`, usage fields
become an event by `check_usage`, and a `Scenario` puts both through a ledger as a worker does.
"""

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from engine.adapters.avro.usage import DEFAULTS, NO_QUANTITIES
from engine.adapters.documents.grants import parse_amount, parse_grant, parse_limit
from engine.adapters.documents.reading import parse_text
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.zones import freeze_zone
from engine.rating.account import Account
from engine.rating.bucket import Bucket
from engine.rating.charge import CORRECTION, SETTLEMENT, USAGE, Charge
from engine.rating.command import (
    PRICED,
    AccountCommand,
    Adjust,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    OpenAccount,
    Order,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.errors import Refusal
from engine.rating.event import AccountEvent, AlertRaised
from engine.rating.ledger import Ledger, MemoryIdentities
from engine.rating.limit import Limits
from engine.rating.period import FrozenZone, instant
from engine.rating.prepaid import Prepaid
from engine.rating.rules import ANY_TIME, Terms
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, Position, UsageEvent, check_usage

Quantities = Mapping[str, int]

_Change = TypeVar("_Change")

DAY = 24 * 3_600 * 1_000_000
NEW_YEAR = instant(datetime(2027, 1, 1, tzinfo=UTC))

zone = cache(freeze_zone)
"""Freezing a zone reads fifty years of it; once per test run is enough."""

ONE_INPUT: Quantities = MappingProxyType({"input": 1})

ONE_DOLLAR_EACH = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - {id: tokens, kinds: ["*"], period: calendar_month, price: {model: unit, unit_price: "1"}}
"""


def at(text: str) -> int:
    """Return an RFC 3339 time as microseconds since 1970."""
    return instant(datetime.fromisoformat(text))


def tariff(text: str) -> TariffVersion:
    """Return the version that a YAML or JSON text describes."""
    return parse_tariff(parse_text(text, "tariff"), "tariff")


def usage_fields(event_id: str, occurred_at: str, quantities: Quantities, **rest: Any) -> Any:
    """Return the fields of a usage event: a chat of login-1 of acme with gpt-4o, unless said."""
    return {
        **DEFAULTS,
        "account_id": "acme",
        "source": "gateway-1",
        "subject": "login-1",
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat",
        "event_id": event_id,
        "occurred_at": at(occurred_at),
        "quantities": {**NO_QUANTITIES, **quantities},
        **rest,
    }


def usage(
    event_id: str = "e1",
    occurred_at: str = "2026-11-02T00:00:00Z",
    quantities: Quantities = ONE_INPUT,
    **rest: Any,
) -> UsageEvent:
    """Return a checked usage event."""
    event = check_usage(usage_fields(event_id, occurred_at, quantities, **rest), frozenset())
    assert isinstance(event, UsageEvent), event
    return event


class Scenario:
    """One partition with its accounts; acme is the one that things happen to unless said."""

    def __init__(self) -> None:
        self.book = TariffBook()
        self.ledger = Ledger(self.book, MemoryIdentities())
        self.records: list[Charge | AccountEvent] = []
        """Every record so far, in journal order."""
        self._offset = 0

    @property
    def settlements(self) -> list[Charge]:
        """Every settlement so far."""
        return self.charges(SETTLEMENT)

    def origin(self, topic: str = "usage", received_at: int = NEW_YEAR) -> Origin:
        """Return the next input position."""
        self._offset += 1
        return Origin(Position(topic, 0, self._offset), received_at)

    def publish(self, version: TariffVersion) -> list[AccountEvent]:
        """Make a version known; return what accounts made of it."""
        origin = self.origin("tariffs")
        if self.book.add(version, origin.position.offset) is None:
            return []
        records = [record for step in self.ledger.publish(version, origin) for record in step]
        self.records += records
        return [record for record in records if isinstance(record, AccountEvent)]

    def command(
        self,
        order: Order,
        command_id: str = "",
        account_id: str = "acme",
        principal: str = "",
        received_at: int = NEW_YEAR,
        *,
        needs_approval: bool = False,
    ) -> AccountEvent:
        """Send an account command; its id is new unless said. Return what it did."""
        origin = self.origin("accounts", received_at)
        name = command_id or f"command-{origin.position.offset}"
        command = AccountCommand(name, account_id, principal, order, needs_approval)
        records = self.ledger.command(command, origin)
        self.records += records
        event = records[0]
        assert isinstance(event, AccountEvent)
        return event

    def advance(self, time: str) -> list[Charge | AccountEvent]:
        """Let time pass up to an instant; return everything that happens."""
        records = self.ledger.advance(at(time), self.origin("accounts", at(time)))
        self.records += records
        return records

    def open(
        self, currency: str = "USD", time_zone: str = "UTC", close_grace_days: int = 0
    ) -> AccountEvent:
        """Open acme."""
        return self.command(OpenAccount(currency, zone(time_zone), close_grace_days * DAY))

    def close(self, period: str, received_at: str = "2027-01-01T00:00:00Z") -> AccountEvent:
        """Close a month of acme."""
        return self.command(ClosePeriod(period), received_at=at(received_at))

    def assign(
        self,
        tariff_id: str = "plan",
        effective_from: str = "2026-01-01T00:00:00Z",
        effective_to: str | None = None,
        overage: str = PRICED,
    ) -> AccountEvent:
        """Put acme on a tariff."""
        end = None if effective_to is None else at(effective_to)
        return self.command(AssignTariff(tariff_id, at(effective_from), end, overage))

    def use(
        self, event_id: str, occurred_at: str, quantities: Quantities, **rest: Any
    ) -> Charge | AccountEvent | Refusal | str:
        """Report usage a second after it happened; return what the ledger makes of the event itself.

        Of usage that is its charge, also if it amends; of a void the correction.
        """
        allowed = frozenset(rest.get("attributes", ()))
        event = check_usage(usage_fields(event_id, occurred_at, quantities, **rest), allowed)
        if isinstance(event, Refusal):
            return event
        origin = self.origin(received_at=event.occurred_at + 1_000_000)
        return self.take(event, origin)

    def void(
        self, event_id: str, corrects: str, occurred_at: str, **rest: Any
    ) -> Charge | AccountEvent | Refusal | str:
        """Take a usage event back; return what `use` does."""
        return self.use(event_id, occurred_at, {}, action="void", corrects=corrects, **rest)

    def give(self, unit: str, amount: str, grant_id: str = "g", **terms: Any) -> AccountEvent:
        """Give acme tokens or money from New Year of 2026 on, unless the terms say else."""
        document = {"valid_from": "2026-01-01T00:00:00Z"} | terms
        document |= {"grant_id": grant_id, "unit": unit, "amount": amount}
        return self.command(IssueGrant(parse_grant(document, "grant")))

    def recharge(self, bucket: str, amount: str) -> AccountEvent:
        """Put more into a bucket of acme."""
        return self.command(RechargeBucket(bucket, parse_amount(amount)))

    def take_back_grant(self, grant_id: str = "g") -> AccountEvent:
        """Void what remains of a grant of acme."""
        return self.command(VoidGrant(grant_id))

    def limit(
        self, limit_id: str = "l", received_at: str = "2026-11-01T00:00:00Z", **terms: Any
    ) -> AccountEvent:
        """Set a limit for acme, or take it away."""
        limit = parse_limit({"limit_id": limit_id} | terms, "limit")
        return self.command(SetLimit(limit), received_at=at(received_at))

    def adjust(
        self, amount: str, reason: str = "agreed", occurred_at: str = "2026-11-02T00:00:00Z"
    ) -> AccountEvent:
        """Change what acme owes."""
        return self.command(Adjust(parse_amount(amount, signed=True), reason, at(occurred_at)))

    @property
    def acme(self) -> Account:
        """The account that things happen to."""
        return self.ledger.account("acme")

    def bucket(self, bucket_id: str = "g") -> Bucket:
        """Return a bucket of acme."""
        return self.acme.prepaid.buckets[bucket_id]

    def raised(self) -> list[tuple[str, str]]:
        """Return every alert so far, as code and key."""
        return [(change.code, change.key) for change in self.changes(AlertRaised)]

    def changes(self, kind: type[_Change]) -> list[_Change]:
        """Return every change of a kind so far."""
        events = [record.change for record in self.records if isinstance(record, AccountEvent)]
        return [change for change in events if isinstance(change, kind)]

    def charges(self, kind: str) -> list[Charge]:
        """Return every charge of a kind so far."""
        charges = [record for record in self.records if isinstance(record, Charge)]
        return [charge for charge in charges if charge.kind == kind]

    def take(
        self, event: UsageEvent, origin: Origin, terms: Terms = ANY_TIME
    ) -> Charge | AccountEvent | Refusal | str:
        """Take a checked event in, as received at a place; return what `use` does."""
        records, refusal = self.ledger.take(event, origin, terms)
        self.records += records
        return refusal or _own(event, records)

    def charged(
        self, event_id: str, occurred_at: str, quantities: Quantities, **rest: Any
    ) -> Charge:
        """Report usage that must be charged."""
        charge = self.use(event_id, occurred_at, quantities, **rest)
        assert isinstance(charge, Charge), charge
        return charge


def _own(event: UsageEvent, records: list[Charge | AccountEvent]) -> Charge | AccountEvent:
    """Return the record of an event itself, among those that it has led to."""
    charges = [record for record in records if isinstance(record, Charge)]
    for kind in (USAGE, CORRECTION):
        for charge in charges:
            if charge.kind == kind and charge.event_id == event.event_id:
                return charge
    return next(record for record in records if isinstance(record, AccountEvent))


def acme_on(*texts: str, time_zone: str = "UTC") -> Scenario:
    """Return a scenario in which acme is open and on the tariff `plan`, in these versions."""
    scenario = Scenario()
    for text in texts:
        scenario.publish(tariff(text))
    scenario.open(time_zone=time_zone)
    scenario.assign()
    return scenario


def state_of(part: Account | Prepaid | Limits) -> dict[str, Any]:
    """Return a copy of everything an account remembers, to compare two of them.

    Its agenda is left out: it is worked out from the rest whenever somebody asks.
    """
    state = {name: getattr(part, name) for name in part.__slots__ if name != "agenda"}
    return {
        name: state_of(value) if isinstance(value, Prepaid | Limits) else deepcopy(value)
        for name, value in state.items()
    }


def fixed_zone(hours: int) -> FrozenZone:
    """Return a zone that is always the same number of hours ahead of UTC."""
    return FrozenZone(f"UTC+{hours}", (0,), (hours * 3600,))
