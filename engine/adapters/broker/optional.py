"""Libraries that only an optional extra installs, imported when they are needed and not before.

A gateway installs none of them. Whoever does need one is told which extra to install.
"""

import importlib
from typing import Any

from engine.adapters.broker.errors import ExtraNotInstalled


def optional(module: str, extra: str) -> Any:
    """Return the imported `module`. Raises `ExtraNotInstalled`, which names the extra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExtraNotInstalled(module, extra) from error
