"""What importing a package loads: a green layers contract does not see what `__init__` pulls in."""

import subprocess
import sys

import pytest

HEAVY = ("duckdb", "fastavro", "kafka", "pydantic", "rich", "structlog", "typer", "yaml")


def loaded_by(package: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after importing a package."""
    program = f"import sys, {package}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["engine", "engine.rating", "engine.rating.ledger"])
def test_the_specification_loads_nothing_but_itself(package: str) -> None:
    loaded = loaded_by(package)
    assert not loaded & set(HEAVY)
    assert not {name for name in loaded if name.startswith(("engine.adapters", "engine.stream"))}


@pytest.mark.parametrize(
    "package", ["engine.adapters.documents.usage", "engine.adapters.cloudevents"]
)
def test_reading_usage_needs_only_the_base_install(package: str) -> None:
    assert not loaded_by(package) & {"duckdb", "rich", "typer", "yaml"}


def test_replay_never_loads_the_live_side() -> None:
    loaded = loaded_by("replay.explain, replay.balances")
    assert not {n for n in loaded if n.startswith(("engine.stream", "engine.entrypoints"))}
