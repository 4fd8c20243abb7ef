"""A venv with LiteLLM, a provider, and proxies that end with their test."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import pytest

from tests.gateway.litellm.provider import provider
from tests.gateway.litellm.proxy import UNREACHABLE, Proxy

_REQUIREMENTS = Path(__file__).parents[1] / "litellm-requirements.txt"
_VENV = Path(sys.prefix) / "litellm"

MakeProxy = Callable[..., Proxy]


@pytest.fixture(scope="session")
def litellm_python() -> Path:
    """Return the Python of a venv with LiteLLM, made when it is missing or its list has changed.

    LiteLLM pins packages that this project has in newer versions, so it can not live in our venv.
    """
    python, stamp = _VENV / "bin" / "python", _VENV / "installed"
    wanted = sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    with _VENV.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not stamp.exists() or stamp.read_text() != wanted:
            pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            try:
                _run(sys.executable, "-m", "venv", "--clear", str(_VENV))
                _run(*pip, "--no-deps", "--requirement", str(_REQUIREMENTS))
            except subprocess.CalledProcessError as error:
                pytest.skip(f"LiteLLM can not be installed: {error.stderr.decode()[-500:]}")
            stamp.write_text(wanted)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


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
