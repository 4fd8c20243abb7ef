"""An event written field by field is what the general writer writes."""

import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.usage import Fields, decode_usage, encode_usage, encode_usage_batch
from engine.adapters.avro.wire import Decoded, decode, from_decimal
from engine.adapters.documents.usage import parse_usage
from engine.gateway.encoding import (
    account_of,
    encode_end,
    encode_start,
    frame_batch,
    version_of,
)
from engine.gateway.packing import pack
from engine.gateway.segment import Spooled
from engine.gateway.spool import Spool
from engine.rating.errors import Refusal
from engine.rating.usage import ACTIONS, INITIATORS, KINDS, MONEY_KINDS
from schemas.loader import by_fingerprint
from tests.gateway.events import event

LEFT_BEHIND = Path(__file__).parent.parent / "data" / "gateway" / "spool_of_version_1"
"""A spool as the program left it that knew only version 1, and the events that it holds."""
CACHED_AUDIO = {"input": 1, "audio_cache_read": 2}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
quantities = st.dictionaries(
    st.sampled_from([kind for kind in KINDS if kind not in MONEY_KINDS]),
    st.integers(-(2**63), 2**63 - 1),
)
events = st.builds(
    event,
    texts,
    texts,
    source=texts,
    subject=texts,
    region=texts,
    trace_id=texts,
    parent_event_id=texts,
    corrects=texts,
    operation=texts,
    service_tier=texts,
    initiator=st.sampled_from(INITIATORS),
    action=st.sampled_from(ACTIONS),
    attributes=st.dictionaries(texts, texts, max_size=3),
    quantities=quantities,
)


@given(st.lists(events, min_size=1, max_size=3), texts, st.integers(1, 2**63 - 1))
def test_events_are_the_bytes_that_the_general_writer_writes(
    natives: list[dict[str, Any]], publisher: str, sequence: int
) -> None:
    end = {"publisher": publisher, "publisher_sequence": sequence}
    fields = [{**parsed(native), **end} for native in natives]
    encoded = [encode_start(each) + encode_end(publisher, sequence) for each in fields]
    assert [account_of(each).decode() for each in encoded] == [f["account_id"] for f in fields]
    for each, alone in zip(fields, encoded, strict=True):
        assert frame_batch([alone]) == encode_usage_batch([each])
        assert decode_usage(frame_batch([alone])) == [each]
    for version in (1, 2):
        alike = [n for n, each in enumerate(encoded) if version_of(each) == version]
        if alike:
            batch = frame_batch([encoded[n] for n in alike])
            assert batch == encode_usage_batch([fields[n] for n in alike])


@given(st.lists(events, min_size=1, max_size=4))
def test_a_record_is_decoded_as_the_general_reader_does(natives: list[dict[str, Any]]) -> None:
    fields = [parsed(native) for native in natives]
    for data in (encode_usage_batch(fields), encode_usage(fields[0])):
        general = decode(data)
        assert isinstance(general, Decoded)
        read = general.fields.get("events", [general.fields])
        for each in read:
            each["quantities"]["pass_through_cost"] = from_decimal(
                each["quantities"]["pass_through_cost"]
            )
        assert decode_usage(data) == read == fields[: len(read)]


def parsed(native: dict[str, Any]) -> Fields:
    fields = parse_usage({"source": "gateway-1", **native})
    assert not isinstance(fields, Refusal)
    return fields


def version_of_record(data: bytes) -> int:
    schema = by_fingerprint(data[:10])
    assert schema is not None
    return schema.version


def test_an_event_is_written_in_the_first_version_that_can_say_it() -> None:
    plain, newer = parsed(event("e1")), parsed(event("e2", quantities=CACHED_AUDIO))
    for fields, version in (([plain], 1), ([newer], 2), ([plain, newer], 2)):
        assert version_of_record(encode_usage_batch(fields)) == version
        assert version_of_record(encode_usage(fields[-1])) == version
        assert decode_usage(encode_usage_batch(fields)) == fields


def test_a_record_holds_events_of_one_version_and_their_order_stands() -> None:
    said = [{"input": 1}, {"input": 2}, CACHED_AUDIO, CACHED_AUDIO, {"input": 3}]
    spooled = [
        Spooled(n, 7, encode_start(parsed(event(f"e{n}", quantities=each))) + encode_end("p", n))
        for n, each in enumerate(said, start=1)
    ]
    records = list(pack(spooled, 1))
    assert [version_of_record(record.value) for record in records] == [1, 2, 1]
    assert {record.key for record in records} == {b"acme"}
    arrived = [fields for record in records for fields in decoded(record.value)]
    assert [fields["publisher_sequence"] for fields in arrived] == [1, 2, 3, 4, 5]
    assert [fields["quantities"]["audio_cache_read"] for fields in arrived] == [0, 0, 2, 2, 0]


def decoded(data: bytes) -> list[Fields]:
    fields = decode_usage(data)
    assert not isinstance(fields, Refusal), fields
    return fields


def test_a_spool_that_an_earlier_program_left_is_sent_as_what_it_holds(tmp_path: Path) -> None:
    shutil.copytree(LEFT_BEHIND, tmp_path / "spool")
    spool = Spool(tmp_path / "spool", "gateway", max_bytes=32_768, segment_bytes=4_096)
    said = json.loads((LEFT_BEHIND / "events.json").read_text())
    newer = event("e4", quantities=CACHED_AUDIO)
    spool.append(7, encode_start(parsed(newer)))
    spool.sync()
    window = spool.read(1_000_000)
    assert window is not None
    records = list(pack(window.events, 3))
    spool.close()
    arrived = [fields for record in records for fields in decoded(record.value)]
    publisher = (LEFT_BEHIND / "publisher").read_text().strip()
    assert arrived == [
        {**parsed(native), "publisher": publisher, "publisher_sequence": number}
        for number, native in enumerate([*said, newer], start=1)
    ]
    assert [version_of_record(record.value) for record in records] == [1, 2]


def test_money_is_written_exactly() -> None:
    native = event("e1", source="gateway-1", quantities={"pass_through_cost": "0.012500000001"})
    fields = parsed(native)
    assert frame_batch([encode_start(fields) + encode_end("", 0)]) == encode_usage_batch([fields])
