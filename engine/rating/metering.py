"""Metering: the units of one event go into their counters, and come to what that changes there.

A line of metered units changes its counter's *total* (engine.rating.counter); where a promotion is
for first units only, a kind has two lines. What a line comes to is settled with the account's purse.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from engine.rating.account import Account, VersionQuantity
from engine.rating.amount import bounded_slices
from engine.rating.charge import RATED, Draw, Line, Repricing
from engine.rating.component import Promotion
from engine.rating.counter import Standing, count, counter_key, tally_key, total, units
from engine.rating.money import PICO
from engine.rating.plan import KindPrice, PromotedPrice
from engine.rating.purse import Purse
from engine.rating.standing import StandingLine
from engine.rating.tariff_book import KnownVersion, TariffBook
from engine.rating.usage import UsageEvent


class Metering:
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

    def touched(self) -> dict[str, Standing]:
        """Return the counters as the event has left them so far, to `restore`."""
        return {**self._touched}

    def restore(self, touched: dict[str, Standing]) -> None:
        """Take back what was counted since."""
        self._touched = touched

    def rest(
        self,
        kind: str,
        quantity: int,
        rest: int,
        price: KindPrice | None,
        costs: Mapping[str, int | None],
    ) -> list[Line] | str:
        """Return the lines of what buckets leave of a kind's quantity, or why nothing prices it."""
        if price is None:
            return "no_price"
        if not price.is_of_cost:
            return self.lines(kind, rest, price)
        cost = costs.get(kind)
        if cost is None:
            return "no_supplier_cost"
        return [self.line(kind, rest, cost * rest // quantity, price, price.promoted)]

    def settled(
        self, lines: Sequence[Line], covers: tuple[Draw, ...], purse: Purse
    ) -> Iterator[Line]:
        """Yield the lines of one kind with what pays for them, and what covers its first part."""
        for index, line in enumerate(lines):
            assert line.amount is not None  # noqa: S101 - it was priced
            later = [other.amount or 0 for other in lines[index:] if other.counter == line.counter]
            before = partial(self._raised, line, sum(later), purse)
            paid = purse.settle(line.counter, line.amount, before)
            yield line._replace(draws=(*covers, *paid)) if index == 0 else line._replace(draws=paid)

    def _raised(self, line: Line, later: int, purse: Purse) -> int:
        """Return what a line's counter had raised the due by before it, in pico."""
        return (
            raised(
                self._account,
                self._standing(line.counter),
                line,
                self._tariff_id,
                self._book,
                purse,
            )
            - later
        )

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


def raised(
    account: Account,
    standing: Standing,
    line: Line | StandingLine,
    tariff_id: str,
    book: TariffBook,
    purse: Purse,
) -> int:
    """Return what the counter of a line has raised the due by: what money buckets did not pay."""
    timeline = book.timeline(tariff_id, account.adopted[tariff_id])
    amount = total(standing, line.component, timeline) + account.settled.get(line.counter, 0)
    return amount - purse.net_drawn(line.counter)
