"""A venv with LiteLLM, a provider, and proxies that end with their test."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.venv import installed
from tests.gateway.litellm.provider import provider
from tests.gateway.litellm.proxy import UNREACHABLE, Proxy

_REQUIREMENTS = Path(__file__).parents[1] / "litellm-requirements.txt"

MakeProxy = Callable[..., Proxy]


@pytest.fixture(scope="session")
def litellm_python() -> Path:
    """Return the Python of a venv with LiteLLM.

    LiteLLM pins packages that this project has in newer versions, so it can not live in our venv.
    """
    return installed("litellm", _REQUIREMENTS)


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    """Yield the address of the fake provider."""
    with provider() as url:
        yield url


@pytest.fixture(scope="module")
def new_proxy(
    litellm_python: Path, provider_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeProxy]:
    """Return a maker of proxies; they are killed at the end."""
    with ExitStack() as ending:

        def make(bootstrap: str = UNREACHABLE, prefix: str = "tollbook.") -> Proxy:
            folder = tmp_path_factory.mktemp("proxy")
            proxy = Proxy(litellm_python, provider_url, folder, bootstrap, prefix)
            ending.callback(proxy.end, signal.SIGKILL)
            return proxy

        yield make
