"""Rating: one usage event, one charge.

For each kind in canonical order: find the component, meter the quantity into its counter, and
charge the change of the counter's *total*, which is the sum over the tariff versions in force so
far of floor(A_v(N)) - floor(A_v(N - n_v)) (semantics section 2). With one version that is
floor(A(x + q)) - floor(A(x)). A kind that nothing prices becomes a line in suspense: visible,
alerted, never free.

A promotion may choose another price, for all of a kind's units or for its first ones: then the kind
has two lines. A component may price what the supplier takes for a kind instead of its quantity.

Buckets come first: what they cover of a kind is not priced, and what its rest comes to they pay as
far as they reach (`engine.rating.purse`).

These functions read the account and decide; `Account.apply` folds the result in.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.rating.account import Account
from engine.rating.charge import (
    COVERED,
    SUSPENSE,
    USAGE,
    Charge,
    Draw,
    Drawdown,
    Line,
    Supplied,
    TariffReference,
)
from engine.rating.command import SUSPENDED
from engine.rating.errors import Refusal
from engine.rating.metering import Metering
from engine.rating.money import LIMIT_PICO
from engine.rating.period import billing_month
from engine.rating.purse import Purse, facts_of
from engine.rating.rules import ANY_TIME, Terms
from engine.rating.supply import SupplierCost, margin
from engine.rating.tariff_book import KnownVersion, TariffBook
from engine.rating.usage import Origin, UsageEvent

NO_TARIFF = "no_tariff_in_force"
UNFUNDED = "unfunded"
"""Why a line is in suspense: a gap between versions; an assignment that wants its overage paid for."""


def rate_usage(
    account: Account,
    charge_id: str,
    event: UsageEvent,
    origin: Origin,
    book: TariffBook,
    terms: Terms = ANY_TIME,
    corrects: str = "",
) -> Charge | Refusal:
    """Return the charge for a usage event; a Refusal only if an amount leaves DECIMAL(38,12).

    `corrects`: the charge in whose place it stands, if it amends one.
    """
    cost = book.supply.cost(event, account.currency)
    late_by = origin.received_at - event.occurred_at
    known = _version_in_force(account, event.occurred_at, late_by, terms, book)
    purse = _purse(account, event)
    tariff = None
    if not isinstance(known, str):
        lines = _rate_lines(account, event, known, book, cost.by_kind, purse)
        version = known.version
        tariff = TariffReference(version.tariff_id, version.version, version.digest, known.offset)
    elif known == NO_TARIFF and purse is not None:
        lines = [
            _unpriced(purse, event, kind, quantity, known) for kind, quantity in event.quantities
        ]
    else:
        lines = [_suspended(kind, quantity, known) for kind, quantity in event.quantities]
    amount = sum([line.amount for line in lines if line.amount is not None])
    due = account.due + amount if purse is None else purse.due
    left = margin(amount, cost.total, lines)
    overflow = _overflow(amount, due, lines, cost, left)
    if overflow is not None:
        return overflow
    drawdowns = () if purse is None else purse.drawdowns()
    outcome = _Outcome(lines, amount, due, tariff, drawdowns, cost.total, cost.supplied, left)
    return _charge(account, charge_id, event, origin, terms, corrects, outcome)


class _Outcome(NamedTuple):
    """What rating has found out of a usage event; see `Charge`."""

    lines: Sequence[Line]
    amount: int
    due: int
    tariff: TariffReference | None = None
    drawdowns: tuple[Drawdown, ...] = ()
    supplier_cost: int | None = None
    supplied: Supplied | None = None
    margin: int | None = None


def suspend_usage(
    account: Account,
    charge_id: str,
    event: UsageEvent,
    origin: Origin,
    terms: Terms,
    corrects: str,
    reason: str,
) -> Charge:
    """Return the charge of usage that waits in suspense as a whole: it always fits."""
    lines = [_suspended(kind, quantity, reason) for kind, quantity in event.quantities]
    outcome = _Outcome(lines, 0, account.due)
    return _charge(account, charge_id, event, origin, terms, corrects, outcome)


def _charge(
    account: Account,
    charge_id: str,
    event: UsageEvent,
    origin: Origin,
    terms: Terms,
    corrects: str,
    outcome: _Outcome,
) -> Charge:
    return Charge(
        charge_id,
        USAGE,
        event.account_id,
        event.subject,
        account.sequence + 1,
        event.source,
        event.event_id,
        event.digest,
        origin.position,
        event.occurred_at,
        origin.received_at,
        billing_month(account.zone, event.occurred_at),
        event.provider,
        event.model,
        event.operation,
        event.service_tier,
        event.region,
        outcome.tariff,
        terms.rules,
        account.currency,
        tuple(outcome.lines),
        outcome.drawdowns,
        outcome.amount,
        outcome.supplier_cost,
        corrects,
        event.trace_id,
        event.parent_event_id,
        event.initiator,
        outcome.due,
        outcome.supplied,
        outcome.margin,
    )


def _overflow(
    amount: int, due: int, lines: Sequence[Line], cost: SupplierCost, left: int | None
) -> Refusal | None:
    """Refuse what does not fit its DECIMAL(38,12)."""
    if max(abs(amount), abs(due)) >= LIMIT_PICO:
        return Refusal("amount_overflow", f"due: got {due} pico, expected less than 10^38 pico")
    if not cost.fits or abs(left or 0) >= LIMIT_PICO:
        return Refusal("amount_overflow", "supplier_cost: expected less than 10^38 pico")
    if lines and max([line.before + line.metered for line in lines]) >= LIMIT_PICO:
        return Refusal("quantity_overflow", "counter: expected less than 10^38 pico units")
    return None


def _version_in_force(
    account: Account, at: int, late_by: int, terms: Terms, book: TariffBook
) -> KnownVersion | str:
    """Return the version that rates usage at an instant, or the reason for suspense."""
    if terms.lateness is not None and late_by > terms.lateness:
        return "too_late"
    if not account.is_open:
        return "account_not_open"
    tariff_id = account.assigned_tariff(at)
    if tariff_id is None:
        return "account_not_assigned"
    known = book.in_force(tariff_id, account.adopted.get(tariff_id, ()), at)
    return known or NO_TARIFF


def _purse(account: Account, event: UsageEvent) -> Purse | None:
    """Return what the event may draw on; None where an account's buckets can make no difference."""
    if not account.prepaid.buckets and not account.suspends_overage:
        return None
    at = event.occurred_at
    return Purse(account, at, event.subject, lambda: facts_of(event, account.zone))


