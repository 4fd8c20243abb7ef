"""The cache of Kafka's jars, with a repository that serves two small files and needs no network."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.adapters.broker import JarsUnavailable, jars

SERVED = {"org.example:broker:1.0": b"the broker", "org.example:log:2.0": b"its log"}


class SmallRepository:
    """Plays jgo's context: project(group, name).at_version(version).artifact().resolve()."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.coordinates = ""

    def project(self, group: str, name: str) -> "SmallRepository":
        asked = SmallRepository(self.folder)
        asked.coordinates = f"{group}:{name}"
        return asked

    def at_version(self, version: str) -> "SmallRepository":
        self.coordinates += f":{version}"
        return self

    def artifact(self) -> "SmallRepository":
        return self

    def resolve(self) -> Path:
        if self.coordinates not in SERVED:
            message = "no such artifact"
            raise RuntimeError(message)
        self.folder.mkdir(exist_ok=True)
        jar = self.folder / f"{self.coordinates.replace(':', '-')}.jar"
        jar.write_bytes(SERVED[self.coordinates])
        return jar


@pytest.fixture
def lock() -> dict[str, str]:
    """What the cache is told to fetch; a test may change it."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in SERVED.items()}


@pytest.fixture
def cache(lock: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jars, "JARS", lock)
    monkeypatch.setattr(jars, "maven_context", SmallRepository)
    return jars.cache_folder()


def unplug_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "maven_context", None)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


FILLED = {"org.example-broker-1.0.jar", "org.example-log-2.0.jar", "complete"}


def test_the_first_call_fills_the_cache_and_leaves_nothing_else(cache: Path) -> None:
    assert names(jars.kafka_jars()) == FILLED
    assert names(cache.parent) == {cache.name}


def test_the_second_call_needs_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars.kafka_jars()
    unplug_the_network(monkeypatch)
    assert jars.kafka_jars() == cache


def test_progress_is_told_on_stderr_only(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jars.kafka_jars()
    told = capsys.readouterr()
    assert "fetching Apache Kafka" in told.err
    assert told.out == ""
    assert cache.exists()


def test_a_folder_without_the_marker_is_replaced(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "half-a.jar").touch()
    assert names(jars.kafka_jars()) == FILLED


def test_a_folder_of_another_lock_is_replaced(cache: Path, lock: dict[str, str]) -> None:
    jars.kafka_jars()
    del lock["org.example:log:2.0"]
    assert jars.kafka_jars() == cache
    assert names(cache) == {"org.example-broker-1.0.jar", "complete"}


def test_a_jar_with_another_digest_is_refused_and_not_kept(
    cache: Path, lock: dict[str, str]
) -> None:
    lock["org.example:log:2.0"] = "0" * 64
    with pytest.raises(JarsUnavailable, match=r"org\.example:log:2\.0: SHA-256"):
        jars.kafka_jars()
    assert names(cache.parent) == set()


def test_a_jar_that_cannot_be_fetched_is_named(cache: Path, lock: dict[str, str]) -> None:
    lock["org.example:gone:3.0"] = "0" * 64
    with pytest.raises(JarsUnavailable, match=r"org\.example:gone:3\.0: cannot be fetched"):
        jars.kafka_jars()
    assert not cache.exists()


def test_fills_at_the_same_time_end_with_one_whole_folder(cache: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: jars.kafka_jars(), range(8)))
    assert set(folders) == {cache}
    assert names(cache) == FILLED
    assert names(cache.parent) == {cache.name}
