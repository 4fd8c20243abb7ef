from collections.abc import Mapping
from typing import Any

import pytest

from engine.adapters.avro.usage import decode_usage, encode_usage
from engine.rating.errors import Refusal
from engine.rating.usage import (
    KINDS,
    MAX_MONEY_QUANTITY_PICO,
    MAX_QUANTITY,
    OPTIONAL_TEXTS,
    REQUIRED_TEXTS,
    UsageEvent,
    check_usage,
    identity_key,
)
from schemas.loader import latest
from tests.rating.scenario import at, usage, usage_fields

NOVEMBER = "2026-11-02T00:00:00Z"


def checked(
    changes: Mapping[str, Any], allowed: frozenset[str] = frozenset()
) -> UsageEvent | Refusal:
    fields = usage_fields("e1", NOVEMBER, {"input": 1})
    return check_usage({**fields, **changes}, allowed)


def code_of(outcome: UsageEvent | Refusal) -> str:
    assert isinstance(outcome, Refusal), outcome
    return outcome.code


def test_a_sound_event_keeps_what_it_says() -> None:
    event = usage(quantities={"output": 2, "input": 1}, trace_id="t-1", initiator="agent")
    assert event.account_id == "acme"
    assert event.occurred_at == at(NOVEMBER)
    assert event.quantities == (("input", 1), ("output", 2))
    assert (event.trace_id, event.initiator, event.action) == ("t-1", "agent", "record")


def test_quantities_stand_in_canonical_order_without_zeros() -> None:
    event = usage(quantities=dict.fromkeys(reversed(KINDS), 1) | {"request": 0})
    assert [kind for kind, _ in event.quantities] == [kind for kind in KINDS if kind != "request"]


def test_the_kinds_are_those_of_the_schema_in_the_same_order() -> None:
    quantities = next(
        field for field in latest("usage_event").declared["fields"] if field["name"] == "quantities"
    )
    assert tuple(field["name"] for field in quantities["type"]["fields"]) == KINDS


def test_the_context_is_what_the_request_carried_in() -> None:
    """Semantics section 2: the kinds of what was sent, cached or not, and no answer."""
    carried_in = {
        "input": 1,
        "cache_read": 10,
        "cache_write_5m": 100,
        "cache_write_1h": 1000,
        "audio_input": 10_000,
        "image_input": 100_000,
        "audio_cache_read": 1_000_000,
    }
    answered = {kind: 7 for kind in KINDS if kind not in carried_in}
    assert usage(quantities={**carried_in, **answered}).context_length == 1_111_111
    assert usage(quantities=answered).context_length == 0


def test_an_empty_service_tier_is_the_standard_one() -> None:
    assert usage(service_tier="").service_tier == "standard"
    assert usage(service_tier="").digest == usage(service_tier="standard").digest


@pytest.mark.parametrize("name", REQUIRED_TEXTS)
def test_a_required_field_must_say_something(name: str) -> None:
    assert code_of(checked({name: ""})) == "missing_field"


@pytest.mark.parametrize("name", [*REQUIRED_TEXTS, *OPTIONAL_TEXTS])
def test_a_text_has_256_printable_characters_at_most(name: str) -> None:
    action = {"action": "amend"} if name == "corrects" else {}
    assert isinstance(checked({name: "ü" * 256, **action}), UsageEvent)
    assert code_of(checked({name: "x" * 257, **action})) == "text_too_long"
    for text in ("a\0b", "a\nb", "a\u2028b", "\x7f", "\ud800"):
        assert code_of(checked({name: text, **action})) == "unprintable_text"


def test_time_is_within_what_zones_are_frozen_for() -> None:
    first, last = at("2000-01-01T00:00:00Z"), at("2049-12-31T23:59:59.999999Z")
    assert isinstance(checked({"occurred_at": first}), UsageEvent)
    assert isinstance(checked({"occurred_at": last}), UsageEvent)
    for moment in (first - 1, last + 1, 0, -(2**63), 2**63 - 1):
        assert code_of(checked({"occurred_at": moment})) == "time_out_of_range"


def test_a_correction_names_what_it_corrects_and_a_record_nothing() -> None:
    assert code_of(checked({"corrects": "e0"})) == "corrects_unexpected"
    assert code_of(checked({"action": "void"})) == "corrects_missing"
    assert code_of(checked({"action": "amend"})) == "corrects_missing"
    assert isinstance(checked({"action": "amend", "corrects": "e0"}), UsageEvent)


def test_only_a_void_may_come_without_quantities() -> None:
    nothing = dict.fromkeys(KINDS, 0)
    assert code_of(checked({"quantities": nothing})) == "no_quantities"
    assert (
        code_of(checked({"quantities": nothing, "action": "amend", "corrects": "e0"}))
        == "no_quantities"
    )
    assert isinstance(
        checked({"quantities": nothing, "action": "void", "corrects": "e0"}), UsageEvent
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantity_is_neither_negative_nor_beyond_its_guard(kind: str) -> None:
    limit = MAX_MONEY_QUANTITY_PICO if kind == "pass_through_cost" else MAX_QUANTITY
    quantities = dict.fromkeys(KINDS, 0)
    assert isinstance(checked({"quantities": {**quantities, kind: limit}}), UsageEvent)
    assert code_of(checked({"quantities": {**quantities, kind: limit + 1}})) == "quantity_too_large"
    assert code_of(checked({"quantities": {**quantities, kind: -1}})) == "negative_quantity"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_quantity_of_thousands_of_digits_is_refused_like_any_other(sign: int) -> None:
    """A decimal on the wire may have any length; a poison record must not stop the stream."""
    fields = usage_fields("e1", NOVEMBER, {"pass_through_cost": sign * 10**5000})
    decoded = decode_usage(encode_usage(fields))
    assert isinstance(decoded, list)
    outcome = check_usage(decoded[0], frozenset())
    assert code_of(outcome) in {"quantity_too_large", "negative_quantity"}


def test_attributes_are_on_the_allow_list_and_sorted() -> None:
    allowed = frozenset({"team", "app"})
    event = checked({"attributes": {"team": "red", "app": "chat"}}, allowed)
    assert isinstance(event, UsageEvent)
    assert event.attributes == (("app", "chat"), ("team", "red"))
    assert code_of(checked({"attributes": {"team": "red"}})) == "attribute_not_allowed"
    assert code_of(checked({"attributes": {"team": "x" * 257}}, allowed)) == "attribute_not_allowed"
    assert code_of(checked({"attributes": {"team": "a\nb"}}, allowed)) == "attribute_not_allowed"


def test_a_refusal_names_the_place_the_value_and_what_was_expected() -> None:
    outcome = checked({"quantities": {**dict.fromkeys(KINDS, 0), "output": -7}})
    assert outcome == Refusal("negative_quantity", "quantities.output: got -7, expected 0 or more")


def test_an_identity_is_account_source_and_event() -> None:
    keys = {
        identity_key("a", "b", "c"),
        identity_key("b", "a", "c"),
        identity_key("a", "c", "b"),
        identity_key("ab", "", "c"),
        identity_key("a", "bc", ""),
    }
    assert len(keys) == 5
    assert all(len(key) == 32 for key in keys)
