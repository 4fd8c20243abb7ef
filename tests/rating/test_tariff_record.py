"""A tariff version on the wire: whatever a record holds, it is a sound version or refused."""

import json
from hashlib import sha256
from typing import Any

import pytest

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.tariff import decode_tariff, encode_tariff
from engine.adapters.avro.wire import encode
from engine.rating.command import AccountCommand, OpenAccount
from engine.rating.errors import TollbookError
from engine.rating.period import UTC_ZONE
from schemas.loader import latest
from tests.rating.scenario import ONE_DOLLAR_EACH, tariff

VERSION = tariff(ONE_DOLLAR_EACH)
OTHER = tariff(ONE_DOLLAR_EACH.replace('unit_price: "1"', 'unit_price: "2"'))


def record(**changes: Any) -> bytes:
    """Return a record of VERSION with some fields changed."""
    fields = {
        "tariff_id": VERSION.tariff_id,
        "version": VERSION.version,
        "digest": VERSION.digest,
        "document": VERSION.document,
        **changes,
    }
    return encode(latest("tariff_version"), fields)


def test_a_version_survives_the_wire() -> None:
    assert decode_tariff(encode_tariff(VERSION), "offset 1").document == VERSION.document
    assert record() == encode_tariff(VERSION)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xc3\x01" + bytes(20),
        encode_tariff(VERSION)[:-1],
        encode_tariff(VERSION) + b"\0",
        encode_command(AccountCommand("c", "acme", "", OpenAccount("USD", UTC_ZONE))),
    ],
)
def test_bytes_that_are_no_tariff_version_are_refused(data: bytes) -> None:
    with pytest.raises(TollbookError):
        decode_tariff(data, "offset 1")


@pytest.mark.parametrize(
    "document",
    ["", "{", "[]", "null", "tariff_id: plan", "[" * 100_000, "{}", OTHER.document],
)
def test_a_record_whose_document_is_not_the_digests_is_refused(document: str) -> None:
    """Everything that reads the topic relies on TollbookError to skip an unsound record."""
    with pytest.raises(TollbookError):
        decode_tariff(record(document=document), "offset 1")


@pytest.mark.parametrize("changes", [{"tariff_id": "other"}, {"version": 2}])
def test_a_record_that_names_another_version_than_its_document_is_refused(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(TollbookError):
        decode_tariff(record(**changes), "offset 1")


def test_a_document_that_is_not_in_canonical_form_is_refused() -> None:
    """The digest is promised to be the SHA-256 of the document, so that anyone can check it."""
    document = json.dumps(json.loads(VERSION.document), indent=1)
    assert sha256(document.encode()).digest() != VERSION.digest
    with pytest.raises(TollbookError):
        decode_tariff(record(document=document), "offset 1")


def test_a_document_that_names_a_field_twice_is_refused() -> None:
    document = VERSION.document.replace('"version":1', '"version":2,"version":1')
    with pytest.raises(TollbookError):
        decode_tariff(record(document=document), "offset 1")
