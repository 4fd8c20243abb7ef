"""A broker in a container, for whoever has Docker: nothing to install, gone when done.

testcontainers knows how to start Confluent's Kafka image; our settings travel as environment
variables, so that a test means the same here as on a local broker.
"""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from engine.adapters.broker.configuration import container_environment
from engine.adapters.broker.errors import BrokerDidNotStart, ExtraNotInstalled
from engine.adapters.broker.optional import optional

# Confluent Platform 8.3 carries Apache Kafka 4.3. testcontainers drives Confluent's images only.
KAFKA_IMAGE = "confluentinc/cp-kafka:8.3.2"
_DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"
_PING_TIMEOUT_SECONDS = 2
_START_TIMEOUT_SECONDS = 120  # the image may have to be pulled


def container_is_possible() -> bool:
    """Return whether testcontainers is installed and a Docker daemon answers, asked cheaply."""
    try:
        testcontainers = optional("testcontainers.core.docker_client", "test")
        docker_error = optional("docker.errors", "test").DockerException
    except ExtraNotInstalled:
        return False
    # testcontainers' own idea of where the daemon is, and its own client to ask.
    if not _may_listen(testcontainers.get_docker_host() or _DEFAULT_DOCKER_HOST):
        return False
    try:
        client = testcontainers.DockerClient(timeout=_PING_TIMEOUT_SECONDS).client
    except docker_error:  # what docker makes of a failed connection
        return False
    with closing(client):
        return bool(client.ping())


def _may_listen(docker_host: str) -> bool:
    """Return False if this is a local socket that nobody listens on.

    The usual case on a machine without Docker, and docker's client leaks a socket in it.
    """
    scheme, _, path = docker_host.partition("://")
    if scheme != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@contextmanager
def container_broker() -> Iterator[str]:
    """Run a broker in a container for the length of the block; yield its bootstrap address.

    Raises `ExtraNotInstalled`, `BrokerDidNotStart`.
    """
    with _failures_named():
        container = optional("testcontainers.community.kafka", "test").KafkaContainer(KAFKA_IMAGE)
    container.with_kraft()
    for name, value in container_environment().items():
        container.with_env(name, value)
    try:
        with _failures_named():
            container.start(timeout=_START_TIMEOUT_SECONDS)
        yield str(container.get_bootstrap_server())
    finally:
        container.stop()


@contextmanager
def _failures_named() -> Iterator[None]:
    docker_error = optional("docker.errors", "test").DockerException
    try:
        yield
    except (docker_error, RuntimeError, TimeoutError) as error:  # testcontainers' own: the last two
        raise BrokerDidNotStart(f"the container of {KAFKA_IMAGE}", str(error)) from error
