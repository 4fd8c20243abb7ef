"""What a gateway loads with the package."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_dependencies import loaded_by

HEAVY = {"duckdb", "kafka", "numba", "numpy", "pyarrow", "pydantic", "rich", "structlog", "typer"}
MOST_MODULES = 300


@pytest.mark.parametrize("package", ["engine.gateway", "engine.gateway.completeness"])
def test_importing_the_gateway_package_loads_little(package: str) -> None:
    loaded = loaded_by(package)
    assert not loaded & (HEAVY | {"yaml"})
    assert not {n for n in loaded if n.startswith(("engine.stream", "engine.entrypoints"))}
    assert len(loaded) < MOST_MODULES


def test_a_publisher_that_signs_needs_only_the_base_install(tmp_path: Path) -> None:
    program = (
        "import sys; from engine.gateway import Publisher; "
        f"Publisher('127.0.0.1:9', 'gateway-1', spool={str(tmp_path)!r}, signing_key=b'k' * 32)"
        ".close(0); print('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {"duckdb", "numba", "typer", "yaml"}
