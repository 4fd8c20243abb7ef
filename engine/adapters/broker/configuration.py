"""What every Tollbook broker is told: one table, written as properties or as environment.

The table is the broker's half of the commit protocol (docs: the settings table there). Each entry
either keeps the protocol safe or keeps a one-node broker quick; defaults of Kafka that are right
already are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
SIXTEEN_MEGABYTES = 16 * 1024 * 1024
NODE_ID = 1

BROKER_SETTINGS: Mapping[str, str] = {
    # A dead worker's transaction blocks every read_committed reader until this scan ends it.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # A journal_commit may be large; a topic's own max.message.bytes narrows it where it should.
    "message.max.bytes": str(SIXTEEN_MEGABYTES),
    "replica.fetch.max.bytes": str(SIXTEEN_MEGABYTES),
    # A mistyped topic name is to be an error, not an empty topic with the wrong settings.
    "auto.create.topics.enable": "false",
    # A projector that was away must find its position again, or it would publish twice.
    "offsets.retention.minutes": "525600",
    # Nothing is pruned before the archive holds it.
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    "min.insync.replicas": "1",
    # One node: the internal topics can have one replica only, and few partitions start faster.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Nobody else is going to join: do not wait for them.
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker is let back in as soon as its old session ends: 9 seconds by default.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}

# Own log file of each run; the previous ones are kept for whoever studies a crash.
LOG4J_PROPERTIES = """\
status = error
shutdownHook = disable
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:tollbook.log}.log
appender.file.filePattern = ${sys:tollbook.log}.%i.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{ISO8601} %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.start.type = OnStartupTriggeringPolicy
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 5
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


@dataclass(frozen=True, slots=True)
class Listeners:
    """The two loopback ports of a combined node: one for clients, one for its own controller."""

    client_port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        """The address that clients are given: host:port."""
        return f"{LOOPBACK}:{self.client_port}"


def server_properties(listeners: Listeners, data_folder: Path) -> str:
    """Return the text of a server.properties for one combined controller and broker.

    The controller is named as a static voter, which (unlike a dynamic quorum) does not store its
    port in the data, so a restart may choose another one.
    """
    client = f"PLAINTEXT://{listeners.bootstrap}"
    controller = f"{LOOPBACK}:{listeners.controller_port}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(NODE_ID),
        "controller.quorum.voters": f"{NODE_ID}@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": f"{client},CONTROLLER://{controller}",
        "advertised.listeners": client,
        "log.dirs": str(data_folder),
        **BROKER_SETTINGS,
    }
    return "".join(f"{name}={_escaped(value)}\n" for name, value in settings.items())


def container_environment() -> dict[str, str]:
    """Return the table in the form that Kafka's container images read: KAFKA_LOG_RETENTION_MS."""
    return {
        f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in BROKER_SETTINGS.items()
    }


def _escaped(value: str) -> str:
    """Escape for Java properties, which are Latin-1: a home folder may have any name."""
    return "".join(_escaped_character(character) for character in value.replace("\\", "\\\\"))


def _escaped_character(character: str) -> str:
    if character.isascii():
        return character
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
