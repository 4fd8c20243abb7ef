"""Every test of the contract runs on each adapter."""

from collections.abc import Iterator

import pytest

from tests.ports.adapters import Adapters, in_memory, on_kafka


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def adapters(request: pytest.FixtureRequest) -> Iterator[Adapters]:
    """Yield the adapters of one kind."""
    if request.param == "memory":
        yield from in_memory()
        return
    bootstrap, prefix = map(request.getfixturevalue, ("kafka_bootstrap", "topic_prefix"))
    yield from on_kafka(bootstrap, prefix)
