"""The digest of a usage event: the same for the same billing content, and for no other."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.usage import decode_usage, encode_usage
from engine.rating.usage import KINDS, UsageEvent, canonical_form, check_usage
from tests.rating.scenario import at, usage, usage_fields

NOVEMBER = "2026-11-02T00:00:00Z"
BILLING_CHANGES: dict[str, Any] = {
    "account_id": "other",
    "source": "gateway-2",
    "event_id": "e2",
    "subject": "login-2",
    "occurred_at": at(NOVEMBER) + 1,
    "provider": "azure",
    "model": "gpt-5",
    "operation": "embedding",
    "service_tier": "batch",
    "region": "eu",
    "trace_id": "t-1",
    "parent_event_id": "e0",
    "initiator": "agent",
}


CANONICAL = (
    "account_id=4:acme;source=9:gateway-1;event_id=2:e1;subject=7:login-1;"
    "occurred_at=16:1793577600000000;provider=6:openai;model=6:gpt-4o;quantities=9:input=1:1;"
)


def test_the_canonical_form_leaves_defaults_out() -> None:
    assert canonical_form(tuple(usage())[:-1]).decode() == CANONICAL


def test_the_digest_is_the_sha_256_of_the_canonical_form_and_stays() -> None:
    assert sha256(CANONICAL.encode()).digest() == usage().digest
    assert usage().digest.hex() == (
        "d4e1b51004872d673e5b449ba051e37afb5054831590384b1bf1ca301f8e9d4b"
    )


@pytest.mark.parametrize("name", BILLING_CHANGES)
def test_every_billing_field_changes_the_digest(name: str) -> None:
    fields = usage_fields("e1", NOVEMBER, {"input": 1})
    changed = check_usage({**fields, name: BILLING_CHANGES[name]}, frozenset())
    assert isinstance(changed, UsageEvent)
    assert changed.digest != usage().digest


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_the_digest(kind: str) -> None:
    assert usage(quantities={"input": 1, kind: 2}).digest != usage().digest


def test_publishing_again_is_no_other_content() -> None:
    assert usage(publisher="p-1", publisher_sequence=7).digest == usage().digest


def test_the_digest_survives_the_wire() -> None:
    fields = usage_fields("e1", NOVEMBER, {"input": 1, "pass_through_cost": 5}, trace_id="t-1")
    before = check_usage(fields, frozenset())
    decoded = decode_usage(encode_usage(fields))
    assert isinstance(before, UsageEvent)
    assert isinstance(decoded, list)
    assert check_usage(decoded[0], frozenset()) == before


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["=", "=1:x;", ";source=1:x;", ",", "0", "chat", "standard", "unknown", "record"]
)
ATTRIBUTES = st.dictionaries(TEXTS, TEXTS, max_size=3).map(lambda d: tuple(sorted(d.items())))
QUANTITIES = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 120), max_size=3).map(
    lambda d: tuple((kind, d[kind]) for kind in KINDS if kind in d)
)
VALUES = st.tuples(
    *(TEXTS, TEXTS, TEXTS, TEXTS, st.integers(0, 20), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS),
    *(QUANTITIES, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, ATTRIBUTES),
)


@given(VALUES, VALUES)
def test_two_different_events_never_share_their_canonical_bytes(
    first: tuple[object, ...], second: tuple[object, ...]
) -> None:
    assert (canonical_form(first) == canonical_form(second)) is (first == second)


@given(VALUES, st.data())
def test_one_changed_field_always_changes_the_canonical_bytes(
    values: tuple[object, ...], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(VALUES)
    changed = (*values[:place], other[place], *values[place + 1 :])
    assert (canonical_form(changed) == canonical_form(values)) is (changed == values)


def test_an_attribute_name_can_not_pass_for_another_attribute() -> None:
    """Names come from the operator's allow-list, which may hold any text."""
    fields = usage_fields("e1", NOVEMBER, {"input": 1})
    allowed = frozenset({"a", "b", "a=1:x,b"})
    events = [
        check_usage({**fields, "attributes": attributes}, allowed)
        for attributes in ({"a": "x", "b": "y"}, {"a=1:x,b": "y"})
    ]
    digests = {event.digest for event in events if isinstance(event, UsageEvent)}
    assert len(digests) == 2
