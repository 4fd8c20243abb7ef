"""Which partition an account lives in: Kafka's own murmur2 of the account id."""

from functools import lru_cache

from kafka.partitioner.default import murmur2

_POSITIVE = 0x7FFFFFFF


@lru_cache(maxsize=262_144)
def account_hash(account_id: str) -> int:
    """Return what Java's default partitioner takes modulo the number of partitions."""
    return int(murmur2(account_id.encode()) & _POSITIVE)


def partition_of(account_id: str, partitions: int) -> int:
    """Return the partition of an account among `partitions`, as Java's default partitioner does."""
    return account_hash(account_id) % partitions
