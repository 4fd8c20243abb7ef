"""`python -m engine.entrypoints.cli` is the `tollbook` command."""

from engine.entrypoints.cli.main import run

run()
