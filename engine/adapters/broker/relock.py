"""How `jar_lock.py` is made: resolve Kafka once, by its coordinates, and pin what came out.

A broker that resolved its dependencies anew on each machine would be a slightly different broker
on each machine, and would trust whatever it was served. So resolution (walking some hundred POM
files, as Maven does) happens here, when Kafka's version is changed; everybody else fetches exactly
the jars of the lock and checks their digests.

To change the version: edit KAFKA_VERSION in `jar_lock.py`, then

    python -m engine.adapters.broker.relock > lock.py && mv lock.py engine/adapters/broker/jar_lock.py
"""

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from engine.adapters.broker.jar_lock import KAFKA_VERSION
from engine.adapters.broker.jars import maven_context

HEADER = '''"""The exact jars of Kafka: coordinates (group:artifact:version) and SHA-256 of each file.

Written by `relock.py`, never by hand, KAFKA_VERSION apart. Pinning the digests makes every
machine's broker the same one, and makes a jar that was tampered with or cut short an error
instead of a mystery.
"""

# The one place that names Kafka's version; compose.yaml is held to it by a test.
KAFKA_VERSION = "{version}"

# fmt: off
JARS = {{
'''
FOOTER = """}
# fmt: on
"""


def resolve() -> list[Any]:
    """Resolve Kafka and what its log needs to become a file: jgo artifacts, sorted by coordinates.

    Kafka brings log4j-core, but not the binding from slf4j (through which it logs) to log4j.
    """
    context = maven_context(Path(tempfile.mkdtemp(prefix="tollbook-relock-")))
    kafka = context.create_dependency(f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}:::compile")
    inputs, transitive = context.resolver.resolve([kafka])
    found = [each.artifact for each in (*inputs, *transitive) if each.scope != "provided"]
    log4j_version = next(each.version for each in found if each.artifactId == "log4j-core")
    binding = context.project("org.apache.logging.log4j", "log4j-slf4j-impl")
    found.append(binding.at_version(log4j_version).artifact())
    return sorted(found, key=_coordinates)


def _coordinates(artifact: Any) -> str:
    return f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"


def write_lock() -> None:
    """Write the text of a new `jar_lock.py` to stdout."""
    sys.stdout.write(HEADER.format(version=KAFKA_VERSION))
    for artifact in resolve():
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        sys.stdout.write(f'    "{_coordinates(artifact)}":\n        "{digest}",\n')
    sys.stdout.write(FOOTER)


if __name__ == "__main__":
    write_lock()
