"""Counters: quantities that are priced together, and what they come to.

A counter's key is tariff/component/scope value/period, slashes in parts escaped, so that it can be
read, sorted and taken apart. Units stand in it under the tariff version that rated them, and under a
promotion where one chose the price. Its *total* is a function of the quantities that stand: the sum
over versions, by effective_from, and within a version over promotions, by id, of floor(A(N)) -
floor(A(N - n)), N counting these and all earlier units, n the own ones. Every charge is a change of
this total (semantics section 2). A volume price counts from zero in each version and promotion.
Maximum and minimum bound all units of a version together.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from engine.rating.account import Account, VersionQuantity
from engine.rating.amount import AmountFunction, RunningAmount
from engine.rating.charge import Repricing
from engine.rating.component import Component, Promotion
from engine.rating.errors import BrokenInvariant
from engine.rating.period import period_label
from engine.rating.tariff_book import KnownVersion
from engine.rating.usage import UsageEvent

Standing = tuple[VersionQuantity, ...]


class Counted(NamedTuple):
    """Units put into a counter: those in front of them, their cost, and what they moved behind."""

    before: int
    amount: int
    repricings: tuple[Repricing, ...]
    after: Standing


_Key = tuple[int, str]
"""A tariff version, and a promotion or none."""


class _Part(NamedTuple):
    """Units under one version and promotion: those in front of them, and what they come to."""

    before: int
    metered: int
    amount: int
    starts_anew: bool


def counter_key(account: Account, event: UsageEvent, tariff_id: str, component: Component) -> str:
    """Return the key of the counter that an event's units of a component are counted in."""
    value = _scope_value(component.scope, account, event)
    label = period_label(component.period, account.zone, event.occurred_at)
    return key_of(tariff_id, component.component_id, value, label)


def tally_key(account: Account, event: UsageEvent, tariff_id: str, promotion: Promotion) -> str:
    """Return the key of the counter of a promotion's first units: no component has an empty id."""
    value = _scope_value(promotion.scope, account, event)
    label = period_label(promotion.period, account.zone, event.occurred_at)
    parts = (escaped(tariff_id), "", escaped(promotion.promotion_id), escaped(value), label)
    return "/".join(parts)


def _scope_value(scope: str, account: Account, event: UsageEvent) -> str:
    if scope == "account":
        return account.account_id
    return event.subject if scope == "subject" else event.model


def key_of(tariff_id: str, component_id: str, scope_value: str, label: str) -> str:
    """Return the key of a counter; `label` names its period."""
    parts = (escaped(tariff_id), escaped(component_id), escaped(scope_value), label)
    return "/".join(parts)


@lru_cache(maxsize=65_536)
def escaped(part: str) -> str:
    """Return a part of a key without slashes."""
    return part.replace("%", "%25").replace("/", "%2F")


def unescaped(part: str) -> str:
    """Return what `escaped` was given."""
    return part.replace("%2F", "/").replace("%25", "%")


def units(standing: Standing) -> int:
    """Return all units that stand in a counter, in pico."""
    return sum(entry.metered for entry in standing)


def count(
    standing: Standing,
    added: VersionQuantity,
    component_id: str,
    timeline: Sequence[KnownVersion],
) -> Counted:
    """Put units into a counter that others may share with them.

    `timeline` are the adopted versions by effective_from.
    """
    own_key = (added.version, added.promotion)
    quantities = {(entry.version, entry.promotion): entry.metered for entry in standing}
    quantities.setdefault(own_key, 0)
    stood = _parts(quantities, component_id, timeline)
    quantities[own_key] += added.metered
    stands = _parts(quantities, component_id, timeline)
    behind = [*stood][[*stood].index(own_key) + 1 :]
    own = stood[own_key]
    return Counted(
        own.metered if own.starts_anew else own.before + own.metered,
        stands[own_key].amount - own.amount,
        tuple(_moved(key, stood, stands) for key in behind if _is_moved(key, stood, stands)),
        tuple(
            VersionQuantity(version, metered, promotion)
            for (version, promotion), metered in quantities.items()
        ),
    )


def total(standing: Standing, component_id: str, timeline: Sequence[KnownVersion]) -> int:
    """Return what the units of a counter come to, in pico."""
    quantities = {(entry.version, entry.promotion): entry.metered for entry in standing}
    return sum(part.amount for part in _parts(quantities, component_id, timeline).values())


def _parts(
    quantities: dict[_Key, int], component_id: str, timeline: Sequence[KnownVersion]
) -> dict[_Key, _Part]:
    """Return what a counter's units come to, in their order."""
    parts: dict[_Key, _Part] = {}
    running = {version: RunningAmount() for version, _ in quantities}
    before = 0
    for version, promotion, metered in _in_order(quantities, timeline):
        amounts = _amounts(timeline, version, promotion, component_id)
        front = 0 if amounts.starts_anew else before
        amount = running[version].add(amounts, front, metered)
        parts[version, promotion] = _Part(before, metered, amount, amounts.starts_anew)
        before += metered
    return parts


def _is_moved(key: _Key, stood: dict[_Key, _Part], stands: dict[_Key, _Part]) -> bool:
    """Whether units behind others are told of: those that count on, and those whose cost changes."""
    part = stood[key]
    return bool(part.metered) and (not part.starts_anew or part.amount != stands[key].amount)


def _moved(key: _Key, stood: dict[_Key, _Part], stands: dict[_Key, _Part]) -> Repricing:
    version, promotion = key
    part, change = stood[key], stands[key].amount - stood[key].amount
    return Repricing(version, part.before, part.metered, change, promotion)


def _in_order(
    quantities: dict[_Key, int], timeline: Sequence[KnownVersion]
) -> Iterator[tuple[int, str, int]]:
    for known in timeline:
        number = known.version.version
        for promotion in sorted(name for version, name in quantities if version == number):
            yield number, promotion, quantities[number, promotion]


def _amounts(
    timeline: Sequence[KnownVersion], number: int, promotion: str, component_id: str
) -> AmountFunction:
    for known in timeline:
        if known.version.version == number:
            amounts = known.version.amounts(component_id, promotion)
            if amounts is not None:
                return amounts
    raise BrokenInvariant(
        f"version {number} counted units of component {component_id} {promotion} that it has not"
    )
