"""The settings that come from the environment."""

import pytest

from engine.rating.errors import InvalidDocument
from engine.settings import kafka_settings


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("kafka:9092", "kafka:9092"),
        ("kafka", "kafka"),
        ("[::1]:9092", "[::1]:9092"),
        ("one:9092, two:9092", "one:9092,two:9092"),
    ],
)
def test_addresses_of_brokers_are_taken(written: str, address: str) -> None:
    assert kafka_settings(environment={"TOLLBOOK_BOOTSTRAP": written}).bootstrap == address
    assert kafka_settings(written, {"TOLLBOOK_BOOTSTRAP": "other:1"}).bootstrap == address


@pytest.mark.parametrize(
    "written",
    ["", ":::", "kafka:port", "kafka:123456", "a b:9092", "one:9092,", "http://kafka:9092"],
)
def test_what_is_no_address_of_a_broker_is_refused(written: str) -> None:
    with pytest.raises(InvalidDocument, match="expected host:port of a Kafka broker"):
        kafka_settings(environment={"TOLLBOOK_BOOTSTRAP": written})
