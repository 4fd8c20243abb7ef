"""A real Kafka for everyone: developers, tests, the five-minute tutorial.

The engine is only ever tried against a real broker, never a fake one, so a broker must be had with
no ceremony. This package owns that, in a fixed order of preference (`obtain_broker`):

1. the broker that the environment variable TOLLBOOK_BOOTSTRAP names: used, never stopped by us;
2. a container, if a Docker daemon answers and testcontainers is installed;
3. `LocalBroker`: one Apache Kafka node as a child process on loopback, its jars fetched by their
   Maven coordinates once, checked against pinned digests and cached.

Invariants: every broker of ours has the settings of `configuration.BROKER_SETTINGS`; a port is
believed only when the broker behind it names the cluster that we formatted; only a process that
carries the mark of our own start is ever signalled.

What it is not: a way to run Kafka in production. One node, no replication, no authentication.
"""

from engine.adapters.broker.choose import BrokerEndpoint, BrokerOrigin, obtain_broker
from engine.adapters.broker.errors import (
    AlreadyRunning,
    BrokerDidNotStart,
    BrokerDidNotStop,
    BrokerError,
    ExtraNotInstalled,
    JarsUnavailable,
    JavaNotFound,
    NoBrokerRecorded,
    PortTaken,
    UnusableState,
)
from engine.adapters.broker.jar_lock import KAFKA_VERSION
from engine.adapters.broker.local import BrokerStatus, LocalBroker
from engine.adapters.broker.state import BrokerState

__all__ = [
    "KAFKA_VERSION",
    "AlreadyRunning",
    "BrokerDidNotStart",
    "BrokerDidNotStop",
    "BrokerEndpoint",
    "BrokerError",
    "BrokerOrigin",
    "BrokerState",
    "BrokerStatus",
    "ExtraNotInstalled",
    "JarsUnavailable",
    "JavaNotFound",
    "LocalBroker",
    "NoBrokerRecorded",
    "PortTaken",
    "UnusableState",
    "obtain_broker",
]
