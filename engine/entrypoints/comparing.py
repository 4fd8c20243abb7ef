"""The same usage on several plans.

Each account of the usage is on each plan from its first use on. A plan of one version is taken as
if that version had always been in force, because the question is what its prices come to; a plan of
several versions keeps their dates. The months up to the last use are closed, so minimums are in. A
plan that leaves usage unpriced is not cheaper for it: it comes after all plans that price more.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from engine.adapters.documents.accounts import AccountOrders
from engine.adapters.documents.usage import parse_time, read_json
from engine.entrypoints.offline import OfflineRating
from engine.entrypoints.tallying import Tally
from engine.rating.charge import Charge
from engine.rating.command import AssignTariff, OpenAccount
from engine.rating.errors import InvalidDocument, Refusal
from engine.rating.exchange import ExchangeRate
from engine.rating.month import month_of
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT, billing_month
from engine.rating.tariff import TariffVersion

Lines = Callable[[], Iterable[tuple[int, str]]]
"""Reads the numbered lines of usage from the start, as often as it is called."""


class Plan(NamedTuple):
    """Versions of one tariff, under the name that it was asked for by.

    `suppliers` and `exchange_rates`: what prices on top of cost need; they keep their dates.
    """

    name: str
    versions: tuple[TariffVersion, ...]
    suppliers: tuple[TariffVersion, ...] = ()
    exchange_rates: tuple[ExchangeRate, ...] = ()


class Extent(NamedTuple):
    """Who used when: the first use of each account, the last use of all (us UTC), and the lines."""

    first_uses: dict[str, int]
    last_use: int
    lines: int


class PlanCost(NamedTuple):
    """What the usage comes to on one plan; `unpriced` events are priced on others, or on none."""

    plan: Plan
    currency: str
    tally: Tally
    unpriced: int = 0

    @property
    def total(self) -> int:
        """The sum of all that is priced, in pico of `currency`."""
        return self.tally.totals().get(self.currency, 0)


def always_in_force(version: TariffVersion) -> TariffVersion:
    """Return a version's prices without its dates."""
    return replace(version, effective_from=FIRST_INSTANT, effective_to=None)


def extent_of(lines: Lines) -> Extent:
    """Return the extent of usage; a line that is rejected on every plan is only counted."""
    first_uses: dict[str, int] = {}
    last_use, count = FIRST_INSTANT, 0
    for _, text in lines():
        count += 1
        data = read_json(text)
        account_id = data.get("account_id") if isinstance(data, dict) else None
        at = parse_time("occurred_at", data.get("occurred_at")) if account_id else None
        if not isinstance(account_id, str) or not isinstance(at, int):
            continue
        if FIRST_INSTANT <= at < LAST_INSTANT:
            first_uses[account_id] = min(at, first_uses.get(account_id, at))
            last_use = max(at, last_use)
    return Extent(first_uses, last_use, count)


def cost_of(
    plan: Plan, lines: Lines, extent: Extent, allowed_attributes: frozenset[str], progress: Any
) -> PlanCost:
    """Rate usage on a plan; `progress` is told each line that is done."""
    versions = plan.versions
    if len(versions) == 1:
        versions = (always_in_force(versions[0]),)
    orders = _orders(versions[0], extent)
    rating = OfflineRating(
        (*versions, *plan.suppliers), orders, allowed_attributes, plan.exchange_rates
    )
    tally = Tally()
    for number, text in lines():
        data = read_json(text)
        tally.take([data] if isinstance(data, Refusal) else rating.rate(data, number - 1))
        progress(1)
    for record in rating.advance(_end_of_month(versions[0], extent.last_use)):
        if isinstance(record, Charge):
            tally.add(record)
    return PlanCost(plan, versions[0].currency, tally)


def _orders(version: TariffVersion, extent: Extent) -> AccountOrders:
    return {
        account_id: [
            OpenAccount(version.currency, version.zone),
            AssignTariff(version.tariff_id, first_use, None),
        ]
        for account_id, first_use in extent.first_uses.items()
    }


def _end_of_month(version: TariffVersion, at: int) -> int:
    month = month_of(billing_month(version.zone, at), version.zone)
    return at if month is None else month.ends_at


def check_comparable(plans: Sequence[Plan]) -> None:
    """Refuse plans in different currencies, and what is no plan for customers (InvalidDocument)."""
    first = plans[0].versions[0].currency
    for plan in plans:
        if plan.versions[0].is_of_supplier:
            raise InvalidDocument(plan.name, "a supplier's tariff", "a tariff that is sold by")
        currency = plan.versions[0].currency
        if currency != first:
            raise InvalidDocument(
                f"{plan.name}, currency", currency, f"{first} as in {plans[0].name}"
            )


def cheapest_first(costs: Sequence[PlanCost]) -> list[PlanCost]:
    """Return the plans by what they leave unpriced, then by price, then by name.

    What every plan rejects is no usage, and makes none of them incomparable.
    """
    rejected = min(cost.tally.events["rejected"] for cost in costs)
    known = [cost._replace(unpriced=cost.tally.unpriced - rejected) for cost in costs]
    return sorted(known, key=lambda cost: (cost.unpriced, cost.total, cost.plan.name))


def amounts_by(tally: Tally, fields: Sequence[str]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the sums by some of Part's fields, sorted by them."""
    sums: dict[tuple[str, ...], int] = {}
    for part, amount in tally.amounts.items():
        key = tuple(str(getattr(part, field)) for field in fields)
        sums[key] = sums.get(key, 0) + amount
    yield from sorted(sums.items())
