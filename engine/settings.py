"""Settings: read once from the environment by the composition root, then passed along."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.rating.errors import InvalidDocument

RECONNECT_MS = 1_000
"""The longest pause between attempts to reach a broker. The client's own, 30 s, keeps a worker away
for half a minute after the broker is back."""
DEFAULT_PREFIX = "tollbook."
DEFAULT_ATTRIBUTES = ("environment", "feature", "project", "team")


class KafkaSettings(NamedTuple):
    """How to reach Kafka. `options` go to the client as they are (security_protocol, sasl_...)."""

    bootstrap: str
    prefix: str = DEFAULT_PREFIX
    options: tuple[tuple[str, str], ...] = ()

    def topic(self, name: str) -> str:
        """Return a topic's name in this deployment."""
        return f"{self.prefix}{name}"

    def client(self) -> dict[str, Any]:
        """Return what every client is given."""
        return {
            "bootstrap_servers": self.bootstrap,
            "metrics_enabled": False,
            "reconnect_backoff_max_ms": RECONNECT_MS,
            **dict(self.options),
        }


class WorkerSettings(NamedTuple):
    """How a worker works.

    `slot` names it in the group and as transactional.id, stable over restarts; `max_events` and
    `max_commit_bytes` bound a micro-batch; `snapshot_seconds`: the least time between snapshots;
    `source_keys`: the file with the keys of sources that sign; `archive`: where to read what was
    pruned from Kafka.
    """

    slot: str = "worker-1"
    max_events: int = 5_000
    max_commit_bytes: int = 4 * 1024 * 1024
    allowed_attributes: frozenset[str] = frozenset(DEFAULT_ATTRIBUTES)
    commit_timeout_seconds: float = 30.0
    snapshot_seconds: float = 60.0
    source_keys: Path | None = None
    archive: Path | None = None


_BROKER = re.compile(r"([^\s,:/\[\]]+|\[[0-9A-Fa-f:.%]+\])(:[0-9]{1,5})?")
_SECURITY = (
    "security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password",
    "ssl_cafile", "ssl_certfile", "ssl_keyfile",
)  # fmt: skip


def kafka_settings(
    bootstrap: str | None = None, environment: Mapping[str, str] = os.environ
) -> KafkaSettings:
    """Return the Kafka settings of TOLLBOOK_BOOTSTRAP, TOLLBOOK_PREFIX and TOLLBOOK_KAFKA_...."""
    address = checked_bootstrap(bootstrap or environment.get("TOLLBOOK_BOOTSTRAP", ""))
    options = tuple(
        (name, environment[f"TOLLBOOK_KAFKA_{name.upper()}"])
        for name in _SECURITY
        if f"TOLLBOOK_KAFKA_{name.upper()}" in environment
    )
    return KafkaSettings(address, environment.get("TOLLBOOK_PREFIX", DEFAULT_PREFIX), options)


def checked_bootstrap(address: str, place: str = "TOLLBOOK_BOOTSTRAP") -> str:
    """Return addresses of brokers, host:port with commas between. InvalidDocument if they are none."""
    brokers = [broker.strip() for broker in address.split(",")]
    if all(_BROKER.fullmatch(broker) for broker in brokers):
        return ",".join(brokers)
    expected = "host:port of a Kafka broker (try: tollbook broker start), several with commas"
    raise InvalidDocument(place, address, expected)


def worker_settings(environment: Mapping[str, str] = os.environ) -> WorkerSettings:
    """Return the worker's settings of the TOLLBOOK_... variables (docs/reference/settings.md)."""
    names = environment.get("TOLLBOOK_ATTRIBUTES", ",".join(DEFAULT_ATTRIBUTES))
    allowed = frozenset(name.strip() for name in names.split(",") if name.strip())
    keys = environment.get("TOLLBOOK_SOURCE_KEYS", "")
    archive = environment.get("TOLLBOOK_ARCHIVE", "")
    return WorkerSettings(
        slot=environment.get("TOLLBOOK_SLOT", "worker-1"),
        allowed_attributes=allowed,
        snapshot_seconds=_seconds(environment, "TOLLBOOK_SNAPSHOT_SECONDS", 60.0),
        source_keys=Path(keys) if keys else None,
        archive=Path(archive) if archive else None,
    )


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise InvalidDocument(name, text, "a number of seconds above zero")
    return seconds


def state_folder(cluster: str, prefix: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for the caches of one deployment on one cluster."""
    return home(environment) / "state" / cluster / (prefix.strip(".") or "unprefixed")


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for local state: TOLLBOOK_HOME, or ~/.tollbook."""
    return Path(environment.get("TOLLBOOK_HOME", "~/.tollbook")).expanduser()
