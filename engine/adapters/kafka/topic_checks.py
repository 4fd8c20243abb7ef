"""Checking topics: there, of one partition count, and with the settings that keep data.

Kafka takes every setting that loses data without a word: a retention that deletes evidence, a
leader elected from behind, a journal that cannot take a commit. What is checked is the effective
value, so a default of the broker counts as much as a setting of the topic.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType

from engine.adapters.kafka.findings import Finding, Level, found
from engine.adapters.kafka.topics import CONFIGS
from engine.settings import KafkaSettings

INPUTS_AND_JOURNAL = ("usage", "usage-forwarded", "accounts", "tariffs", "journal")
"""What a worker reads and writes: evidence, which nothing can derive again."""
SINGLE = ("tariffs",)
_INTERNAL = ("__consumer_offsets", "__transaction_state")
_MANY_COPIES = 3


class Topic(NamedTuple):
    """A topic as the cluster has it. `configs`: effective values by name."""

    name: str
    partitions: Sequence[Mapping[str, Any]]
    configs: Mapping[str, str]

    @property
    def copies(self) -> int:
        """The least number of copies of a partition."""
        return min(len(partition["replica_nodes"]) for partition in self.partitions)


def describe(admin: Any, names: Sequence[str]) -> dict[str, Topic]:
    """Return those of the topics that exist."""
    present = {
        topic["name"]: topic["partitions"]
        for topic in sorted(
            admin.describe_topics(list(names)), key=lambda found: names.index(found["name"])
        )
        if topic["partitions"]
    }
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in present]
    described = admin.describe_configs(resources, config_filter="all") if resources else {}
    return {
        name: Topic(
            name,
            partitions,
            {key: config["value"] for key, config in described["topic"][name].items()},
        )
        for name, partitions in present.items()
    }


def check_topics(admin: Any, settings: KafkaSettings, names: Sequence[str]) -> list[Finding]:
    """Check these topics (bare names), and Kafka's own topics that transactions stand on."""
    real = {settings.topic(name): name for name in names}
    topics = describe(admin, [*dict.fromkeys([settings.topic("journal"), *real]), *_INTERNAL])
    ours = [topic for name, topic in topics.items() if name not in _INTERNAL]
    findings: list[Finding] = []
    for real_name, name in real.items():
        if real_name in topics:
            count = 1 if name in SINGLE else _reference(ours, settings)
            findings += check_topic(name, topics[real_name], count)
        else:
            findings.append(_missing(real_name))
    if ours:
        copies = min(topic.copies for topic in ours)
        findings.append(_single_copies([topic.name for topic in ours if topic.copies == 1]))
        findings += check_internal([topics[name] for name in _INTERNAL if name in topics], copies)
    return findings


def _reference(topics: Sequence[Topic], settings: KafkaSettings) -> int:
    """Return the deployment's partition count: the journal's, or else that of any topic there."""
    single = {settings.topic(name) for name in SINGLE}
    return next((len(topic.partitions) for topic in topics if topic.name not in single), 0)


def _single_copies(names: Sequence[str]) -> Finding:
    return found(
        "topics with a single copy of each record",
        ", ".join(sorted(names)) or "none",
        "none",
        is_met=not names,
        level="warning",
        advice=(
            "Good for a trial only: one lost disk loses records. For production, create the topics "
            "on three brokers with tollbook topics create --replication 3."
        ),
    )


def _missing(name: str) -> Finding:
    advice = (
        "Run tollbook topics create with the partition count of the other topics; if there are "
        "others, check TOLLBOOK_PREFIX first."
    )
    return Finding("error", f"topic {name}", "none", "a topic", advice)


def check_topic(name: str, topic: Topic, partitions: int) -> Iterator[Finding]:
    """Check one topic; `name` is the bare one."""
    yield _partition_count(topic, partitions)
    yield from _leaders(topic)
    yield from _copies(topic)
    for key, expected in CONFIGS[name].items():
        yield _config(name, topic, key, expected)
    yield _setting(
        topic,
        "unclean.leader.election.enable",
        "false",
        "error",
        "a leader that lags behind may be elected, and acknowledged records are lost",
    )


