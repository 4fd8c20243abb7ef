"""Settlement: a closed billing period is brought up to the minimums of its components.

A *minimum* is owed per component and scope value when the period closes, under the version in force
at the period's last instant, which is the settlement's time of use. What a counter owes beyond its
usage is max(0, minimum - total); a settlement is that, less what was settled for the counter before.
Scope account owes it without usage, other scopes only with priced quantity that stands. Nothing is
prorated (semantics sections 2 and 4).

Whatever moves a counter of a closed period settles it again in the same step: late usage, or a
version that is adopted back into it. So at every moment the settlements of a closed counter are
exactly what it owes beyond its usage, and a settlement may be negative.
"""

from collections.abc import Collection, Iterator
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from engine.rating.account import Account
from engine.rating.booking import booked
from engine.rating.charge import RATED, SETTLEMENT, Charge, Drawdown, Line, TariffReference
from engine.rating.component import Component
from engine.rating.counter import escaped, key_of, total, unescaped, units
from engine.rating.errors import BrokenInvariant
from engine.rating.event import AccountEvent, PeriodClosed, TariffAssigned, VersionAdopted
from engine.rating.metering import raised
from engine.rating.money import LIMIT_PICO
from engine.rating.month import Month, month_of
from engine.rating.purse import NO_FACTS, Purse
from engine.rating.rules import ACCOUNT_LIFE, LATEST_REVISION
from engine.rating.tariff_book import KnownVersion, TariffBook
from engine.rating.usage import Origin

MINIMUM = "minimum"
"""The kind of a settlement's line."""


class Unsettled(NamedTuple):
    """A counter whose settlements are not what it owes: `change` in pico is what lacks."""

    month: Month
    known: KnownVersion
    component_id: str
    counter: str
    change: int


def settlements(
    account: Account, cause: Charge | AccountEvent, rules: int, book: TariffBook
) -> Iterator[Charge]:
    """Yield the settlements that a record makes due, by period and counter key.

    The account has taken the record in, and takes each settlement in before it asks for the next.
    One that would leave DECIMAL(38,12) is left to what moves its counter next.
    """
    if not account.closed:
        return
    for month, touched in _touched(account, cause, book):
        for unsettled in unsettled_counters(account, month, book, touched, rules):
            if abs(account.due + unsettled.change) < LIMIT_PICO:
                origin = Origin(cause.position, cause.received_at)
                yield settlement(account, unsettled, origin, rules, book)


def _touched(
    account: Account, cause: Charge | AccountEvent, book: TariffBook
) -> Iterator[tuple[Month, Collection[str] | None]]:
    """Yield each closed month that a record touches, and which of its counters (None: any)."""
    if isinstance(cause, Charge):
        if cause.kind != SETTLEMENT and cause.service_period in account.closed:
            touched = {line.counter for line in cause.lines}
            yield closed_month(account, cause.service_period), touched
        return
    change, since = cause.change, None
    if isinstance(change, PeriodClosed):
        yield Month(change.period, change.starts_at, change.ends_at), None
    elif isinstance(change, VersionAdopted):
        known = book.get(change.tariff_id, change.version)
        since = known and known.version.effective_from
    elif isinstance(change, TariffAssigned) and not change.staged:
        since = change.effective_from
    if since is not None:
        for label in sorted(account.closed):
            if since < account.closed[label]:
                yield closed_month(account, label), None


def closed_month(account: Account, label: str) -> Month:
    """Return a closed month of an account."""
    month = month_of(label, account.zone)
    if month is None or account.closed.get(label) != month.ends_at:
        raise BrokenInvariant(f"account {account.account_id}: {label} was not closed as it is now")
    return month


