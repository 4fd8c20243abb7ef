"""Checking tariff versions before they are used: each alone, then how they follow each other.

A component or promotion that can never act is a problem of a file, not of a record: what was
published stands. Every problem of every file is a value, so that one run tells them all.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.adapters.documents.reading import InvalidFile, read_document
from engine.adapters.documents.tariff import parse_tariff
from engine.rating.errors import InvalidDocument
from engine.rating.language import require_language
from engine.rating.reachability import unreachable
from engine.rating.rules import LATEST_REVISION
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook


class Problem(NamedTuple):
    """A problem of a file: the path in it, the value there, and what was expected."""

    file: str
    path: str
    value: object
    expected: str


class Checked(NamedTuple):
    """A file's version, if it has one."""

    file: str
    version: TariffVersion


def read_version(file: Path) -> TariffVersion:
    """Return the version of a file; InvalidFile with every problem, out of reach included."""
    version = parse_tariff(read_document(file), str(file))
    require_reachable(version, str(file))
    return version


def require_reachable(version: TariffVersion, name: str) -> None:
    """Refuse a version of which something can never act; `name` is for messages. InvalidFile."""
    place = f"tariff {version.tariff_id} version {version.version}"
    problems = [found.problem(place) for found in unreachable(version)]
    if problems:
        raise InvalidFile(name, problems)


def read_versions(files: Iterable[Path]) -> tuple[list[Checked], list[Problem]]:
    """Return the versions of files and the problems of those that have none."""
    versions, problems = [], []
    for file in files:
        try:
            versions.append(Checked(str(file), read_version(file)))
        except InvalidFile as error:
            problems += [_problem(str(file), found) for found in error.problems]
    return versions, problems


def succession_problems(
    checked: Sequence[Checked], published: TariffBook, rules: int = LATEST_REVISION
) -> list[Problem]:
    """Add versions to the published ones, as publishing in the order of their numbers would.

    `rules`: the revision that was adopted; a version may not say more than it knows.
    """
    problems = []
    for file, version in sorted(checked, key=lambda c: (c.version.tariff_id, c.version.version)):
        try:
            require_language(version, rules)
            published.add(version, 0)
        except InvalidDocument as error:
            problems.append(_problem(file, error))
    return problems


def _problem(file: str, error: InvalidDocument) -> Problem:
    return Problem(file, error.place, error.value, error.expected)
