"""Offline rating: usage in, charges out, with no Kafka and the same rules.

Each usage line goes through the same checks, identities and ledger as in a worker, so the charges
are the same to the byte but for where the event stood (`position`: topic ``usage``, partition 0,
the line number from 0) and `received_at`, for which the time of use stands in.

Once all usage is rated, `advance` lets time pass as the clock would (`engine.rating.clock`): buckets
expire and open again, and the months that are over are closed.
"""

from collections.abc import Sequence
from typing import Any

from engine.adapters.documents.accounts import AccountOrders
from engine.adapters.documents.usage import parse_usage
from engine.rating.command import AccountCommand, AssignTariff, OpenAccount, Order
from engine.rating.errors import InvalidDocument, Refusal
from engine.rating.event import AccountEvent, CommandRefused
from engine.rating.exchange import ExchangeRate
from engine.rating.ledger import Decided, Ledger, MemoryIdentities
from engine.rating.period import FIRST_INSTANT
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, Position, UsageEvent, check_usage

Outcomes = Sequence[Decided | Refusal | str]
"""What one usage event leads to: records; or, last of all, why it was not accepted, or DUPLICATE."""


class OfflineRating:
    """Rates usage with the given tariff versions.

    Supplier tariffs among them, and the exchange rates, give the cost. Without `accounts`, an
    account seen in the usage is opened with the one tariff to sell by, in its currency and zone.
    """

    def __init__(
        self,
        versions: Sequence[TariffVersion],
        accounts: AccountOrders | None,
        allowed_attributes: frozenset[str],
        exchange_rates: Sequence[ExchangeRate] = (),
    ) -> None:
        self._book = TariffBook()
        for offset, version in enumerate(sorted(versions, key=lambda v: (v.tariff_id, v.version))):
            self._book.add(version, offset)
        for offset, exchange in enumerate(exchange_rates, len(versions)):
            self._book.supply.rates.add(exchange, offset)
        self._sold_by = [
            tariff_id
            for tariff_id in self._book.tariff_ids()
            if not self._book.versions(tariff_id)[0].version.is_of_supplier
        ]
        self.ledger = Ledger(self._book, MemoryIdentities())
        self._allowed_attributes = allowed_attributes
        self._opens_by_itself = accounts is None
        for account_id, orders in (accounts or {}).items():
            self._order(account_id, orders)
        if self._opens_by_itself and len(self._sold_by) != 1:
            raise InvalidDocument("--tariff", ", ".join(self._sold_by), "one tariff, or --accounts")

    def rate(self, data: Any, line: int) -> Outcomes:
        """Rate one usage event in its JSON form; `line` from 0. Return what it leads to, in order."""
        fields = parse_usage(data)
        if isinstance(fields, Refusal):
            return [fields]
        event = check_usage(fields, self._allowed_attributes)
        if not isinstance(event, UsageEvent):
            return [event]
        if self._opens_by_itself and event.account_id not in self.ledger.accounts:
            self._open_like_tariff(event.account_id)
        origin = Origin(Position("usage", 0, line), event.occurred_at)
        records, refusal = self.ledger.take(event, origin)
        return records if refusal is None else [*records, refusal]

    def advance(self, until: int) -> list[Decided]:
        """Let time pass up to an instant (us UTC): what is due happens, months close.

        By account id, then by due time. Rate all usage before.
        """
        return self.ledger.advance(until, Origin(Position("accounts", 0, 0), until))

    def _open_like_tariff(self, account_id: str) -> None:
        (tariff_id,) = self._sold_by
        first = self._book.versions(tariff_id)[0].version
        orders = (
            OpenAccount(first.currency, first.zone),
            AssignTariff(tariff_id, FIRST_INSTANT, None),
        )
        self._order(account_id, orders)

    def _order(self, account_id: str, orders: Sequence[Order]) -> None:
        origin = Origin(Position("accounts", 0, len(self.ledger.accounts)), FIRST_INSTANT)
        for number, order in enumerate(orders):
            command = AccountCommand(f"{account_id}/{number}", account_id, "", order)
            event = self.ledger.command(command, origin)[0]
            change = event.change if isinstance(event, AccountEvent) else None
            if isinstance(change, CommandRefused):
                raise InvalidDocument(
                    f"account {account_id}", change.refusal.explanation, "an order that applies"
                )
