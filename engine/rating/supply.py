"""The supply side: what a usage event costs where its provider sells it to us.

A *supplier tariff* is an ordinary tariff that names the providers whose usage it rates on the buy
side (`supplier_for`). It has no accounts, so it is not adopted: among all versions that are known,
the one in force by the time of use counts. *Known* is what stood in the `tariffs` topic below the
offset that a partition had taken in, which its commits name; so a replay knows the same.

Its components are counted within one event, because no partition sees all that is bought. A kind
that it does not price makes the whole cost unknown: half a cost would be half a lie. A cost in
another currency than the account's is converted by a dated exchange rate and floored to pico once.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import NamedTuple

from engine.rating.amount import RunningAmount
from engine.rating.charge import SUSPENSE, Line, Supplied, TariffReference
from engine.rating.errors import InvalidDocument
from engine.rating.exchange import ExchangeRates
from engine.rating.money import LIMIT_PICO
from engine.rating.tariff import TariffVersion
from engine.rating.usage import UsageEvent


class SupplierCost(NamedTuple):
    """What an event costs on the buy side, in pico of the account's currency; None: not known.

    `total` is converted from the whole cost and floored once; `by_kind` holds each kind floored by
    itself, for prices that are a percentage of it, so their sum may be up to a pico per kind less.
    `supplied` is what the charge says of it.
    """

    supplied: Supplied | None
    total: int | None
    by_kind: Mapping[str, int | None]

    @property
    def fits(self) -> bool:
        """Whether the amounts fit their DECIMAL(38,12)."""
        cost = self.supplied.cost if self.supplied else None
        return (cost or 0) < LIMIT_PICO and (self.total or 0) < LIMIT_PICO


NOT_SUPPLIED = SupplierCost(None, None, MappingProxyType({}))
"""No supplier tariff rates the event."""


class _Known(NamedTuple):
    version: TariffVersion
    reference: TariffReference


class Supply:
    """Every supplier tariff version and exchange rate that is known."""

    def __init__(self) -> None:
        self.rates = ExchangeRates()
        self._suppliers: dict[str, str] = {}
        """The supplier tariff of each provider that one was ever published for."""
        self._versions: dict[str, list[_Known]] = {}

    def check(self, version: TariffVersion) -> None:
        """Refuse a version for a provider that another supplier tariff has. InvalidDocument."""
        for provider in version.supplier_for:
            holder = self._suppliers.get(provider, version.tariff_id)
            if holder != version.tariff_id:
                raise InvalidDocument(
                    f"tariff {version.tariff_id} version {version.version}, supplier_for",
                    provider,
                    f"a provider without a supplier tariff: it has {holder}",
                )

    def add(self, version: TariffVersion, offset: int) -> None:
        """Take a version in; one that rates no supplier's side is passed by."""
        if not version.is_of_supplier:
            return
        self._suppliers.update(dict.fromkeys(version.supplier_for, version.tariff_id))
        known = self._versions.setdefault(version.tariff_id, [])
        reference = TariffReference(version.tariff_id, version.version, version.digest, offset)
        known.append(_Known(version, reference))
        known.sort(key=_begin)

    def cost(self, event: UsageEvent, currency: str) -> SupplierCost:
        """Return what an event costs, in the account's currency; nothing while it has none."""
        known = self._in_force(event) if currency else None
        if known is None:
            return NOT_SUPPLIED
        version = known.version
        by_kind = _kind_costs(version, event)
        costs = [cost for cost in by_kind.values() if cost is not None]
        total = sum(costs) if len(costs) == len(by_kind) else None
        supplied = Supplied(known.reference, version.currency, total)
        if version.currency == currency:
            return SupplierCost(supplied, total, by_kind)
        rate = self.rates.in_force(version.currency, currency, event.occurred_at)
        if rate is None:
            return SupplierCost(supplied, None, dict.fromkeys(by_kind))
        converted = {
            kind: None if cost is None else rate.convert(cost) for kind, cost in by_kind.items()
        }
        return SupplierCost(
            Supplied(known.reference, version.currency, total, rate.text, rate.offset),
            None if total is None else rate.convert(total),
            converted,
        )

    def _in_force(self, event: UsageEvent) -> _Known | None:
        """Return the version that rates an event's buy side; a gap is not filled by an older one."""
        tariff_id = self._suppliers.get(event.provider)
        if tariff_id is None:
            return None
        for known in reversed(self._versions[tariff_id]):
            if known.version.effective_from <= event.occurred_at:
                end = known.version.effective_to
                is_over = end is not None and event.occurred_at >= end
                return (
                    None if is_over or event.provider not in known.version.supplier_for else known
                )
        return None


_begin = attrgetter("version.effective_from", "version.version")


def _kind_costs(version: TariffVersion, event: UsageEvent) -> dict[str, int | None]:
    """Return what each kind costs, in pico of the version's currency; None if it is not priced.

    Kinds that share a component are counted one after the other, those under a promotion behind
    the others: the order of a counter, so that their sum is what the counter would come to.
    """
    prices = version.prices(event)
    costs: dict[str, int | None] = dict.fromkeys(kind for kind, _ in event.quantities)
    priced = [
        (price.promoted.promotion.promotion_id if price.promoted else "", kind, quantity, price)
        for kind, quantity in event.quantities
        if (price := prices.get(kind)) is not None
    ]
    if any(promotion for promotion, *_ in priced):
        priced.sort(key=itemgetter(0))
    in_front: dict[str, int] = {}
    own: dict[tuple[str, str], int] = {}
    running: dict[str, RunningAmount] = {}
    for promotion, kind, quantity, price in priced:
        component = price.component.component_id
        amounts = price.promoted.amounts if price.promoted else price.amounts
        metered = quantity * price.weight_pico
        ahead = in_front.get(component, 0)
        in_front[component] = ahead + metered
        if amounts.starts_anew:
            ahead = own.get((component, promotion), 0)
            own[component, promotion] = ahead + metered
        total = running.setdefault(component, RunningAmount())
        costs[kind] = total.add(amounts, ahead, metered)
    return costs


def margin(amount: int, supplier_cost: int | None, lines: Sequence[Line]) -> int | None:
    """Return what is left of a charge's amount, in pico; None while a part of it is not known."""
    if supplier_cost is None or any(line.status == SUSPENSE for line in lines):
        return None
    return amount - supplier_cost
