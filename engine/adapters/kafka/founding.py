"""Founding a deployment: its topics, and the rules it starts with.

A deployment begins with the latest rules; later ones count once a record in `tariffs` adopts them.
"""

from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.kafka.topics import CreatedTopic, create_topics
from engine.adapters.tariff_log import TARIFFS
from engine.rating.authority import OPEN
from engine.rating.rules import LATEST_REVISION
from engine.settings import KafkaSettings


def found_deployment(
    settings: KafkaSettings, partitions: int, replication: int = 1, *, to_any_source: bool = False
) -> list[CreatedTopic]:
    """Create what is missing; return all topics. A deployment that stands is not changed.

    `to_any_source` opens a new one: for demos and tests.
    """
    topics = create_topics(settings, partitions, replication)
    log = KafkaLog(settings)
    try:
        is_new = log.ends([TARIFFS])[TARIFFS] == 0
    finally:
        log.close()
    if is_new:
        with KafkaPublisher(settings) as publisher:
            publisher.rules(LATEST_REVISION)
            if to_any_source:
                publisher.source(OPEN)
    return topics
