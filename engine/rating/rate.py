"""Rating: one usage event, one charge.

For each kind in canonical order: find the component, meter the quantity into its counter, and
charge the change of the counter's *total*, which is the sum over the tariff versions in force so
far of floor(A_v(N)) - floor(A_v(N - n_v)) (semantics section 2). With one version that is
floor(A(x + q)) - floor(A(x)). A kind that nothing prices becomes a line in suspense: visible,
alerted, never free.

These functions read the account and decide; `Account.apply` folds the result in.
"""

from collections.abc import Sequence

from engine.rating.account import Account, VersionQuantity
from engine.rating.charge import (
    RATED,
    SUSPENSE,
    Charge,
    Line,
    Repricing,
    TariffReference,
)
from engine.rating.counter import key_of
from engine.rating.errors import BrokenInvariant, Refusal
from engine.rating.money import LIMIT_PICO
from engine.rating.period import billing_month, period_label
from engine.rating.price import GraduatedPrice
from engine.rating.rules import ANY_TIME, Terms
from engine.rating.tariff import Component, KindPrice
from engine.rating.tariff_book import KnownVersion, TariffBook
from engine.rating.usage import MONEY_KINDS, Origin, UsageEvent


def rate_usage(
    account: Account,
    charge_id: str,
    event: UsageEvent,
    origin: Origin,
    book: TariffBook,
    terms: Terms = ANY_TIME,
) -> Charge | Refusal:
    """Return the charge for a usage event; a Refusal only if an amount leaves DECIMAL(38,12)."""
    late_by = origin.received_at - event.occurred_at
    known = _version_in_force(account, event.occurred_at, late_by, terms, book)
    if isinstance(known, str):
        lines = [_suspended(kind, quantity, known) for kind, quantity in event.quantities]
        tariff = None
    else:
        lines = _rate_lines(account, event, known, book)
        version = known.version
        tariff = TariffReference(version.tariff_id, version.version, version.digest, known.offset)
    amount = sum([line.amount for line in lines if line.amount is not None])
    due = account.due + amount
    if not (-LIMIT_PICO < amount < LIMIT_PICO and -LIMIT_PICO < due < LIMIT_PICO):
        return Refusal("amount_overflow", f"due: got {due} pico, expected less than 10^38 pico")
    if lines and max([line.before + line.metered for line in lines]) >= LIMIT_PICO:
        return Refusal("quantity_overflow", "counter: expected less than 10^38 pico units")
    return Charge(
        charge_id,
        "usage",
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
        tariff,
        terms.rules,
        account.currency,
        tuple(lines),
        (),
        amount,
        None,
        "",
        event.trace_id,
        event.parent_event_id,
        event.initiator,
        due,
    )


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
    return known or "no_tariff_in_force"


def _suspended(kind: str, quantity: int, reason: str) -> Line:
    return Line("", kind, quantity, "", 0, 0, (), (), None, SUSPENSE, reason)


def _rate_lines(
    account: Account, event: UsageEvent, known: KnownVersion, book: TariffBook
) -> list[Line]:
    dimensions = (event.model, event.provider, event.operation, event.service_tier)
    prices = known.version.prices(dimensions, event.context_length)
    touched: dict[str, tuple[VersionQuantity, ...]] = {}  # counters as this event leaves them
    lines = []
    for kind, quantity in event.quantities:
        price = prices.get(kind)
        if price is None:
            lines.append(_suspended(kind, quantity, "no_price"))
            continue
        key = counter_key(account, event, known.version.tariff_id, price.component)
        entries = touched[key] if key in touched else account.counters.get(key, ())
        metered = quantity if kind in MONEY_KINDS else quantity * price.weight_pico
        if len(entries) <= 1 and (not entries or entries[0].version == known.version.version):
            before = entries[0].metered if entries else 0
            repricings: tuple[Repricing, ...] = ()
            touched[key] = (VersionQuantity(known.version.version, before + metered),)
        else:
            timeline = book.timeline(
                known.version.tariff_id, account.adopted[known.version.tariff_id]
            )
            before, repricings, touched[key] = _across_versions(
                entries, known, timeline, price, metered
            )
        lines.append(_rated_line(price.component, kind, quantity, key, before, metered, repricings))
    return lines


def _rated_line(
    component: Component,
    kind: str,
    quantity: int,
    key: str,
    before: int,
    metered: int,
    repricings: tuple[Repricing, ...],
) -> Line:
    slices = component.price.slices(before, before + metered)
    amount = sum([part.amount for part in slices])
    if repricings:
        amount += sum([change.amount for change in repricings])
    return Line(
        component.component_id,
        kind,
        quantity,
        key,
        before,
        metered,
        slices,
        repricings,
        amount,
        RATED,
        "",
    )


def _across_versions(
    entries: Sequence[VersionQuantity],
    known: KnownVersion,
    timeline: Sequence[KnownVersion],
    price: KindPrice,
    metered: int,
) -> tuple[int, tuple[Repricing, ...], tuple[VersionQuantity, ...]]:
    """Add units under one version of a counter that several versions share.

    Returns the units before (under this and earlier versions), the change of each later version's
    total, and the counter after.
    """
    standing = dict(entries)
    before, passed, repricings = 0, False, []
    for later in timeline:
        number = later.version.version
        own = standing.get(number, 0)
        if passed and own:
            repriced = later.version.component(price.component.component_id)
            if repriced is None:
                raise BrokenInvariant(f"version {number} counted units without a component")
            change = _shift(repriced.price, before, own, metered)
            repricings.append(Repricing(number, before, own, change))
        before += own
        if later is known:
            passed, own_before = True, before
    standing[known.version.version] = standing.get(known.version.version, 0) + metered
    after = tuple(VersionQuantity(*item) for item in standing.items())
    return own_before, tuple(repricings), after


def _shift(price: GraduatedPrice, before: int, own: int, metered: int) -> int:
    """Return how a version's total changes when `metered` units move in front of it."""
    moved = price.amount(before + metered + own) - price.amount(before + metered)
    return moved - (price.amount(before + own) - price.amount(before))


def counter_key(account: Account, event: UsageEvent, tariff_id: str, component: Component) -> str:
    """Return the key of the counter that an event's quantity goes to.

    A counter of period ``event`` lives within one event and always starts from zero.
    """
    if component.scope == "account":
        value = account.account_id
    else:
        value = event.subject if component.scope == "subject" else event.model
    label = period_label(component.period, account.zone, event.occurred_at)
    return key_of(tariff_id, component.component_id, value, label)
