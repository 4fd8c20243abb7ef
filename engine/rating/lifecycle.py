"""The life of an account: commands applied or refused, versions adopted or staged, periods closed.

Deciding only: each function reads state and returns the changes to journal. A version that
becomes known is adopted at once by each account without a charge at or after its effective_from;
every other account stages it, because live rating may not contradict charges that stand
(semantics section 2).
"""

from engine.rating.account import Account
from engine.rating.charge import (
    AccountOpened,
    Change,
    CommandRefused,
    PeriodClosed,
    TariffAssigned,
    VersionAdopted,
    VersionReference,
    VersionStaged,
)
from engine.rating.command import AccountCommand, AssignTariff, ClosePeriod, OpenAccount
from engine.rating.errors import Refusal
from engine.rating.money import LIMIT_PICO, MINOR_UNITS
from engine.rating.month import month_of
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, format_instant
from engine.rating.settlement import unsettled_counters
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook

MAX_CLOSE_GRACE = 366 * 24 * 3_600 * 1_000_000
"""How long closing a period may wait after its end, in us."""


def decide_command(
    account: Account, command: AccountCommand, received_at: int, book: TariffBook
) -> Change:
    """Return what a command does to an account; CommandRefused if it does nothing."""
    if command.command_id in account.commands:
        return _refused(
            "duplicate_command", f"command_id: {command.command_id!r} was applied before"
        )
    order = command.order
    if isinstance(order, OpenAccount):
        return _open(account, order)
    if isinstance(order, ClosePeriod):
        return _close(account, order, received_at, book)
    return _assign(account, order, book)


def _open(account: Account, order: OpenAccount) -> Change:
    if account.is_open:
        return _refused("already_open", f"account_id: {account.account_id!r} is already open")
    if order.currency not in MINOR_UNITS:
        return _refused(
            "unknown_currency", f"currency: got {order.currency!r}, expected an ISO 4217 code"
        )
    if not order.zone.is_sound:
        return _refused(
            "invalid_zone",
            "time_zone_transitions: expected ascending instants and offsets below one day",
        )
    if not 0 <= order.close_grace <= MAX_CLOSE_GRACE:
        return _refused(
            "invalid_grace", f"close_grace: got {order.close_grace} us, expected 0 to 366 days"
        )
    return AccountOpened(order.currency, order.zone, order.close_grace)


def _assign(account: Account, order: AssignTariff, book: TariffBook) -> Change:
    if not account.is_open:
        return _refused("account_not_open", f"account_id: {account.account_id!r} is not open")
    versions = book.versions(order.tariff_id)
    if not versions:
        return _refused(
            "unknown_tariff", f"tariff_id: got {order.tariff_id!r}, expected a published tariff"
        )
    if versions[0].version.is_of_supplier:
        return _refused(
            "supplier_tariff",
            f"tariff_id: {order.tariff_id!r} is what a supplier takes, expected a tariff to sell by",
        )
    currency = versions[0].version.currency
    if currency != account.currency:
        return _refused(
            "currency_mismatch",
            f"tariff_id: {order.tariff_id!r} is in {currency}, the account in {account.currency}",
        )
    for moment in (order.effective_from, order.effective_to):
        if moment is not None and not FIRST_INSTANT <= moment <= LAST_INSTANT:
            return _refused(
                "time_out_of_range",
                f"effective_from, effective_to: got {moment} us, expected a time from 2000 to 2050",
            )
    if order.effective_to is not None and order.effective_to <= order.effective_from:
        return _refused("empty_interval", "effective_to: expected a time after effective_from")
    known = (*account.adopted.get(order.tariff_id, ()), *account.staged.get(order.tariff_id, ()))
    adopted = tuple(
        VersionReference(entry.version.version, entry.version.digest)
        for entry in versions
        if entry.version.version not in known
    )
    latest = account.latest_charge_at
    staged = latest is not None and order.effective_from <= latest
    return TariffAssigned(
        order.tariff_id, order.effective_from, order.effective_to, staged, adopted
    )


def _close(account: Account, order: ClosePeriod, received_at: int, book: TariffBook) -> Change:
    if not account.is_open:
        return _refused("account_not_open", f"account_id: {account.account_id!r} is not open")
    month = month_of(order.period, account.zone)
    if month is None:
        return _refused(
            "invalid_period",
            f"period: got {order.period!r}, expected a month such as 2026-11 from 2000 to 2049",
        )
    if order.period in account.closed:
        return _refused("period_closed_before", f"period: {order.period} is closed")
    closes_at = month.ends_at + account.close_grace
    if received_at < closes_at:
        return _refused(
            "period_not_over",
            f"period: {order.period} can be closed from {format_instant(closes_at)} on, and the "
            f"command was received at {format_instant(received_at)}",
        )
    owed = sum([unsettled.change for unsettled in unsettled_counters(account, month, book)])
    if account.due + owed >= LIMIT_PICO:
        return _refused(
            "amount_overflow",
            f"due: got {account.due + owed} pico, expected less than 10^38 pico",
        )
    return PeriodClosed(*month)


def decide_version(account: Account, version: TariffVersion) -> Change | None:
    """Return what a newly known version means for an account; None if it does not concern it."""
    tariff_id, number = version.tariff_id, version.version
    if not account.has_tariff(tariff_id):
        return None
    if number in account.adopted.get(tariff_id, ()) or number in account.staged.get(tariff_id, ()):
        return None
    latest = account.latest_charge_at
    if latest is None or latest < version.effective_from:
        return VersionAdopted(tariff_id, number, version.digest)
    return VersionStaged(tariff_id, number, version.digest)


def _refused(code: str, explanation: str) -> CommandRefused:
    return CommandRefused(Refusal(code, explanation))
