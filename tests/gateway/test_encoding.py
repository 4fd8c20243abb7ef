"""An event written field by field is what the general writer writes."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.usage import decode_usage, encode_usage_batch
from engine.adapters.documents.usage import parse_usage
from engine.gateway.encoding import account_of, encode_end, encode_start, frame_batch
from engine.rating.errors import Refusal
from engine.rating.usage import ACTIONS, INITIATORS, KINDS, MONEY_KINDS
from tests.gateway.events import event

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
    fields = []
    for native in natives:
        parsed = parse_usage(native)
        assert not isinstance(parsed, Refusal)
        fields.append({**parsed, "publisher": publisher, "publisher_sequence": sequence})
    encoded = [encode_start(each) + encode_end(publisher, sequence) for each in fields]
    assert frame_batch(encoded) == encode_usage_batch(fields)
    assert decode_usage(frame_batch(encoded)) == fields
    assert [account_of(each).decode() for each in encoded] == [f["account_id"] for f in fields]


def test_money_is_written_exactly() -> None:
    native = event("e1", source="gateway-1", quantities={"pass_through_cost": "0.012500000001"})
    fields = parse_usage(native)
    assert not isinstance(fields, Refusal)
    assert frame_batch([encode_start(fields) + encode_end("", 0)]) == encode_usage_batch([fields])
