"""A second opinion on what usage costs, written from the semantics alone.

As plainly as possible, and sharing no code with the engine: decimals are read by `Fraction`, tiers
are walked one by one, nothing is kept. Prices, components and promotions are documents.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

Document = dict[str, Any]

PICO = 10**12


def floored_pico(amount: Fraction) -> int:
    """Return an amount floored to pico, as a whole."""
    return floor(amount * PICO)


def in_increments(units: Fraction, priced: Document) -> Fraction:
    """Return units in the whole increments that a price or a tier asks for."""
    if "increment" not in priced:
        return units
    size: int = priced["increment"]
    down = priced.get("increment_rounding") == "down"
    return Fraction((floor if down else ceil)(units / size) * size)


def amount_so_far(price: Document, units: Fraction) -> Fraction:
    """Return what the first units of a price cost together, exact and not floored."""
    units = in_increments(units, price)
    if units <= 0:
        return Fraction(0)
    model = price["model"]
    if model == "unit":
        return units * _unit_price(price, price)
    if model == "flat":
        return Fraction(price["amount"])
    if model == "percentage":
        return units * Fraction(price["rate_percent"]) / 100
    if model == "package":
        return _packages(price, units) * Fraction(price["package_price"])
    return _volume(price, units) if model == "volume" else _graduated(price, units)


def _packages(price: Document, units: Fraction) -> int:
    paid: Fraction = max(Fraction(0), units - price.get("free_units", 0))
    size: int = price["package_size"]
    return floor(paid / size) if price.get("rounding") == "down" else ceil(paid / size)


def _unit_price(price: Document, tier: Document) -> Fraction:
    if price["model"] == "graduated_percentage":
        return Fraction(tier.get("rate_percent", "0")) / 100
    per: int = price.get("per", 1)
    return Fraction(tier.get("unit_price", "0")) / per


def _graduated(price: Document, units: Fraction) -> Fraction:
    total, lower = Fraction(0), Fraction(0)
    for tier in price["tiers"]:
        if units <= lower:
            break
        upper = Fraction(tier["up_to"]) if "up_to" in tier else units
        inside = in_increments(min(units, upper) - lower, tier)
        total += Fraction(tier.get("flat_fee", "0")) + inside * _unit_price(price, tier)
        lower = upper
    return total


def _volume(price: Document, units: Fraction) -> Fraction:
    tier = next(t for t in price["tiers"] if "up_to" not in t or units <= t["up_to"])
    fee = Fraction(tier.get("flat_fee", "0"))
    return fee + in_increments(units, tier) * _unit_price(price, tier)


def _price(component: Document, promotion: Document | None) -> Document:
    source = promotion if promotion and "price" in promotion else component
    price: Document = source["price"]
    return price


def total_so_far(component: Document, promotion: Document | None, units: Fraction) -> int:
    """Return floor(A(units)) in pico, of a component and the promotion that chose its price."""
    return bounded(component, unbounded(component, promotion, units)) if units else 0


def unbounded(component: Document, promotion: Document | None, units: Fraction) -> int:
    """Return what units cost in pico, floored, before maximum and minimum."""
    price = _price(component, promotion)
    amount = amount_so_far(price, max(Fraction(0), units - component.get("allowance", 0)))
    amount *= 1 - Fraction((promotion or {}).get("percent_off", "0")) / 100
    amount *= 1 + Fraction(component.get("markup_percent", "0")) / 100
    return floored_pico(amount)


def bounded(component: Document, amount: int) -> int:
    """Return what some usage comes to, in pico, within the component's maximum and minimum."""
    if "maximum" in component:
        amount = min(amount, floored_pico(Fraction(component["maximum"])))
    if "minimum" in component and component.get("period", "event") == "event":
        amount = max(amount, floored_pico(Fraction(component["minimum"])))
    return amount


Standing = Sequence[tuple[Document, Document | None, Fraction]]
"""What stands in a counter: component, promotion and units, in the order of versions."""


def total_of(standing: Standing) -> int:
    """Return the total of a counter: each part behind those in front of it; volume from zero.

    Maximum and minimum bound what all parts of one version come to, whatever chose their prices.
    """
    total, before = 0, Fraction(0)
    of_version: list[tuple[Document, Document | None, Fraction]] = []
    for part in (*standing, None):
        if of_version and (part is None or part[0] is not of_version[0][0]):
            total += _of_one_version(of_version, before)
            before += sum(own for _, _, own in of_version)
            of_version = []
        if part is not None and part[2]:
            of_version.append(part)
    return total


def _of_one_version(parts: Standing, before: Fraction) -> int:
    """Return what the units of one version come to, behind those of earlier ones."""
    component, reached, stood = parts[0][0], None, 0
    for _, promotion, own in parts:
        front = Fraction(0) if _price(component, promotion)["model"] == "volume" else before
        first = unbounded(component, promotion, front) if front else 0
        if reached is None:
            reached, stood = first, bounded(component, first) if front else 0
        reached += unbounded(component, promotion, front + own) - first
        before += own
    assert reached is not None
    return bounded(component, reached) - stood