def _rate_lines(
    account: Account,
    event: UsageEvent,
    known: KnownVersion,
    book: TariffBook,
    costs: Mapping[str, int | None],
    purse: Purse | None,
) -> list[Line]:
    prices = known.version.prices(event)
    rating = Metering(account, event, known, book)
    assignment = account.assignment(event.occurred_at) if purse is not None else None
    must_be_funded = assignment is not None and assignment.overage == SUSPENDED
    lines: list[Line] = []
    for kind, quantity in event.quantities:
        covers = () if purse is None else purse.absorb(kind, event.model, quantity)
        covered = sum([draw.quantity for draw in covers])
        if covered == quantity:
            lines.append(_covered(kind, quantity, covers))
            continue
        rest, left = quantity - covered, rating.touched()
        priced = rating.rest(kind, quantity, rest, prices.get(kind), costs)
        if isinstance(priced, str):
            lines.append(_suspended(kind, quantity, priced, covered, covers))
        elif purse is None:
            lines += priced
        elif must_be_funded and sum([line.amount or 0 for line in priced]) > purse.funds():
            rating.restore(left)
            lines.append(_suspended(kind, quantity, UNFUNDED, covered, covers))
        else:
            first = priced[0]
            priced[0] = first._replace(quantity=first.quantity + covered, covered=covered)
            lines += rating.settled(priced, covers, purse)
    return lines


def _covered(kind: str, quantity: int, covers: tuple[Draw, ...]) -> Line:
    return Line(
        "", kind, quantity, "", 0, 0, (), (), 0, COVERED, "", covered=quantity, draws=covers
    )


def _unpriced(purse: Purse, event: UsageEvent, kind: str, quantity: int, reason: str) -> Line:
    """Return the line of a kind that no tariff prices: buckets cover what they can."""
    covers = purse.absorb(kind, event.model, quantity)
    covered = sum([draw.quantity for draw in covers])
    if covered == quantity:
        return _covered(kind, quantity, covers)
    return _suspended(kind, quantity, reason, covered, covers)


def _suspended(
    kind: str, quantity: int, reason: str, covered: int = 0, covers: tuple[Draw, ...] = ()
) -> Line:
    return Line(
        "",
        kind,
        quantity,
        "",
        0,
        0,
        (),
        (),
        None,
        SUSPENSE,
        reason,
        covered=covered,
        draws=covers,
    )
