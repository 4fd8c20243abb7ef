"""Write records in one transaction and read back what is committed: the least a broker must do."""

import time
from contextlib import closing

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

WAIT_SECONDS = 30


def create_topic(bootstrap: str, topic: str) -> None:
    """Create `topic` with one partition."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])


def write_in_one_transaction(bootstrap: str, topic: str, values: list[bytes]) -> None:
    """Write `values` to `topic` and commit."""
    with closing(
        KafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"writer-of-{topic}")
    ) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        sent = [producer.send(topic, value) for value in values]
        producer.flush(timeout=WAIT_SECONDS)
        for each in sent:
            each.get(timeout=WAIT_SECONDS)
        producer.commit_transaction()


def read_committed(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Return the values of the first `count` committed records of `topic`, or what there is of it.

    An acknowledged commit may become visible a moment later, above all after a crash: hence the
    waiting for `count`.
    """
    partition = TopicPartition(topic, 0)
    values: list[bytes] = []
    with closing(
        KafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
    ) as consumer:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        deadline = time.monotonic() + WAIT_SECONDS
        while len(values) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                values.extend(record.value for record in records)
    return values
