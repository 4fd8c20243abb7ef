"""The tariff book: every version that is known, and which one is in force when.

Versions reach a partition through the `tariffs` topic; the book only knows them. Which of them
live rating uses for an account is the account's own fact (adopted or staged, see lifecycle).
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from engine.rating.component import Weights
from engine.rating.errors import InvalidDocument
from engine.rating.money import format_decimal
from engine.rating.pattern import Pattern
from engine.rating.supply import Supply
from engine.rating.tariff import TariffVersion


class KnownVersion(NamedTuple):
    """A version and the offset of its record in the tariffs topic."""

    version: TariffVersion
    offset: int


class TariffBook:
    """Every tariff version that is known, by tariff and version number; `supply` is the buy side."""

    def __init__(self) -> None:
        self.supply = Supply()
        self._tariffs: dict[str, dict[int, KnownVersion]] = {}
        self._timelines: dict[tuple[str, tuple[int, ...]], tuple[KnownVersion, ...]] = {}

    def add(self, version: TariffVersion, offset: int) -> KnownVersion | None:
        """Add a version; None if this very version was known. InvalidDocument if it may not be."""
        known = self._tariffs.get(version.tariff_id, {})
        if version.version in known and known[version.version].version.digest == version.digest:
            return None
        self.check(version)
        entry = known[version.version] = KnownVersion(version, offset)
        self._tariffs[version.tariff_id] = known
        self.supply.add(version, offset)
        return entry

    def check(self, version: TariffVersion) -> None:
        """Refuse a version that may not be added to those that are known. InvalidDocument."""
        known = self._tariffs.get(version.tariff_id, {})
        check_succession([entry.version for entry in known.values()], version)
        self.supply.check(version)

    def get(self, tariff_id: str, version: int) -> KnownVersion | None:
        """Return one version."""
        return self._tariffs.get(tariff_id, {}).get(version)

    def versions(self, tariff_id: str) -> list[KnownVersion]:
        """Return all versions of a tariff in the order of their numbers; empty if unknown."""
        known = self._tariffs.get(tariff_id, {})
        return [known[number] for number in sorted(known)]

    def tariff_ids(self) -> list[str]:
        """Return the ids of all tariffs, sorted."""
        return sorted(self._tariffs)

    def in_force(self, tariff_id: str, adopted: tuple[int, ...], at: int) -> KnownVersion | None:
        """Return the version in force at `at` among the `adopted` version numbers.

        The latest `effective_from <= at` (equal: the highest version). If its `effective_to` has
        passed that is a gap, with no fall-back to an older one (semantics section 2).
        """
        latest = None
        for entry in self.timeline(tariff_id, adopted):
            if entry.version.effective_from > at:
                break
            latest = entry
        if latest is None:
            return None
        end = latest.version.effective_to
        return latest if end is None or at < end else None

    def timeline(self, tariff_id: str, adopted: tuple[int, ...]) -> tuple[KnownVersion, ...]:
        """Return the adopted versions by (effective_from, version): the order counters use."""
        key = (tariff_id, adopted)
        if key not in self._timelines:
            known = self._tariffs[tariff_id]
            entries = [known[number] for number in adopted]
            entries.sort(key=lambda e: (e.version.effective_from, e.version.version))
            self._timelines[key] = tuple(entries)
        return self._timelines[key]


def check_succession(earlier: Iterable[TariffVersion], new: TariffVersion) -> None:
    """Refuse a version that may not follow the earlier ones of its tariff (InvalidDocument).

    Numbers grow, currency and side stay, and a component that changes kinds, weights, scope or period
    takes a new id, because its counters could not go on (semantics section 2).
    """
    place = f"tariff {new.tariff_id} version {new.version}"
    for old in earlier:
        if new.version <= old.version:
            raise InvalidDocument(place, new.version, f"a version above {old.version}")
        if new.currency != old.currency:
            raise InvalidDocument(place, new.currency, f"the tariff's currency {old.currency}")
        if new.is_of_supplier != old.is_of_supplier:
            raise InvalidDocument(
                f"{place}, supplier_for",
                ", ".join(new.supplier_for),
                f"{'providers' if old.is_of_supplier else 'none'} as in version {old.version}",
            )
        for component in new.components:
            before = old.component(component.component_id)
            if before is None:
                continue
            place_of = f"{place}, component {component.component_id}"
            if before.price.of != component.price.of:
                raise InvalidDocument(
                    f"{place_of}, price.of",
                    component.price.of,
                    f"{before.price.of}, or a new component id",
                )
            for name in ("weights", "model_weights", "scope", "period"):
                was, now = getattr(before, name), getattr(component, name)
                if was != now:
                    raise InvalidDocument(
                        f"{place_of}, {name}",
                        _plain(now),
                        f"{_plain(was)} as in version {old.version}, or a new component id",
                    )


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_weighted(*entry) for entry in value) or "none"
    return str(value)


def _weighted(name: str | Pattern, weight: Fraction | Weights) -> str:
    if isinstance(name, Pattern):
        return f"{name.glob or name.choices[0]}: ({_plain(weight)})"
    return f"{name} at {weight if isinstance(weight, tuple) else format_decimal(weight)}"
