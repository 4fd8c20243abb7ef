"""Kafka's jars: fetched by Maven coordinates once, checked, cached for every later start.

The cache is one folder per Kafka version that appears by a single rename, complete, or not at all:
a start that is killed half-way, or two starts at the same time, can leave a temporary folder behind
but never a broken cache. A marker file, written last, holds the digest of the lock that the folder
was filled from; a folder without the right marker is replaced. With the marker in place no network
is touched.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.adapters.broker.errors import JarsUnavailable
from engine.adapters.broker.jar_lock import JARS, KAFKA_VERSION
from engine.adapters.broker.optional import optional

_MARKER = "complete"
_PARALLEL_DOWNLOADS = 4  # more did not help: the time goes into two or three large files
_DOWNLOAD_TIMEOUT_SECONDS = 60


def kafka_jars() -> Path:
    """Return the folder that holds Kafka's jars, after fetching them if they are not there.

    Raises `ExtraNotInstalled` (no jgo) and `JarsUnavailable`, only if a fetch is needed.
    """
    folder = cache_folder()
    if not _is_complete(folder):
        _fill(folder)
    return folder


def cache_folder() -> Path:
    """Return where the jars are kept: the user's cache, as the XDG convention places it."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The convention says that a relative path is to be ignored.
    root = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return root / "tollbook" / f"kafka-{KAFKA_VERSION}"


def maven_context(repository: Path) -> Any:
    """Return jgo's access to Maven repositories, with `repository` as the place for downloads.

    Mirrors from the user's own jgo configuration are asked first; digests are checked in any case.
    """
    mirrors = optional("jgo.config", "broker").GlobalSettings.load().repositories
    central = optional("jgo.constants", "broker").MAVEN_CENTRAL_URL
    return optional("jgo.maven", "broker").MavenContext(
        repo_cache=repository,
        remote_repos={**mirrors, "central": central},
        timeout=_DOWNLOAD_TIMEOUT_SECONDS,
    )


def _lock_digest() -> str:
    text = "\n".join(f"{coordinates} {digest}" for coordinates, digest in sorted(JARS.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_complete(folder: Path) -> bool:
    try:
        return (folder / _MARKER).read_text() == _lock_digest()
    except FileNotFoundError:
        return False


def _fill(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        built = workshop / "jars"
        built.mkdir()
        _fetch_all(workshop / "repository", built)
        (built / _MARKER).write_text(_lock_digest())
        _put_in_place(built, folder, workshop / "replaced")
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _put_in_place(built: Path, folder: Path, replaced: Path) -> None:
    """Rename `built` to `folder`. Whoever comes second keeps the folder of whoever came first."""
    if folder.exists() and not _is_complete(folder):
        folder.rename(replaced)
    try:
        built.rename(folder)
    except OSError as error:
        if not _is_complete(folder):
            raise JarsUnavailable(f"{folder}: cannot be put in place: {error}") from error


def _fetch_all(repository: Path, target: Path) -> None:
    context = maven_context(repository)
    tell(f"fetching Apache Kafka {KAFKA_VERSION} ({len(JARS)} jars, 45 MB), this once ...")
    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        fetched = pool.map(_fetcher(context, target), JARS.items())
        for count, _ in enumerate(fetched, start=1):
            if count % 10 == 0:
                tell(f"  {count} of {len(JARS)} jars")
    tell("Apache Kafka is in the cache; the next start needs no network")


def _fetcher(context: Any, target: Path) -> Callable[[tuple[str, str]], None]:
    def fetch(entry: tuple[str, str]) -> None:
        coordinates, expected = entry
        group, name, version = coordinates.split(":")
        try:
            jar = context.project(group, name).at_version(version).artifact().resolve()
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            raise JarsUnavailable(f"{coordinates}: cannot be fetched: {error}") from error
        actual = hashlib.sha256(jar.read_bytes()).hexdigest()
        if actual != expected:
            raise JarsUnavailable(f"{coordinates}: SHA-256 {actual}, expected {expected}")
        jar.rename(target / jar.name)

    return fetch


def tell(message: str) -> None:
    """Write a line of progress to stderr; stdout belongs to data."""
    sys.stderr.write(f"tollbook: {message}\n")
