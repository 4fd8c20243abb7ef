"""Offline rating: usage in, charges out, with no Kafka and the same rules.

Each usage line goes through the same checks, identities and ledger as in a worker, so the charges
are the same to the byte but for where the event stood (`position`: topic ``usage``, partition 0,
the line number from 0) and `received_at`, for which the time of use stands in.

Once all usage is rated, `close` closes the months that are over, as the command `close-period`
would: an assignment with a beginning owes its minimums from that month on; one without a beginning
from the month of the account's first usage, because nobody says since when it holds.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from engine.adapters.documents.accounts import AccountOrders
from engine.adapters.documents.usage import parse_usage
from engine.rating.account import Account
from engine.rating.charge import Charge, CommandRefused
from engine.rating.command import AccountCommand, AssignTariff, ClosePeriod, OpenAccount, Order
from engine.rating.errors import InvalidDocument, Refusal
from engine.rating.exchange import ExchangeRate
from engine.rating.ledger import Ledger, MemoryIdentities
from engine.rating.month import month_of, next_label
from engine.rating.period import FIRST_INSTANT, billing_month
from engine.rating.rules import LATEST_REVISION
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.rating.usage import Origin, Position, UsageEvent, check_usage


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

    def rate(self, data: Any, line: int) -> Charge | Refusal | str:
        """Rate one usage event in its JSON form; `line` from 0. DUPLICATE for a repeated one."""
        fields = parse_usage(data)
        if isinstance(fields, Refusal):
            return fields
        event = check_usage(fields, self._allowed_attributes)
        if not isinstance(event, UsageEvent):
            return event
        if self._opens_by_itself and event.account_id not in self.ledger.accounts:
            self._open_like_tariff(event.account_id)
        return self.ledger.charge(event, Origin(Position("usage", 0, line), event.occurred_at))

    def close(self, until: int) -> list[Charge]:
        """Close every month that is over at an instant (us UTC); return the settlements.

        By account id, then by month. Rate all usage before; nothing is settled again here.
        """
        found: list[Charge] = []
        for account_id, account in sorted(self.ledger.accounts.items()):
            for period in _months_over(account, until):
                origin = Origin(Position("accounts", 0, len(found)), until)
                command = AccountCommand(f"close/{period}", account_id, "", ClosePeriod(period))
                event = self.ledger.command(command, origin)
                if isinstance(event.change, CommandRefused):
                    refusal = event.change.refusal
                    raise InvalidDocument(f"account {account_id}", refusal.explanation, "to close")
                found += self.ledger.settlements(event, LATEST_REVISION)
        return found

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
            change = self.ledger.command(command, origin).change
            if isinstance(change, CommandRefused):
                raise InvalidDocument(
                    f"account {account_id}", change.refusal.explanation, "an order that applies"
                )


def _months_over(account: Account, until: int) -> Iterator[str]:
    """Yield the months to close: none without a tariff, nor before anything could be owed."""
    starts = [assignment.effective_from for assignment in account.assignments]
    begun = [billing_month(account.zone, at) for at in starts if at > FIRST_INSTANT]
    label = min([*begun, *account.periods], default=None)
    while label is not None and account.assignments:
        month = month_of(label, account.zone)
        if month is None or month.ends_at > until:
            return
        if label not in account.closed:
            yield label
        label = next_label(label)
