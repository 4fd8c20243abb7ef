"""The topics of a deployment: created with, and checked against, the settings that keep data.

All but `tariffs` share one partition count, fixed for life, because an account's records must
meet in one partition number across topics. Usage and commands carry the broker's append time.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from engine.adapters.kafka.admin import opened_admin
from engine.rating.errors import InvalidDocument
from engine.settings import KafkaSettings

_MANY_COPIES = 3
_FORGET_SECONDS = 15.0
"""Longer than the members' session timeout (6 s)."""
_MEGABYTE = 1024 * 1024
_KEEP = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
_APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
_SMALL = {"max.message.bytes": str(_MEGABYTE)}
_LARGE = {"max.message.bytes": str(16 * _MEGABYTE)}

CONFIGS = {
    "usage": {**_KEEP, **_APPEND_TIME, **_SMALL},
    "usage-forwarded": {**_KEEP, **_LARGE},
    "accounts": {**_KEEP, **_APPEND_TIME, **_SMALL},
    "tariffs": {**_KEEP, **_APPEND_TIME, **_LARGE},
    "journal": {**_KEEP, **_LARGE},
    "charges": {**_KEEP, **_LARGE},
    "balances": {"cleanup.policy": "compact", **_LARGE},
    "alerts": {**_KEEP, **_LARGE},
    "rejections": {**_KEEP, **_LARGE},
}
"""Settings by topic. Journal and rejections take far larger records than usage does, or a large
usage record could never be rejected."""


class CreatedTopic(NamedTuple):
    """A topic, and whether this call created it."""

    name: str
    partitions: int
    created: bool


def create_topics(
    settings: KafkaSettings,
    partitions: int,
    replication: int = 1,
    names: Sequence[str] = tuple(CONFIGS),
) -> list[CreatedTopic]:
    """Create the topics that are missing; return all of `names`, in order.

    InvalidDocument if one exists with another partition count: counts are fixed for life.
    """
    wanted = {settings.topic(name): 1 if name == "tariffs" else partitions for name in names}
    with opened_admin(settings) as client:
        present = set(client.list_topics())
        _check_counts(client, {name: wanted[name] for name in sorted(present & set(wanted))})
        missing = {
            settings.topic(name): {
                "num_partitions": wanted[settings.topic(name)],
                "replication_factor": replication,
                "configs": configs_of(name, replication),
            }
            for name in names
            if settings.topic(name) not in present
        }
        if missing:
            client.create_topics(missing, wait_for_metadata=True)
    return [CreatedTopic(name, count, name not in present) for name, count in wanted.items()]


def configs_of(name: str, replication: int) -> dict[str, str]:
    """Return the settings of a new topic with so many copies of each record.

    From three copies on, two must have a record before it is acknowledged: one disk may be lost,
    and one broker may stop.
    """
    copies = {"min.insync.replicas": "2"} if replication >= _MANY_COPIES else {}
    return {**CONFIGS[name], **copies}


def _check_counts(client: Any, wanted: dict[str, int]) -> None:
    for topic in client.describe_topics(sorted(wanted)) if wanted else ():
        count = len(topic["partitions"])
        if count != wanted[topic["name"]]:
            raise InvalidDocument(
                f"topic {topic['name']}, partitions", count, f"{wanted[topic['name']]}"
            )


def cluster_id(settings: KafkaSettings) -> str:
    """Return the identity of the Kafka cluster, which outlives addresses."""
    with opened_admin(settings) as client:
        return str(client.describe_cluster()["cluster_id"])


def replication_of(settings: KafkaSettings, name: str) -> int:
    """Return how many copies a topic has of each record."""
    with opened_admin(settings) as client:
        (topic,) = client.describe_topics([settings.topic(name)])
        return len(topic["partitions"][0]["replica_nodes"])


def forget_topics(settings: KafkaSettings, names: Sequence[str], group: str) -> None:
    """Delete a group with its offsets, then topics; what is missing is no error.

    InvalidDocument if the group still has a member after a session timeout: a member that
    stopped without a word is forgotten by then, one that lives is not.
    """
    with opened_admin(settings) as client:
        _forget_group(client, f"{settings.prefix}{group}")
        present = set(client.list_topics()) & {settings.topic(name) for name in names}
        if present:
            client.delete_topics(sorted(present))


def _forget_group(client: Any, group_id: str) -> None:
    since = time.monotonic()
    while any(found["group_id"] == group_id for found in client.list_groups()):
        outcome = client.delete_groups([group_id])[group_id]
        if outcome in ("OK", "GroupIdNotFoundError"):
            return
        if time.monotonic() - since > _FORGET_SECONDS:
            raise InvalidDocument(f"group {group_id}", outcome, "no member: stop them first")
        time.sleep(0.5)