def unsettled_counters(
    account: Account,
    month: Month,
    book: TariffBook,
    touched: Collection[str] | None = None,
    rules: int = LATEST_REVISION,
) -> list[Unsettled]:
    """Return the counters of a month that owe something else than was settled, by key.

    `touched`: the counters to look at; None: any. Before rules revision 4, what was settled for a
    minimum stayed where the version now in force has none.
    """
    last = month.ends_at - 1
    tariff_id = account.assigned_tariff(last)
    adopted = account.adopted.get(tariff_id, ()) if tariff_id else ()
    known = book.in_force(tariff_id, adopted, last) if tariff_id else None
    found = []
    if known is not None:
        timeline = book.timeline(known.version.tariff_id, adopted)
        for key, component in _counters(account, month.label, known, touched).items():
            change = _owed(account, key, component, timeline) - account.settled.get(key, 0)
            found.append(Unsettled(month, known, component.component_id, key, change))
    if rules >= ACCOUNT_LIFE:
        asked = {unsettled.counter for unsettled in found}
        found += [
            _owing_nothing(account, month, key, book)
            for key in account.settled.keys() - asked
            if key.endswith(f"/{month.label}") and (touched is None or key in touched)
        ]
    return sorted((unsettled for unsettled in found if unsettled.change), key=attrgetter("counter"))


def _owing_nothing(account: Account, month: Month, key: str, book: TariffBook) -> Unsettled:
    """Return a counter that was settled and for which nothing asks a minimum any more."""
    tariff_id, component_id = map(unescaped, key.split("/")[:2])
    timeline = book.timeline(tariff_id, account.adopted[tariff_id])
    begun = [known for known in timeline if known.version.effective_from < month.ends_at]
    return Unsettled(month, (begun or timeline)[-1], component_id, key, -account.settled[key])


def _counters(
    account: Account, label: str, known: KnownVersion, touched: Collection[str] | None
) -> dict[str, Component]:
    """Return the counters with a minimum, whether or not something was counted in them."""
    tariff_id = known.version.tariff_id
    minimums = {
        escaped(component.component_id): component
        for component in known.version.components
        if component.minimum and component.period != "event"
    }
    if not minimums:
        return {}
    found = {
        key_of(tariff_id, name, account.account_id, label): component
        for name, component in minimums.items()
        if component.scope == "account" and component.match.account.matches(account.account_id)
    }
    for key in account.counters if touched is None else touched:
        tariff, _, rest = key.partition("/")
        name = rest.partition("/")[0]
        if name in minimums and tariff == escaped(tariff_id) and key.endswith(f"/{label}"):
            found[key] = minimums[name]
    return found if touched is None else {key: found[key] for key in found if key in touched}


def _owed(
    account: Account, key: str, component: Component, timeline: tuple[KnownVersion, ...]
) -> int:
    """Return what a counter owes beyond its usage, in pico."""
    assert component.minimum is not None  # noqa: S101 - it was chosen by it
    standing = account.counters.get(key, ())
    if component.scope != "account" and not units(standing):
        return 0
    return max(0, component.minimum - total(standing, component.component_id, timeline))


def settlement(
    account: Account, unsettled: Unsettled, origin: Origin, rules: int, book: TariffBook
) -> Charge:
    """Return the charge that settles a counter; `origin` is that of the record that caused it."""
    month, known, component_id, counter, change = unsettled
    version, last = known.version, month.ends_at - 1
    standing = account.counters.get(counter, ())
    line = Line(component_id, MINIMUM, 0, counter, units(standing), 0, (), (), change, RATED, "")
    due = account.due + change
    drawdowns: tuple[Drawdown, ...] = ()
    if account.prepaid.buckets:
        purse = Purse(account, last, "", lambda: NO_FACTS)
        before = partial(raised, account, standing, line, version.tariff_id, book, purse)
        line = line._replace(draws=purse.settle(counter, change, before))
        due, drawdowns = purse.due, purse.drawdowns()
    return booked(
        account,
        SETTLEMENT,
        counter,
        origin,
        last,
        rules,
        lines=(line,),
        drawdowns=drawdowns,
        amount=change,
        due=due,
        service_period=month.label,
        tariff=TariffReference(version.tariff_id, version.version, version.digest, known.offset),
    )
