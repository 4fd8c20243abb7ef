"""The domain's language for tests: tariffs as documents, usage by its own words, an account.

Everything takes the public path: a YAML text becomes a version by `parse_tariff`, usage fields
become an event by `check_usage`, and a `Scenario` puts both through a ledger as a worker does.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Any

from engine.adapters.avro.usage import DEFAULTS, NO_QUANTITIES
from engine.adapters.documents.reading import parse_text
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.zones import freeze_zone
from engine.rating.charge import AccountEvent, Charge
from engine.rating.command import AccountCommand, AssignTariff, ClosePeriod, OpenAccount, Order
from engine.rating.errors import Refusal
from engine.rating.ledger import Ledger, MemoryIdentities
from engine.rating.period import FrozenZone, instant
from engine.rating.rules import LATEST_REVISION
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, Position, UsageEvent, check_usage

Quantities = Mapping[str, int]

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
        self.settlements: list[Charge] = []
        """Every settlement so far."""
        self._offset = 0

    def origin(self, topic: str = "usage", received_at: int = NEW_YEAR) -> Origin:
        """Return the next input position."""
        self._offset += 1
        return Origin(Position(topic, 0, self._offset), received_at)

    def publish(self, version: TariffVersion) -> list[AccountEvent]:
        """Make a version known; return what accounts made of it."""
        origin = self.origin("tariffs")
        if self.book.add(version, origin.position.offset) is None:
            return []
        events = []
        for event in self.ledger.publish(version, origin):
            events.append(event)
            self._settle(event)
        return events

    def command(
        self,
        order: Order,
        command_id: str = "",
        account_id: str = "acme",
        principal: str = "",
        received_at: int = NEW_YEAR,
    ) -> AccountEvent:
        """Send an account command; its id is new unless said."""
        origin = self.origin("accounts", received_at)
        name = command_id or f"command-{origin.position.offset}"
        command = AccountCommand(name, account_id, principal, order)
        event = self.ledger.command(command, origin)
        self._settle(event)
        return event

    def open(
        self, currency: str = "USD", time_zone: str = "UTC", close_grace_days: int = 0
    ) -> AccountEvent:
        """Open acme."""
        return self.command(OpenAccount(currency, zone(time_zone), close_grace_days * DAY))

    def close(self, period: str, received_at: str = "2027-01-01T00:00:00Z") -> AccountEvent:
        """Close a month of acme."""
        return self.command(ClosePeriod(period), received_at=at(received_at))

    def _settle(self, record: Charge | AccountEvent) -> None:
        self.settlements += self.ledger.settlements(record, LATEST_REVISION)

    def assign(
        self,
        tariff_id: str = "plan",
        effective_from: str = "2026-01-01T00:00:00Z",
        effective_to: str | None = None,
    ) -> AccountEvent:
        """Put acme on a tariff."""
        end = None if effective_to is None else at(effective_to)
        return self.command(AssignTariff(tariff_id, at(effective_from), end))

    def use(
        self, event_id: str, occurred_at: str, quantities: Quantities, **rest: Any
    ) -> Charge | Refusal | str:
        """Report usage a second after it happened; return what the ledger decides of it."""
        allowed = frozenset(rest.get("attributes", ()))
        event = check_usage(usage_fields(event_id, occurred_at, quantities, **rest), allowed)
        if isinstance(event, Refusal):
            return event
        outcome = self.ledger.charge(event, self.origin(received_at=event.occurred_at + 1_000_000))
        if isinstance(outcome, Charge):
            self._settle(outcome)
        return outcome

    def charged(
        self, event_id: str, occurred_at: str, quantities: Quantities, **rest: Any
    ) -> Charge:
        """Report usage that must be charged."""
        charge = self.use(event_id, occurred_at, quantities, **rest)
        assert isinstance(charge, Charge), charge
        return charge


def acme_on(*texts: str, time_zone: str = "UTC") -> Scenario:
    """Return a scenario in which acme is open and on the tariff `plan`, in these versions."""
    scenario = Scenario()
    for text in texts:
        scenario.publish(tariff(text))
    scenario.open(time_zone=time_zone)
    scenario.assign()
    return scenario


def state_of(scenario_account: Any) -> dict[str, Any]:
    """Return everything an account remembers, to compare two of them."""
    return {name: getattr(scenario_account, name) for name in scenario_account.__slots__}


def fixed_zone(hours: int) -> FrozenZone:
    """Return a zone that is always the same number of hours ahead of UTC."""
    return FrozenZone(f"UTC+{hours}", (0,), (hours * 3600,))
