"""The administrative client, opened for a moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.admin import KafkaAdminClient

from engine.settings import KafkaSettings


@contextmanager
def opened_admin(settings: KafkaSettings) -> Iterator[Any]:
    """Open an administrative client, and close it."""
    options = {key: value for key, value in settings.client().items() if key != "metrics_enabled"}
    client = KafkaAdminClient(**options)
    try:
        yield client
    finally:
        client.close()
