"""Who is behind a port: asked with a real Kafka request, not guessed from an open socket.

Any program can listen on a port. Only the broker that runs on the data we formatted knows that
data's cluster id, so the answer to "which cluster are you?" settles it.
"""

import socket
from contextlib import closing

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

_CONNECT_TIMEOUT_SECONDS = 1.0
_ANSWER_TIMEOUT_MILLISECONDS = 3_000


def cluster_id_at(bootstrap: str) -> str | None:
    """Return the cluster id of the broker that answers at `bootstrap` (host:port) and is ready.

    None if nothing listens, nothing answers, or the broker is not ready to lead partitions.
    """
    host, port = bootstrap.rsplit(":", 1)
    try:
        # First the cheap question: the Kafka client is slow, and talkative, about closed ports.
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_SECONDS).close()
        with closing(
            KafkaAdminClient(
                bootstrap_servers=bootstrap,
                bootstrap_timeout_ms=_ANSWER_TIMEOUT_MILLISECONDS,
                request_timeout_ms=_ANSWER_TIMEOUT_MILLISECONDS,
            )
        ) as client:
            cluster = client.describe_cluster()
    except (OSError, KafkaError):
        return None
    ready = any(not broker["is_fenced"] for broker in cluster["brokers"])
    return str(cluster["cluster_id"]) if ready else None