def _partition_count(topic: Topic, partitions: int) -> Finding:
    count = len(topic.partitions)
    return found(
        f"topic {topic.name}, partitions",
        count,
        str(partitions),
        is_met=count == partitions,
        level="error",
        advice=(
            "Partition counts are fixed for life, because an account's records meet in one "
            "partition number across topics. Never add partitions; make a new deployment with "
            "another TOLLBOOK_PREFIX, or create this topic again if it is still empty."
        ),
    )


def _leaders(topic: Topic) -> Iterator[Finding]:
    least = int(topic.configs.get("min.insync.replicas", "1"))
    without = [p["partition_index"] for p in topic.partitions if p["leader_id"] < 0]
    behind = [p["partition_index"] for p in topic.partitions if len(p["isr_nodes"]) < least]
    if without:
        advice = "Start the brokers that hold these partitions; nothing is lost meanwhile."
        place = f"topic {topic.name}, partitions without a leader"
        yield Finding("warning", place, _listed(without), "none", advice)
    elif behind:
        advice = "Start the brokers that hold the other copies: writes wait until then."
        place = f"topic {topic.name}, partitions with too few copies in sync"
        yield Finding("warning", place, _listed(behind), "none", advice)


def _copies(topic: Topic) -> Iterator[Finding]:
    copies = topic.copies
    least = int(topic.configs.get("min.insync.replicas", "1"))
    if least > copies:
        yield _setting(
            topic,
            "min.insync.replicas",
            str(max(1, copies - 1)),
            "error",
            "no record is ever taken",
        )
    elif copies >= _MANY_COPIES:
        yield found(
            f"topic {topic.name}, min.insync.replicas",
            least,
            f"2 to {copies - 1}",
            is_met=1 < least < copies,
            level="error" if least == 1 else "warning",
            advice=_alter(
                topic.name,
                "min.insync.replicas",
                "2",
                "a record is acknowledged with a single copy, and lost with its disk"
                if least == 1
                else "one broker that stops keeps every record from being taken",
            ),
        )


_LOSSES = {
    "retention.ms": "records are deleted by age, whether archived or not",
    "retention.bytes": "records are deleted by size, whether archived or not",
    "cleanup.policy": "records are deleted that nothing can replace",
    "message.timestamp.type": "the time of receipt would be whatever the sender says",
    "max.message.bytes": "what the engine writes may not fit, and it could never go on",
}


def _config(name: str, topic: Topic, key: str, expected: str) -> Finding:
    level: Level = "error" if name in INPUTS_AND_JOURNAL else "warning"
    if key != "max.message.bytes":
        loss = _LOSSES[key] if level == "error" else "the topic differs from what readers expect"
        return _setting(topic, key, expected, level, loss)
    value, wanted = int(topic.configs[key]), int(expected)
    if name in ("usage", "accounts"):
        loss = "the largest record is part of the contract with those who send"
        return _setting(topic, key, expected, "warning", loss)
    return found(
        f"topic {topic.name}, {key}",
        value,
        f"{wanted} or more",
        is_met=value >= wanted,
        level="error",
        advice=_alter(topic.name, key, expected, _LOSSES[key]),
    )


def _setting(topic: Topic, key: str, expected: str, level: Level, loss: str) -> Finding:
    value = topic.configs.get(key, "not known")
    return found(
        f"topic {topic.name}, {key}",
        value,
        expected,
        is_met=value == expected,
        level=level,
        advice=_alter(topic.name, key, expected, loss),
    )


def _alter(name: str, key: str, value: str, loss: str) -> str:
    return (
        f"As it is, {loss}. Run kafka-configs.sh --alter --entity-type topics --entity-name {name} "
        f"--add-config {key}={value}"
    )


def check_internal(topics: Iterable[Topic], copies: int) -> Iterator[Finding]:
    """Check Kafka's own topics: a transaction is no safer than they are."""
    for topic in topics:
        yield found(
            f"topic {topic.name}, copies",
            topic.copies,
            f"{copies} or more",
            is_met=topic.copies >= copies,
            level="warning",
            advice=(
                "Transactions and positions have fewer copies than the journal: raise them with "
                "kafka-reassign-partitions.sh."
            ),
        )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
