"""The charge record is written by hand for speed; the general writer says what is right."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.charge import charge_fields, charge_of, encode_charge
from engine.adapters.avro.primitives import long
from engine.adapters.avro.wire import encode
from schemas.loader import latest
from tests.properties.avro_values import values_of

CHARGES = latest("charge_event")


@given(values_of(CHARGES.declared))
def test_a_charge_is_written_as_the_general_writer_writes_it(fields: dict[str, Any]) -> None:
    charge = charge_of(fields)
    assert charge_fields(charge) == fields
    assert encode_charge(charge) == encode(CHARGES, fields)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_whole_number_is_written_as_the_general_writer_writes_it(number: int) -> None:
    commit = latest("journal_commit")
    fields = {
        "partition": 0,
        "commit": number,
        "previous": bytes(32),
        "positions": [],
        "tariffs_offset": 0,
        "counts": dict.fromkeys(
            (
                *("consumed", "charges", "pending", "duplicates", "rejections", "forwarded"),
                *("commands", "commands_rejected"),
            ),
            0,
        ),
        "records": [],
    }
    assert encode(commit, fields)[len(commit.header) + 1 :].startswith(long(number))
