"""Every record of every stream: to bytes and back, and into the JSON that its schema describes."""

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.adapters.avro.views import balance_fields
from engine.adapters.avro.wire import HEADER_SIZE, Decoded, decode, encode, from_decimal, to_decimal
from engine.rating.balance import Balance
from engine.rating.errors import Refusal
from engine.rating.money import LIMIT_PICO, format_pico
from schemas import NAMES, by_fingerprint, json_schema, latest, to_json
from tests.properties.avro_values import values_of
from tests.rating.scenario import at

values = cache(lambda name: values_of(latest(name).declared))


@cache
def validator(name: str) -> Draft202012Validator:
    schema = json_schema(latest(name).declared)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_record_survives_its_encoding(name: str, data: st.DataObject) -> None:
    record = data.draw(values(name))
    encoded = encode(latest(name), record)
    assert decode(encoded) == Decoded(name, record)
    assert encode(latest(name), record) == encoded


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_the_json_form_of_a_record_is_what_its_schema_describes(
    name: str, data: st.DataObject
) -> None:
    record = to_json(latest(name).declared, data.draw(values(name)))
    assert json.loads(json.dumps(record)) == record
    validator(name).validate(record)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_record_that_was_cut_or_lengthened_is_refused(name: str, data: st.DataObject) -> None:
    encoded = encode(latest(name), data.draw(values(name)))
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    assert isinstance(decode(cut), Refusal)
    assert isinstance(decode(encoded + b"\0"), Refusal)


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(max_size=60))
def test_bytes_behind_a_known_header_are_decoded_or_refused(name: str, body: bytes) -> None:
    decoded = decode(latest(name).header + body)
    assert isinstance(decoded, Decoded | Refusal)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    assert isinstance(decode(data), Refusal)


def test_every_schema_has_a_fingerprint_of_its_own() -> None:
    headers = {latest(name).header for name in NAMES}
    assert len(headers) == len(NAMES)
    for name in NAMES:
        assert by_fingerprint(latest(name).header) is latest(name)
        assert len(latest(name).header) == HEADER_SIZE


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_record"),
        (b"\0\0\0\0\1", "confluent_framing"),
        (b"{}", "unrecognised_format"),
        (b"\xc3\x01", "unknown_schema"),
        (b"\xc3\x01" + bytes(8), "unknown_schema"),
    ],
)
def test_a_frame_that_is_not_ours_is_refused_by_name(data: bytes, code: str) -> None:
    decoded = decode(data)
    assert isinstance(decoded, Refusal)
    assert decoded.code == code


@given(st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1))
def test_an_amount_survives_as_a_decimal_of_16_bytes_at_most(pico: int) -> None:
    assert from_decimal(to_decimal(pico)) == pico
    assert len(to_decimal(pico)) <= 16


@pytest.mark.parametrize(
    ("pico", "data"),
    [
        (0, b"\0"),
        (-1, b"\xff"),
        (127, b"\x7f"),
        (128, b"\0\x80"),
        (-129, b"\xff\x7f"),
        (256, b"\x01\0"),
    ],
)
def test_a_decimal_is_big_endian_twos_complement(pico: int, data: bytes) -> None:
    assert to_decimal(pico) == data
    assert from_decimal(data) == pico


def test_a_decimal_that_another_writer_padded_has_the_same_value() -> None:
    assert from_decimal(b"\0\0\x05") == from_decimal(b"\x05") == 5
    assert from_decimal(b"\xff\xff\xfb") == from_decimal(b"\xfb") == -5
    assert from_decimal(b"") == 0


@given(st.integers(1 - LIMIT_PICO, LIMIT_PICO - 1))
def test_the_json_form_writes_an_amount_as_the_engine_does(pico: int) -> None:
    period = {"period": "2026-11", "amount": to_decimal(pico), "charges": 1}
    balance = _balance(at("2026-11-02T00:00:00Z"), [period])
    expected = format_pico(pico)
    assert to_json(latest("balance").declared, balance)["periods"][0]["amount"] == expected


@pytest.mark.parametrize(
    "moment", [-(2**63), 2**63 - 1, at("9999-12-31T23:59:59Z") + 10**6, -(10**17)]
)
def test_a_time_beyond_the_calendar_still_has_a_json_form(moment: int) -> None:
    """A long holds more than a calendar: one odd record must not stop who writes JSON."""
    record = to_json(latest("balance").declared, _balance(moment, []))
    validator("balance").validate(json.loads(json.dumps(record)))


def test_a_time_before_the_year_1000_is_rfc_3339_in_the_json_form() -> None:
    record = to_json(latest("balance").declared, _balance(at("0999-03-01T00:00:00Z"), []))
    assert record["as_of"] == "0999-03-01T00:00:00.000000Z"


def test_fields_that_hold_their_default_are_left_out_of_the_json_form() -> None:
    record = to_json(latest("balance").declared, _balance(0, []))
    assert "tariff_id" not in record
    assert record["due"] == "0"  # a field without a default always stands


def _balance(as_of: int, periods: list[Any]) -> dict[str, Any]:
    balance = Balance("acme", 1, "USD", "UTC", "", 0, (), 0, 0, as_of)
    return {**balance_fields(balance), "periods": periods}
