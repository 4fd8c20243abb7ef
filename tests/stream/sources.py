"""Registered sources on a deployment: who may report, with which keys, and what became of it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.signing import key_digest
from engine.rating.authority import SourceRegistration
from engine.rating.rules import DEFAULT_LATENESS
from tests.stream.deployment import Deployment, flat

KEY, OLD_KEY = b"a key of thirty-two bytes length!", b"the one before it, now replaced.."


def registered(
    source: str, *accounts: str, keys: tuple[bytes, ...] = (), lateness: int = DEFAULT_LATENESS
) -> SourceRegistration:
    """Return a registration for accounts, by the digests of the keys."""
    digests = tuple(key_digest(key) for key in keys)
    return SourceRegistration(source, accounts, ("record",), lateness, digests)


def register(deployment: Deployment, *registrations: SourceRegistration) -> None:
    """Publish registrations, in order."""
    with KafkaPublisher(deployment.settings) as publisher:
        for registration in registrations:
            publisher.source(registration)


@contextmanager
def registered_alone(
    bootstrap: str, prefix: str, accounts: Sequence[str], *registrations: SourceRegistration
) -> Iterator[Deployment]:
    """Yield a deployment with open accounts to which these sources may report, and no others."""
    with closing(Deployment(bootstrap, prefix, to_any_source=False)) as found:
        found.publish_tariff(flat("1"))
        found.open_accounts("plan", accounts)
        register(found, *registrations)
        yield found


def key_file(path: Path, **keys: tuple[bytes, ...]) -> Path:
    """Write a key file; a source's name is written with `_` for `-`."""
    named = {name.replace("_", "-"): [key.decode() for key in of] for name, of in keys.items()}
    path.write_text(json.dumps(named))
    return path


def codes(deployment: Deployment) -> dict[str, str]:
    """Return what became of each event: charged, or the code of its rejection."""
    charged = {charge.event_id: "charged" for charge in deployment.charges()}
    return charged | {r.event_id: r.refusal.code for r in deployment.rejections()}


def this_moment() -> str:
    """Return the time as usage has it: neither late nor ahead."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
