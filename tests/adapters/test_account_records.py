"""Commands and account events keep everything that the general reader finds in them."""

from typing import Any

import pytest
from hypothesis import given

from engine.adapters.avro.account import advance_of, command_of, encode_advance, encode_command
from engine.adapters.avro.grant import grant_fields, grant_of, match_of, match_text
from engine.adapters.avro.journal import account_event_fields, decode_record, encode_record
from engine.adapters.avro.wire import Decoded, decode, encode, qualified
from engine.adapters.command_record import read_order_record
from engine.ports import LogRecord
from engine.rating.charge import Charge
from engine.rating.command import AccountCommand, AdvanceTo, AssignTariff
from engine.rating.errors import BrokenInvariant, InvalidDocument, Refusal
from engine.rating.event import AccountEvent, ApprovalAwaited, PeriodClosed, TariffAssigned
from engine.rating.grant import TOKENS, Grant
from engine.rating.matching import ANYTHING, Match
from engine.rating.money import PICO
from engine.rating.pattern import Pattern
from schemas.loader import latest, versions
from tests.properties.avro_values import values_of
from tests.rating.scenario import at
from tests.schemas.freeze import RECORDS
from tests.schemas.parts import GRANT
from tests.schemas.samples import SAMPLES

COMMANDS = latest("account_command")
EVENTS = latest("account_event")
BEGIN = at("2026-11-01T00:00:00Z")


@given(values_of(COMMANDS.declared))
def test_a_command_is_written_as_it_was_read(fields: dict[str, Any]) -> None:
    command = command_of(fields)
    assert isinstance(command, AccountCommand)
    assert encode_command(command) == encode(COMMANDS, fields)


@given(values_of(EVENTS.declared))
def test_an_account_event_is_written_as_it_was_read(fields: dict[str, Any]) -> None:
    data = encode(EVENTS, fields)
    event = decode_record(data)
    assert isinstance(event, AccountEvent)
    again = encode_record(event)
    assert decode_record(again) == event
    if not isinstance(event.change, ApprovalAwaited):  # that one names who asked in its own words
        assert (account_event_fields(event), again) == (fields, data)


@given(values_of(latest("advance_to").declared))
def test_the_passing_of_time_is_written_as_it_was_read(fields: dict[str, Any]) -> None:
    assert encode_advance(advance_of(fields)) == encode(latest("advance_to"), fields)


def test_the_passing_of_time_is_an_order_of_the_accounts_topic() -> None:
    advance = AdvanceTo(BEGIN, "anna")
    assert read_order_record(record(encode_advance(advance))) == advance


def record(value: bytes) -> LogRecord:
    return LogRecord("accounts", 0, 1, BEGIN, b"acme", value)


def test_a_grant_that_matches_everything_is_read_with_the_very_object_that_says_so() -> None:
    grant = Grant("g", TOKENS, PICO, BEGIN, None, BEGIN)
    assert grant_fields(grant)["match"] == ""
    assert grant_of(grant_fields(grant)) == grant
    assert grant_of(grant_fields(grant)).match is ANYTHING
    assert match_of("{}") is ANYTHING


def test_what_a_grant_covers_is_written_as_the_canonical_json_of_a_match() -> None:
    match = Match(model=Pattern(glob="gpt-*"), subject=Pattern(("anna", "ben")), context_above=5)
    text = '{"context_above":5,"model":"gpt-*","subject":["anna","ben"]}'
    assert match_text(match) == text
    assert match_of(text) == match


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"colour":"red"}', '{"model":""}', "[" * 99_999])
def test_a_command_with_a_match_that_is_none_is_refused_and_such_an_event_breaks_the_journal(
    text: str,
) -> None:
    with pytest.raises(InvalidDocument):
        match_of(text)
    grant = {**GRANT, "match": text}
    order = {**SAMPLES["account_command"], "command": (qualified("IssueGrant"), {"grant": grant})}
    refusal = read_order_record(record(encode(COMMANDS, order)))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "invalid_grant"
    event = {**SAMPLES["account_event"], "change": (qualified("Granted"), {"grant": grant})}
    with pytest.raises(BrokenInvariant, match="match"):
        decode_record(encode(EVENTS, event))


def test_an_approval_that_awaits_something_else_than_a_command_breaks_the_journal() -> None:
    for order in (b"", b"{}", encode(latest("balance"), SAMPLES["balance"])):
        change = (qualified("ApprovalAwaited"), {"order": order})
        with pytest.raises(BrokenInvariant, match="account_command"):
            decode_record(encode(EVENTS, {**SAMPLES["account_event"], "change": change}))


def test_records_of_earlier_versions_mean_what_they_meant() -> None:
    charge = decode_record((RECORDS / "charge_event.2.bin").read_bytes())
    assert isinstance(charge, Charge)
    assert [(line.covered, line.draws) for line in charge.lines] == [(0, ())] * len(charge.lines)
    assert {(entry.rolled, entry.expired) for entry in charge.drawdowns} == {(0, 0)}
    closed = decode_record((RECORDS / "account_event.2.bin").read_bytes())
    assert isinstance(closed, AccountEvent)
    assert isinstance(closed.change, PeriodClosed)
    assert (closed.change.state_digest, closed.approves) == (b"", "")


def test_an_assignment_of_earlier_versions_lets_overage_be_priced() -> None:
    span = {"tariff_id": "plan", "effective_from": BEGIN, "effective_to": None}
    fields = {**SAMPLES["account_command"], "command": (qualified("AssignTariff"), span)}
    decoded = decode(encode(versions("account_command")[1], fields))
    assert isinstance(decoded, Decoded)
    command = command_of(decoded.fields)
    assert isinstance(command, AccountCommand)
    assert command.order == AssignTariff("plan", BEGIN, None, "priced")
    assert not command.needs_approval
    change = (qualified("TariffAssigned"), {**span, "staged": False, "versions": []})
    event = decode_record(
        encode(versions("account_event")[1], {**SAMPLES["account_event"], "change": change})
    )
    assert isinstance(event, AccountEvent)
    assert event.change == TariffAssigned("plan", BEGIN, None, staged=False, versions=())
