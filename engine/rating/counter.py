"""Counters: where metered units of one component, scope value and period are counted together.

A counter's key is tariff/component/scope value/period, slashes in parts escaped, so that it can be
read, sorted and taken apart. Quantities stand in it by tariff version (`account.VersionQuantity`).
"""

from functools import lru_cache


def key_of(tariff_id: str, component_id: str, scope_value: str, label: str) -> str:
    """Return the key of a counter; `label` names its period."""
    parts = (escaped(tariff_id), escaped(component_id), escaped(scope_value), label)
    return "/".join(parts)


@lru_cache(maxsize=65_536)
def escaped(part: str) -> str:
    """Return a part of a key without slashes."""
    return part.replace("%", "%25").replace("/", "%2F")
