"""Failures of the client, as the ports name them.

What Kafka calls retriable is a broker that is away or on its way back: LogUnavailable. Everything
else is for a person to read.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import FencedInstanceIdError, KafkaError, OffsetOutOfRangeError

from engine.ports import LogPruned, LogUnavailable
from engine.rating.errors import InvalidDocument


@contextmanager
def named_failures(what: str) -> Iterator[None]:
    """Raise LogUnavailable, LogPruned or InvalidDocument in place of the client's errors."""
    try:
        yield
    except OffsetOutOfRangeError as error:
        raise LogPruned(
            f"{what}: {error}: these records were deleted from Kafka; the archive has them "
            "(TOLLBOOK_ARCHIVE)"
        ) from error
    except FencedInstanceIdError as error:
        raise InvalidDocument(what, "a slot that another process uses", "one of its own") from error
    except KafkaError as error:
        if not error.retriable:
            raise
        raise LogUnavailable(f"{what}: {type(error).__name__}: {error}") from error
