"""Checking the cluster: its version, the broker's half of the commit protocol, groups, disks.

The broker decides how long a dead worker's transaction holds readers back, which timeouts a client
may ask for, and how a group hands its partitions out. Two members that split partitions in
different ways would work on one account at once.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import kafka
from kafka.admin import ConfigResource, ConfigResourceType

from engine.adapters.broker.configuration import BROKER_SETTINGS
from engine.adapters.kafka.findings import Finding, Level, found
from engine.adapters.kafka.inputs import SESSION_TIMEOUT_MS
from engine.adapters.kafka.transactions import TRANSACTION_TIMEOUT_MS
from engine.settings import KafkaSettings

GROUPS = {"workers": ("usage", "usage-forwarded"), "projectors": ("journal",)}
"""Our groups, and what their members read."""
_NEEDED, _SAFE = (2, 5), (4, 0)
_SCAN = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
_OFFSETS_DAYS = 30
_MINUTES_OF_DAY = 1_440
_OPEN_SECONDS = 30
_GIBIBYTE = 2**30
_LEAST_FREE = 0.1


def check_versions(admin: Any) -> Iterator[Finding]:
    """Check each broker's version, and that transactions are of the second kind."""
    for broker in admin.describe_cluster()["brokers"]:
        number = broker["broker_id"]
        version = tuple(admin.get_broker_version_data(number).broker_version)
        yield check_version(f"broker {number}, Kafka", version)
    finalized = admin.describe_features().get("transaction.version", {}).get("finalized", (0, 0))
    yield found(
        "cluster, transaction.version",
        finalized[1],
        "2",
        is_met=finalized[1] >= 2,  # noqa: PLR2004 - the version that KIP-890 completes
        level="warning",
        advice=(
            "A late request of a dead worker can leave a transaction hanging, which the next "
            "worker must abort: kafka-features.sh upgrade --feature transaction.version=2"
        ),
    )


def check_version(place: str, version: tuple[int, ...]) -> Finding:
    """Check one version: without KIP-447 (2.5) a zombie is not fenced by its group generation."""
    return found(
        place,
        ".".join(map(str, version)),
        "4.0 or newer",
        is_met=version >= _SAFE,
        level="error" if version < _NEEDED else "warning",
        advice=(
            "Upgrade Kafka: before 2.5 a worker that lost its partitions could still commit; "
            "before 4.0 a transaction can hang. Tollbook is tested with 4.3."
        ),
    )


def check_settings(admin: Any) -> Iterator[Finding]:
    """Check what brokers are told, on each of them."""
    numbers = [broker["broker_id"] for broker in admin.describe_cluster()["brokers"]]
    resources = [ConfigResource(ConfigResourceType.BROKER, str(number)) for number in numbers]
    described = admin.describe_configs(resources, config_filter="all")["broker"]
    for number in numbers:
        values = {key: config["value"] for key, config in described[str(number)].items()}
        yield from check_broker(f"broker {number}", values)


def check_broker(place: str, values: Mapping[str, str]) -> Iterator[Finding]:
    """Check one broker's settings."""

    def at_most(key: str, most: int, level: Level, why: str) -> Finding:
        value, advice = int(values[key]), f"{why}. Set {key}={most} on every broker."
        met = value <= most
        return found(
            f"{place}, {key}", value, f"{most} or less", is_met=met, level=level, advice=advice
        )

    def at_least(key: str, least: int, level: Level, why: str) -> Finding:
        value, advice = int(values[key]), f"{why}. Set {key}={least} on every broker."
        met = value >= least
        return found(
            f"{place}, {key}", value, f"{least} or more", is_met=met, level=level, advice=advice
        )

    yield at_least(
        "transaction.max.timeout.ms",
        TRANSACTION_TIMEOUT_MS,
        "error",
        "No worker could open a transaction",
    )
    yield at_most(
        "group.min.session.timeout.ms",
        SESSION_TIMEOUT_MS,
        "error",
        "No worker could join its group",
    )
    yield at_least(
        "group.max.session.timeout.ms",
        SESSION_TIMEOUT_MS,
        "error",
        "No worker could join its group",
    )
    yield at_most(
        _SCAN,
        int(BROKER_SETTINGS[_SCAN]),
        "warning",
        "A dead worker's transaction holds every reader back for longer",
    )
    yield at_least(
        "offsets.retention.minutes",
        _OFFSETS_DAYS * _MINUTES_OF_DAY,
        "warning",
        "A projector that is stopped for longer loses its position, and would publish twice",
    )
    yield found(
        f"{place}, auto.create.topics.enable",
        values["auto.create.topics.enable"],
        "false",
        is_met=values["auto.create.topics.enable"] == "false",
        level="warning",
        advice=(
            "A mistyped topic name becomes an empty topic that deletes by age. Set "
            "auto.create.topics.enable=false on every broker."
        ),
    )


