"""Which broker to use, decided in one place and in one order.

What a person names wins over what we can find, and what is closest to production (a container of a
released image) wins over a child process. Whoever asks gets an address and its origin, and needs to
know no more; what was started for the block is stopped with it, and nothing else is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.adapters.broker.containers import container_broker, container_is_possible
from engine.adapters.broker.local import LocalBroker

BOOTSTRAP_VARIABLE = "TOLLBOOK_BOOTSTRAP"


class BrokerOrigin(StrEnum):
    """Where a broker came from."""

    ENVIRONMENT = "environment"
    CONTAINER = "container"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class BrokerEndpoint:
    """Where clients connect (host:port, or several, comma-separated), and whose broker it is."""

    bootstrap: str
    origin: BrokerOrigin


@contextmanager
def obtain_broker(folder: Path) -> Iterator[BrokerEndpoint]:
    """Yield a broker for the length of the block; `folder` is used by a local one only.

    Raises what `container_broker` and `LocalBroker.start` raise, all of them `BrokerError`s.
    """
    if named := os.environ.get(BOOTSTRAP_VARIABLE):
        yield BrokerEndpoint(named, BrokerOrigin.ENVIRONMENT)
    elif container_is_possible():
        with container_broker() as bootstrap:
            yield BrokerEndpoint(bootstrap, BrokerOrigin.CONTAINER)
    else:
        broker = LocalBroker.start(folder)
        try:
            yield BrokerEndpoint(broker.bootstrap, BrokerOrigin.LOCAL)
        finally:
            if broker.started_here:
                broker.stop()
