"""For any record: events that the engine takes, or Unusable; and no token is lost or made up."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.documents.usage import parse_usage
from engine.gateway.normalise import FORMATS, Unusable, normalise
from engine.gateway.normalise.tokens import Reported, disjoint
from engine.rating.errors import Refusal
from engine.rating.usage import UsageEvent, check_usage
from tests.gateway.samples import CONTEXT, curated, inclusive, recorded

COUNTS = st.integers(0, 10**6)
PAYLOADS = [sample.payload for sample in (*curated(), *recorded())]

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (holder, key) of every value in a record."""
    held: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        held.append((value, key))
        if isinstance(item, dict | list):
            held += places(item)
    return held


@given(payload=st.sampled_from(PAYLOADS), data=st.data())
def test_a_record_with_odd_values_gives_events_that_the_engine_takes_or_is_unusable(
    payload: dict[str, Any], data: st.DataObject
) -> None:
    record = json.loads(json.dumps(payload))
    for _ in range(data.draw(st.integers(1, 3))):
        held = places(record)
        if held:
            holder, key = data.draw(st.sampled_from(held))
            holder[key] = data.draw(ODD)
    told: list[Unusable] = []
    for form in ("auto", data.draw(st.sampled_from(FORMATS))):
        try:
            found = normalise(record, form, CONTEXT)
        except Unusable as unusable:
            told.append(unusable)
            continue
        assert bool(found.events) != bool(found.not_charged)
        for event in found.events:
            fields = parse_usage(event)
            assert not isinstance(fields, Refusal)
            assert isinstance(check_usage(fields, frozenset()), UsageEvent)
    assert all(unusable.place and unusable.expected for unusable in told)


@given(record=st.dictionaries(st.sampled_from(
    ["usage", "id", "model", "object", "specversion", "ai", "response", "type", "attributes",
     "usageMetadata", "llm_summary", "call_type", "startTime", "data", "meta", "error"]), ODD))  # fmt: skip
def test_any_object_at_all_is_understood_or_unusable(record: dict[str, Any]) -> None:
    for form in ("auto", *FORMATS):
        with suppress(Unusable):
            normalise(record, form, CONTEXT)


@given(st.builds(Reported, input=COUNTS, output=COUNTS, cache_read=COUNTS, cache_write_5m=COUNTS,
                 cache_write_1h=COUNTS, audio_input=COUNTS, image_input=COUNTS, cached_audio=COUNTS,
                 cached_image=COUNTS, reasoning=COUNTS, audio_output=COUNTS, image_output=COUNTS,
                 tool_input=COUNTS, unexplained=COUNTS, total=st.none()))  # fmt: skip
def test_disjoint_kinds_add_up_to_their_wholes_whatever_the_parts_claim(reported: Reported) -> None:
    kinds = disjoint(reported)
    assert all(quantity > 0 for quantity in kinds.values())
    found = inclusive(kinds)
    assert found.get("input_tokens", 0) == reported.input
    assert found.get("output_tokens", 0) == reported.output


@given(read=COUNTS, written=COUNTS, total=COUNTS)
def test_a_total_without_parts_leaves_exactly_its_difference_unexplained(
    read: int, written: int, total: int
) -> None:
    kinds = disjoint(Reported(input=read, output=written, total=total))
    assert kinds.get("unexplained", 0) == abs(total - read - written)


@given(whole=COUNTS, data=st.data())
def test_parts_that_fit_leave_nothing_unexplained(whole: int, data: st.DataObject) -> None:
    read = data.draw(st.integers(0, whole))
    written = data.draw(st.integers(0, whole - read))
    reasoning = data.draw(st.integers(0, whole))
    reported = Reported(input=whole, output=whole, cache_read=read, cache_write_1h=written,
                        reasoning=reasoning, total=2 * whole)  # fmt: skip
    kinds = disjoint(reported)
    assert "unexplained" not in kinds
    assert kinds.get("cache_read", 0) == read
    assert kinds.get("cache_write_1h", 0) == written
    assert kinds.get("reasoning", 0) == reasoning


@given(payload=st.sampled_from(PAYLOADS))
def test_normalising_twice_gives_the_same_events(payload: dict[str, Any]) -> None:
    before = json.dumps(payload)
    try:
        first = normalise(payload, context=CONTEXT)
    except Unusable:
        return
    assert normalise(payload, context=CONTEXT) == first
    assert json.dumps(payload) == before
