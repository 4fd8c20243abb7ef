"""What a gateway loads with the package."""

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
