"""The life of an account: commands applied or refused, versions adopted or staged, periods closed.

Deciding only: each function reads state and returns the changes to journal. A version that
becomes known is adopted at once by each account without a charge at or after its effective_from;
every other account stages it, because live rating may not contradict charges that stand
(semantics section 2).
"""

from typing import NamedTuple

from engine.rating.account import Account
from engine.rating.command import (
    OVERAGES,
    PRICED,
    AccountCommand,
    AdoptVersion,
    Approve,
    AssignTariff,
    ClosePeriod,
    OpenAccount,
    Order,
)
from engine.rating.digest import state_digest
from engine.rating.event import (
    AccountOpened,
    ApprovalAwaited,
    Change,
    CommandRefused,
    PeriodClosed,
    TariffAssigned,
    VersionAdopted,
    VersionReference,
    VersionStaged,
    refused,
)
from engine.rating.money import LIMIT_PICO, MINOR_UNITS
from engine.rating.month import month_of
from engine.rating.orders import check_order, decide_prepaid
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, format_instant
from engine.rating.rules import ACCOUNT_LIFE, LATEST_REVISION, rules_needed
from engine.rating.settlement import unsettled_counters
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook

MAX_CLOSE_GRACE = 366 * 24 * 3_600 * 1_000_000
"""How long closing a period may wait after its end, in us."""


class Decision(NamedTuple):
    """What a command does, and the command of another principal that it lets take effect, if any."""

    change: Change
    approves: str = ""


def decide_command(
    account: Account,
    command: AccountCommand,
    received_at: int,
    book: TariffBook,
    rules: int = LATEST_REVISION,
) -> Decision:
    """Return what a command does to an account; CommandRefused if it does nothing."""
    if command.command_id in account.commands:
        return Decision(
            refused("duplicate_command", f"command_id: {command.command_id!r} was applied before")
        )
    order = command.order
    unknown = _needs_rules(command)
    if unknown and rules < ACCOUNT_LIFE:
        return Decision(CommandRefused(rules_needed(unknown, rules)))
    if command.needs_approval:
        return Decision(_await_approval(command))
    if isinstance(order, Approve):
        return _approve(account, order, command.principal, received_at, book, rules)
    return Decision(_decide_order(account, order, received_at, book, rules))


def _needs_rules(command: AccountCommand) -> str:
    """Return what of a command the first revisions do not know; empty: they know it."""
    order = command.order
    if command.needs_approval:
        return "needs_approval"
    if isinstance(order, AssignTariff):
        return "overage" if order.overage != PRICED else ""
    return "" if isinstance(order, OpenAccount | ClosePeriod) else type(order).__name__


def _await_approval(command: AccountCommand) -> Change:
    if not command.principal:
        return refused("principal_missing", "principal: got nothing, expected who asks")
    if isinstance(command.order, Approve):
        return refused("approval_of_approval", "needs_approval: an approval takes effect by itself")
    unfit = check_order(command.order)
    if unfit is not None:
        return CommandRefused(unfit)
    return ApprovalAwaited(command.order)


def _approve(
    account: Account, order: Approve, principal: str, received_at: int, book: TariffBook, rules: int
) -> Decision:
    awaiting = account.awaiting.get(order.awaited)
    if awaiting is None:
        return Decision(
            refused("nothing_to_approve", f"awaited: no command {order.awaited!r} waits")
        )
    if not principal or principal == awaiting.principal:
        return Decision(
            refused(
                "second_principal_needed",
                f"principal: got {principal!r}, expected another than {awaiting.principal!r}, who "
                "asked",
            )
        )
    change = _decide_order(account, awaiting.order, received_at, book, rules)
    return Decision(change, order.awaited)


def _decide_order(
    account: Account, order: Order, received_at: int, book: TariffBook, rules: int
) -> Change:
    if isinstance(order, OpenAccount):
        return _open(account, order)
    if not account.is_open:
        return refused("account_not_open", f"account_id: {account.account_id!r} is not open")
    if isinstance(order, ClosePeriod):
        return _close(account, order, received_at, book, rules)
    if isinstance(order, AssignTariff):
        return _assign(account, order, book)
    if isinstance(order, AdoptVersion):
        return _adopt(account, order, book)
    return decide_prepaid(account, order, received_at)


