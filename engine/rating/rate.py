"""Rating: one usage event, one charge.

For each kind in canonical order: find the component, meter the quantity into its counter, and
charge the change of the counter's *total*, which is the sum over the tariff versions in force so
far of floor(A_v(N)) - floor(A_v(N - n_v)) (semantics section 2). With one version that is
floor(A(x + q)) - floor(A(x)). A kind that nothing prices becomes a line in suspense: visible,
alerted, never free.

A promotion may choose another price, for all of a kind's units or for its first ones: then the kind
has two lines. A component may price what the supplier takes for a kind instead of its quantity.

These functions read the account and decide; `Account.apply` folds the result in.
"""

from collections.abc import Mapping, Sequence

from engine.rating.account import Account, VersionQuantity
from engine.rating.amount import bounded_slices
from engine.rating.charge import (
    RATED,
    SUSPENSE,
    Charge,
    Line,
    Repricing,
    TariffReference,
)
from engine.rating.component import Promotion
from engine.rating.counter import Standing, count, counter_key, tally_key, units
from engine.rating.errors import Refusal
from engine.rating.money import LIMIT_PICO, PICO
from engine.rating.period import billing_month
from engine.rating.plan import KindPrice, PromotedPrice
from engine.rating.rules import ANY_TIME, Terms
from engine.rating.supply import SupplierCost, margin
from engine.rating.tariff_book import KnownVersion, TariffBook
from engine.rating.usage import Origin, UsageEvent


def rate_usage(
    account: Account,
    charge_id: str,
    event: UsageEvent,
    origin: Origin,
    book: TariffBook,
    terms: Terms = ANY_TIME,
) -> Charge | Refusal:
    """Return the charge for a usage event; a Refusal only if an amount leaves DECIMAL(38,12)."""
    cost = book.supply.cost(event, account.currency)
    late_by = origin.received_at - event.occurred_at
    known = _version_in_force(account, event.occurred_at, late_by, terms, book)
    if isinstance(known, str):
        lines = [_suspended(kind, quantity, known) for kind, quantity in event.quantities]
        tariff = None
    else:
        lines = _rate_lines(account, event, known, book, cost.by_kind)
        version = known.version
        tariff = TariffReference(version.tariff_id, version.version, version.digest, known.offset)
    amount = sum([line.amount for line in lines if line.amount is not None])
    due = account.due + amount
    left = margin(amount, cost.total, lines)
    overflow = _overflow(amount, due, lines, cost, left)
    if overflow is not None:
        return overflow
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
        cost.total,
        "",
        event.trace_id,
        event.parent_event_id,
        event.initiator,
        due,
        cost.supplied,
        left,
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
    return known or "no_tariff_in_force"


def _rate_lines(
    account: Account,
    event: UsageEvent,
    known: KnownVersion,
    book: TariffBook,
    costs: Mapping[str, int | None],
) -> list[Line]:
    prices = known.version.prices(event)
    rating = _EventRating(account, event, known, book)
    lines = []
    for kind, quantity in event.quantities:
        price = prices.get(kind)
        if price is None:
            lines.append(_suspended(kind, quantity, "no_price"))
        elif not price.is_of_cost:
            lines += rating.lines(kind, quantity, price)
        elif (cost := costs.get(kind)) is None:
            lines.append(_suspended(kind, quantity, "no_supplier_cost"))
        else:
            lines.append(rating.line(kind, quantity, cost, price, price.promoted))
    return lines


def _suspended(kind: str, quantity: int, reason: str) -> Line:
    return Line("", kind, quantity, "", 0, 0, (), (), None, SUSPENSE, reason)


class _EventRating:
    """Rates the kinds of one event, in order; counters as this event leaves them."""

    def __init__(
        self, account: Account, event: UsageEvent, known: KnownVersion, book: TariffBook
    ) -> None:
        self._account = account
        self._event = event
        self._tariff_id = known.version.tariff_id
        self._version = known.version.version
        self._book = book
        self._touched: dict[str, Standing] = {}

    def lines(self, kind: str, quantity: int, price: KindPrice) -> list[Line]:
        """Return the lines of one kind: one, or two where a promotion's first units end in it."""
        promoted = price.promoted
        if promoted is None:
            return [self.line(kind, quantity, quantity * price.weight_pico, price)]
        promotion = promoted.promotion
        if not promotion.is_tallied:
            return [self.line(kind, quantity, quantity * price.weight_pico, price, promoted)]
        tally = tally_key(self._account, self._event, self._tariff_id, promotion)
        under, taken = self._places(promotion, tally, quantity, price.weight_pico)
        lines, rest = [], quantity - under
        if under:
            metered = under * price.weight_pico
            lines.append(self.line(kind, under, metered, price, promoted, tally, taken))
        if rest:
            lines.append(self.line(kind, rest, rest * price.weight_pico, price))
        return lines

    def _places(
        self, promotion: Promotion, tally: str, quantity: int, weight_pico: int
    ) -> tuple[int, int]:
        """Return how much of a kind is under a promotion, and what that takes of its tally in pico.

        Units are taken whole. An event takes one place, with the first kind that is under it.
        """
        taken = units(self._standing(tally))
        if promotion.first_events is not None:
            if tally in self._touched:
                return quantity, 0
            return (quantity, PICO) if taken < promotion.first_events * PICO else (0, 0)
        left = (promotion.first_units or 0) * PICO - taken
        under = max(0, min(quantity, left // weight_pico))
        return under, under * weight_pico

    def _standing(self, key: str) -> Standing:
        if key in self._touched:
            return self._touched[key]
        return self._account.counters.get(key, ())

    def line(
        self,
        kind: str,
        quantity: int,
        metered: int,
        price: KindPrice,
        promoted: PromotedPrice | None = None,
        tally: str = "",
        tallied: int | None = None,
    ) -> Line:
        """Return a line of metered units in pico, and put them into their counter."""
        component = price.component
        key = counter_key(self._account, self._event, self._tariff_id, component)
        name = "" if promoted is None else promoted.promotion.promotion_id
        added = VersionQuantity(self._version, metered, name)
        before, amount, repricings = self._count(key, added, component.component_id)
        if tallied is not None:
            self._touched[tally] = (*self._standing(tally), added._replace(metered=tallied))
        amounts = price.amounts if promoted is None else promoted.amounts
        slices = amounts.slices(before, before + metered)
        sliced = sum([part.amount for part in slices])
        if amount is None:
            amount = sliced
        elif amount != sliced:
            slices = bounded_slices(slices, amount)
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
            name,
            tally,
            tallied,
        )

    def _count(
        self, key: str, added: VersionQuantity, component_id: str
    ) -> tuple[int, int | None, tuple[Repricing, ...]]:
        """Put units into a counter; return those in front, their cost, and what they moved.

        The cost is None where they stand alone: then their price says it.
        """
        standing = self._standing(key)
        if not standing:
            self._touched[key] = (added,)
            return 0, None, ()
        first = standing[0]
        if len(standing) == 1 and first.stands_with(added):
            self._touched[key] = (added.plus(first.metered),)
            return first.metered, None, ()
        adopted = self._account.adopted[self._tariff_id]
        timeline = self._book.timeline(self._tariff_id, adopted)
        counted = count(standing, added, component_id, timeline)
        self._touched[key] = counted.after
        return counted.before, counted.amount, counted.repricings