def check_groups(
    admin: Any, settings: KafkaSettings, groups: Iterable[str] = GROUPS
) -> Iterator[Finding]:
    """Check that nobody in our groups hands partitions out in another way."""
    names = {f"{settings.prefix}{group}": group for group in groups}
    described = admin.describe_groups(list(names))
    if any(state["group_state"] == "Dead" for state in described.values()):
        kinds = {each["group_id"]: each["group_type"] for each in admin.list_groups()}
    else:
        kinds = {}
    for name, group in names.items():
        topics = {settings.topic(topic) for topic in GROUPS[group]}
        yield from check_group(name, described[name], kinds.get(name, "classic"), topics)


def check_group(
    name: str, state: Mapping[str, Any], kind: str, topics: set[str]
) -> Iterator[Finding]:
    """Check one group, as the broker describes it."""
    assignor = state["protocol_data"] or "range"
    others = f"Stop every other consumer of the group {name}"
    yield found(
        f"group {name}, assignor",
        assignor if kind == "classic" else f"{kind} protocol",
        "range",
        is_met=assignor == "range" and kind == "classic",
        level="error",
        advice=(
            f"Another assignor gives an account's topics to different workers. {others}: it is not "
            "a process of Tollbook, or one of another version."
        ),
    )
    for member in state["members"]:
        metadata = member["member_metadata"]
        read = set(metadata.get("topics", ())) if isinstance(metadata, Mapping) else set()
        yield found(
            f"group {name}, member {member['group_instance_id'] or member['member_id']}, topics",
            ", ".join(sorted(read)) or "not known",
            ", ".join(sorted(topics)),
            is_met=not read or read == topics,
            level="error",
            advice=f"Members must read the same topics to be given the same partitions. {others}.",
        )


def check_open_transactions(
    admin: Any, settings: KafkaSettings, now: float | None = None
) -> Iterator[Finding]:
    """Check that no transaction holds the readers of the journal back."""
    name, moment = settings.topic("journal"), time.time() if now is None else now
    journals = [
        kafka.TopicPartition(name, partition["partition_index"])
        for topic in admin.describe_topics([name])
        for partition in topic["partitions"]
    ]
    ages = [
        (partition.partition, moment - producer.last_timestamp / 1_000)
        for partition, state in (admin.describe_producers(journals) if journals else {}).items()
        for producer in state.active_producers
        if producer.current_transaction_start_offset >= 0
    ]
    old = sorted((number, age) for number, age in ages if age > _OPEN_SECONDS)
    yield found(
        f"topic {name}, transactions open for more than {_OPEN_SECONDS} s",
        ", ".join(f"partition {number} for {age:.0f} s" for number, age in old) or "none",
        "none",
        is_met=not old,
        level="warning",
        advice=(
            "Nobody can read past it. Start a worker: it ends what a dead one left open as it "
            "takes the partition over. If it stays: kafka-transactions.sh --find-hanging"
        ),
    )


def check_disks(log_dirs: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Check the brokers' disks, as far as they tell."""
    for broker in log_dirs:
        for folder in broker["log_dirs"]:
            place = f"broker {broker['broker']}, disk of {folder['log_dir']}"
            if folder["error_code"]:
                advice = "Kafka cannot use this disk: see the broker's own log."
                yield Finding("error", place, f"error {folder['error_code']}", "usable", advice)
            elif folder.get("usable_bytes", -1) >= 0:
                yield _disk(place, folder["usable_bytes"], folder["total_bytes"])


def _disk(place: str, free: int, total: int) -> Finding:
    return found(
        place,
        f"{free / _GIBIBYTE:.1f} GiB free",
        f"{_LEAST_FREE:.0%} free",
        is_met=free >= _LEAST_FREE * total,
        level="warning",
        advice=(
            "A broker without space stops. Make room: archive and prune what is archived, or give "
            "it a larger disk."
        ),
    )
