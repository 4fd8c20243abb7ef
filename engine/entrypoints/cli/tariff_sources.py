"""Which tariff versions a command is about: files, or what is published, by name.

`business.yaml` is a file, `business@3` a published version, `business` all versions of a published
tariff. A file of that name comes first. Kafka is asked only if something published is named.
Beside them: the supplier tariffs and exchange rates that prices on top of cost need.
"""

from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.documents.exchange_rates import parse_exchange_rates
from engine.adapters.documents.reading import read_document
from engine.entrypoints.checking import read_version
from engine.entrypoints.cli.common import kafka
from engine.entrypoints.cli.tariff import read_book
from engine.entrypoints.comparing import Plan
from engine.rating.errors import InvalidDocument
from engine.rating.exchange import ExchangeRate
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook

Supplier = Annotated[
    list[Path] | None,
    typer.Option(help="A supplier tariff, for prices on top of its cost. Repeatable."),
]
ExchangeRates = Annotated[
    Path | None, typer.Option(help="Rates that convert the cost of supplier tariffs.")
]


def read_exchange_rates(path: Path | None) -> list[ExchangeRate]:
    """Return the exchange rates of a file; none without one."""
    return [] if path is None else parse_exchange_rates(read_document(path), str(path))


class TariffSource:
    """Finds versions by name; the published ones are read once, when first asked for."""

    def __init__(self, bootstrap: str | None) -> None:
        self._bootstrap = bootstrap
        self._published: TariffBook | None = None

    def version(self, name: str) -> TariffVersion:
        """Return the version of a file or of `tariff_id@version`."""
        if Path(name).exists() or _is_path(name):
            return read_version(Path(name))
        tariff_id, _, number = name.rpartition("@")
        if not tariff_id or not number.isdecimal() or len(number) > len(str(2**31)):
            raise InvalidDocument("tariff", name, "a file, or a published version such as plan@3")
        known = self._book().get(tariff_id, int(number))
        if known is None:
            raise InvalidDocument("tariff", name, "a published version; see `tollbook tariff list`")
        return known.version

    def plan(self, name: str) -> Plan:
        """Return the plan of a file, of versions separated by commas, or of a published tariff."""
        if Path(name).exists() or _is_path(name) or "," in name or "@" in name:
            parts = [name] if Path(name).exists() else name.split(",")
            versions = [self.version(part) for part in parts]
        else:
            versions = [known.version for known in self._book().versions(name)]
        if not versions:
            raise InvalidDocument("tariff", name, "a file, or a published tariff")
        if len({version.tariff_id for version in versions}) > 1:
            raise InvalidDocument("tariff", name, "versions of one tariff")
        return Plan(name, tuple(sorted(versions, key=lambda version: version.version)))

    def _book(self) -> TariffBook:
        if self._published is None:
            self._published = read_book(kafka(self._bootstrap))
        return self._published


def _is_path(name: str) -> bool:
    """Say whether a name can only be meant as a file, there or not."""
    return "," not in name and ("/" in name or Path(name).suffix in (".yaml", ".yml", ".json"))