def _open(account: Account, order: OpenAccount) -> Change:
    if account.is_open:
        return refused("already_open", f"account_id: {account.account_id!r} is already open")
    if order.currency not in MINOR_UNITS:
        return refused(
            "unknown_currency", f"currency: got {order.currency!r}, expected an ISO 4217 code"
        )
    if not order.zone.is_sound:
        return refused(
            "invalid_zone",
            "time_zone_transitions: expected ascending instants and offsets below one day",
        )
    if not 0 <= order.close_grace <= MAX_CLOSE_GRACE:
        return refused(
            "invalid_grace", f"close_grace: got {order.close_grace} us, expected 0 to 366 days"
        )
    return AccountOpened(order.currency, order.zone, order.close_grace)


def _assign(account: Account, order: AssignTariff, book: TariffBook) -> Change:
    if order.overage not in OVERAGES:
        return refused(
            "invalid_overage", f"overage: got {order.overage!r}, expected {' or '.join(OVERAGES)}"
        )
    versions = book.versions(order.tariff_id)
    if not versions:
        return refused(
            "unknown_tariff", f"tariff_id: got {order.tariff_id!r}, expected a published tariff"
        )
    if versions[0].version.is_of_supplier:
        return refused(
            "supplier_tariff",
            f"tariff_id: {order.tariff_id!r} is what a supplier takes, expected a tariff to sell by",
        )
    currency = versions[0].version.currency
    if currency != account.currency:
        return refused(
            "currency_mismatch",
            f"tariff_id: {order.tariff_id!r} is in {currency}, the account in {account.currency}",
        )
    for moment in (order.effective_from, order.effective_to):
        if moment is not None and not FIRST_INSTANT <= moment <= LAST_INSTANT:
            return refused(
                "time_out_of_range",
                f"effective_from, effective_to: got {moment} us, expected a time from 2000 to 2050",
            )
    if order.effective_to is not None and order.effective_to <= order.effective_from:
        return refused("empty_interval", "effective_to: expected a time after effective_from")
    known = (*account.adopted.get(order.tariff_id, ()), *account.staged.get(order.tariff_id, ()))
    adopted = tuple(
        VersionReference(entry.version.version, entry.version.digest)
        for entry in versions
        if entry.version.version not in known
    )
    latest = account.latest_charge_at
    staged = latest is not None and order.effective_from <= latest
    return TariffAssigned(
        order.tariff_id, order.effective_from, order.effective_to, staged, adopted, order.overage
    )


def _close(
    account: Account, order: ClosePeriod, received_at: int, book: TariffBook, rules: int
) -> Change:
    month = month_of(order.period, account.zone)
    if month is None:
        return refused(
            "invalid_period",
            f"period: got {order.period!r}, expected a month such as 2026-11 from 2000 to 2049",
        )
    if order.period in account.closed:
        return refused("period_closed_before", f"period: {order.period} is closed")
    closes_at = month.ends_at + account.close_grace
    if received_at < closes_at:
        return refused(
            "period_not_over",
            f"period: {order.period} can be closed from {format_instant(closes_at)} on, and the "
            f"command was received at {format_instant(received_at)}",
        )
    owed = sum(
        [unsettled.change for unsettled in unsettled_counters(account, month, book, rules=rules)]
    )
    if account.due + owed >= LIMIT_PICO:
        return refused(
            "amount_overflow",
            f"due: got {account.due + owed} pico, expected less than 10^38 pico",
        )
    return PeriodClosed(*month, state_digest(account) if rules >= ACCOUNT_LIFE else b"")


def _adopt(account: Account, order: AdoptVersion, book: TariffBook) -> Change:
    """Adopt a staged version, if no charge that stands would come out differently."""
    known = book.get(order.tariff_id, order.version)
    if known is None or order.version not in account.staged.get(order.tariff_id, ()):
        return refused(
            "version_not_staged",
            f"version: {order.tariff_id} version {order.version} does not wait to be adopted",
        )
    start = known.version.effective_from
    latest = max(account.latest_by_tariff.get(name, 0) for name in (order.tariff_id, ""))
    if latest >= start:
        return refused(
            "charges_affected",
            f"version: usage up to {format_instant(latest)} stands, and version {order.version} is "
            f"effective from {format_instant(start)}; its charges are corrected by re-rating",
        )
    return VersionAdopted(order.tariff_id, order.version, known.version.digest)


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
