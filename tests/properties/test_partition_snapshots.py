"""A snapshot is the state: taking it and reading it back changes nothing, not even its bytes."""

import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.journal import (
    commit_digest,
    decode_commit,
    decode_record,
    encode_record,
)
from engine.adapters.avro.prepaid import limits_bytes, prepaid_bytes
from engine.adapters.avro.snapshot import decode_snapshot, encode_snapshot, snapshot_fields
from engine.adapters.avro.wire import Decoded, decode, encode
from engine.rating.account import Account
from engine.rating.bucket import Bucket
from engine.rating.clock import next_due
from engine.rating.command import IssueGrant, RechargeBucket, SetLimit, VoidGrant
from engine.rating.digest import state_digest
from engine.rating.event import TariffAssigned
from engine.rating.grant import MONEY, TOKENS, Grant, Rollover
from engine.rating.journal import PartitionState
from engine.rating.ledger import Ledger, MemoryIdentities, NoIdentities
from engine.rating.limit import Limit, Limits
from engine.rating.matching import ANYTHING, Match
from engine.rating.money import PICO
from engine.rating.pattern import Pattern
from engine.rating.prepaid import Prepaid
from engine.rating.rules import LATEST_REVISION
from engine.rating.tariff_book import TariffBook
from schemas.loader import latest, part
from tests.properties.avro_values import values_of
from tests.properties.streams import Input, Worker, folded, lives, run
from tests.rating.scenario import DAY, ONE_DOLLAR_EACH, Scenario, acme_on, at, state_of
from tests.schemas.samples import SAMPLES

SNAPSHOT = latest("partition_snapshot")
NOTES = ("alert-2", "alert-1", "")


@dataclass
class Taken:
    """A state that was read from a snapshot, and its notes."""

    state: PartitionState
    notes: tuple[str, ...]


def read(data: bytes, identities: MemoryIdentities | None = None) -> Taken:
    """Read a snapshot that must be readable."""
    found = decode_snapshot(data, TariffBook(), identities or MemoryIdentities())
    assert found is not None
    return Taken(*found)


def everything_of(state: PartitionState) -> dict[str, Any]:
    """Return a state as a comparable whole, by its attributes."""
    rest = {name: value for name, value in vars(state).items() if name != "ledger"}
    return {**rest, **{name: state_of(a) for name, a in state.ledger.accounts.items()}}


@given(lives())
def test_a_state_survives_its_snapshot(stream: list[Input]) -> None:
    state = run(stream, {5, 11}).state
    taken = read(encode_snapshot(state, NOTES))
    assert everything_of(taken.state) == everything_of(state)
    assert taken.notes == NOTES


@given(lives(), st.randoms(use_true_random=False))
def test_equal_states_give_equal_bytes(stream: list[Input], chance: random.Random) -> None:
    """Also when dictionaries and sets were filled in another order."""
    state = run(stream, {5, 11}).state
    data = encode_snapshot(state, NOTES)
    other = read(data).state
    shuffle(other.ledger.accounts, chance)
    shuffle(other.positions, chance)
    for account in other.ledger.accounts.values():
        for field in (account.adopted, account.staged, account.counters, account.periods):
            shuffle(field, chance)
    assert encode_snapshot(other, NOTES) == data


def shuffle(mapping: dict[Any, Any], chance: random.Random) -> None:
    items = list(mapping.items())
    chance.shuffle(items)
    mapping.clear()
    mapping.update(items)


@given(lives(), st.data())
def test_folding_on_from_a_snapshot_ends_where_folding_everything_does(
    stream: list[Input], data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(stream) - 1), min_size=1, max_size=6))
    worker: Worker = run(stream, cuts)
    half = data.draw(st.integers(0, len(worker.journal)))
    identities = MemoryIdentities()
    before = PartitionState(0, worker.book, identities)
    for commit in worker.journal[:half]:
        before.fold(decode_commit(commit), commit_digest(commit))
    snapshot = encode_snapshot(before)
    state = read(snapshot, identities).state
    for commit in worker.journal[half:]:
        state.fold(decode_commit(commit), commit_digest(commit))
    assert everything_of(state) == everything_of(folded(worker.journal, worker.book))
    assert encode_snapshot(before) == snapshot  # nothing is shared with what was folded on


@given(values_of(SNAPSHOT.declared))
def test_a_snapshot_is_written_and_read_as_the_general_writer_and_reader_do(
    fields: dict[str, Any],
) -> None:
    fields["rules"] = LATEST_REVISION
    fields["zones"] = fields["zones"] or [{"time_zone": "UTC", "time_zone_transitions": []}]
    for row in fields["accounts"]:
        row["zone"] %= len(fields["zones"])
        make_sound(row["prepaid"])
    taken = read(encode(SNAPSHOT, fields))
    sorted_fields = snapshot_fields(taken.state, taken.notes)
    data = encode_snapshot(taken.state, taken.notes)
    assert data == encode(SNAPSHOT, sorted_fields)
    again = read(data)
    assert snapshot_fields(again.state, again.notes) == sorted_fields
    decoded = decode(data)
    assert isinstance(decoded, Decoded)
    assert decoded.fields == sorted_fields


def make_sound(prepaid: dict[str, Any] | None) -> None:
    """Let buckets be of grants that there are, and hours of buckets that there are."""
    if prepaid is None:
        return
    for row in prepaid["grants"]:
        row["grant"]["recurrence"] = ""
    grants = [row["grant"]["grant_id"] for row in prepaid["grants"]]
    prepaid["buckets"] = prepaid["buckets"] if grants else []
    for row in prepaid["buckets"]:
        row["grant_id"] = grants[0]
    buckets = [row["bucket_id"] for row in prepaid["buckets"]]
    prepaid["burnt"] = prepaid["burnt"] if buckets else []
    for row in prepaid["burnt"]:
        row["bucket"] = buckets[0]


def sample(**changes: Any) -> bytes:
    """Return the sample of the schema, as today's rules would have written it."""
    return encode(SNAPSHOT, {**SAMPLES["partition_snapshot"], "rules": LATEST_REVISION, **changes})


def test_every_field_of_the_sample_is_read_and_written_again() -> None:
    taken = read(sample())
    assert snapshot_fields(taken.state, taken.notes) == {
        **SAMPLES["partition_snapshot"],
        "rules": LATEST_REVISION,
    }
    assert encode_snapshot(taken.state, taken.notes) == sample()


def test_every_field_of_a_state_and_of_an_account_is_in_the_schema() -> None:
    """Whoever adds one extends the snapshot too, or the rebuilt state would lack it."""
    fields = {field["name"]: field for field in SNAPSHOT.declared["fields"]}
    account = {field["name"] for field in fields["accounts"]["type"]["items"]["fields"]}
    assert account == {*Account.__slots__} - {"agenda", "next_month"}  # these follow
    derived = {"zone", "open_buckets", "spans", "next_refill"}
    assert part_names("Prepaid") == {*Prepaid.__slots__} - derived
    assert part_names("Limits") == {*Limits.__slots__} - {"by_subject"}
    assert part_names("Bucket") - {"grant_id"} == {*Bucket._fields} - {"grant"}
    assert part_names("Grant") == {*Grant._fields}
    assert part_names("TariffAssigned") == {*TariffAssigned._fields}
    state = {*vars(PartitionState(0, TariffBook(), MemoryIdentities()))} - {"ledger"}
    assert {*fields} == state | {"accounts", "rules", "zones", "notes"}


def part_names(name: str) -> set[str]:
    return {field["name"] for field in part(SNAPSHOT, name)["fields"]}


def prepaid_scenario() -> Scenario:
    """Return acme with everything that can stand in a state: grants, limits, alerts, voids."""
    scenario = acme_on(ONE_DOLLAR_EACH, time_zone="Europe/Berlin")
    begin, day = at("2026-11-01T00:00:00Z"), DAY
    monthly = Grant(
        "monthly",
        TOKENS,
        10 * PICO,
        begin,
        None,
        begin,
        recurrence="week",
        anchor=begin - 3 * day,
        model_weights=((Pattern(glob="gpt-*"), (("output", Fraction(5, 2)),)),),
        match=Match(subject=Pattern(("login-1", "login-2")), attributes=(("a", Pattern(("b",))),)),
        rollover=Rollover(3 * PICO, PICO),
    )
    plain = monthly._replace(grant_id="plain", match=ANYTHING, per_subject_cap=8 * PICO)
    credit = Grant("credit", MONEY, 50 * PICO, begin, begin + 90 * day, begin, is_paid=True)
    for grant in (monthly, plain, credit, credit._replace(grant_id="taken back", priority=-1)):
        scenario.command(IssueGrant(grant), received_at=begin)
    scenario.command(SetLimit(Limit("l", "tokens", "subject", "", "day", 5 * PICO)))
    scenario.command(SetLimit(Limit("all", "spend", "account", "", "billing_period", 9 * PICO)))
    scenario.use("e1", "2026-11-02T00:00:00Z", {"input": 12, "output": 3})
    scenario.use("e2", "2026-11-02T09:00:00Z", {"input": 9}, attributes={"a": "b"})
    scenario.use("v3", "2026-11-03T00:00:00Z", {}, action="void", corrects="e3")
    scenario.use("v1", "2026-11-03T00:00:00Z", {}, action="void", corrects="e1")
    scenario.command(VoidGrant("taken back"))
    scenario.command(VoidGrant("credit"), principal="anna", needs_approval=True)
    scenario.command(RechargeBucket("plain#0", PICO))
    scenario.advance("2026-11-17T00:00:00Z")
    scenario.use("e4", "2026-11-18T00:00:00Z", {"input": 7, "output": 3})
    return scenario


def test_what_is_prepaid_limited_and_awaited_survives_the_snapshot() -> None:
    scenario = prepaid_scenario()
    account = scenario.ledger.accounts["acme"]
    state = PartitionState(0, scenario.book, MemoryIdentities())
    state.ledger = scenario.ledger
    for name in ("grants", "buckets", "open_buckets", "subject_draws", "money_draws", "burnt"):
        assert getattr(account.prepaid, name), name
    for name in ("awaiting", "raised", "pending"):
        assert getattr(account, name), name
    assert account.limits.uses
    assert account.prepaid.next_refill is not None
    data = encode_snapshot(state)
    assert data == encode(SNAPSHOT, snapshot_fields(state))
    taken = read(data).state
    assert everything_of(taken) == everything_of(state)
    assert encode_snapshot(taken) == data
    again = taken.ledger.accounts["acme"]
    assert again.prepaid.grants["plain"].grant.match is ANYTHING
    assert next_due(again) == next_due(account)
    assert state_digest(again) == state_digest(account)


def test_every_record_of_an_account_survives_its_encoding() -> None:
    for record in prepaid_scenario().records:
        assert decode_record(encode_record(record)) == record


def test_identities_can_be_taken_from_records_whose_accounts_a_snapshot_holds() -> None:
    scenario = prepaid_scenario()
    recovering = Ledger(TariffBook(), MemoryIdentities())
    reader = Ledger(TariffBook(), NoIdentities())
    for record in scenario.records:
        recovering.identify(record)
        reader.apply(record)
    assert recovering.identities == scenario.ledger.identities
    assert recovering.accounts == {}
    assert state_of(reader.account("acme")) == state_of(scenario.ledger.account("acme"))


def test_an_account_without_anything_prepaid_costs_a_few_bytes_more() -> None:
    plain = acme_on(ONE_DOLLAR_EACH).ledger.accounts["acme"]
    assert (limits_bytes(plain.limits), prepaid_bytes(plain.prepaid)) == (b"\0", b"\0")


def test_accounts_of_one_zone_share_it() -> None:
    account = SAMPLES["partition_snapshot"]["accounts"][0]
    accounts = [{**account, "account_id": name} for name in ("acme", "globex")]
    first, second = read(sample(accounts=accounts)).state.ledger.accounts.values()
    assert first.zone is second.zone


def test_a_snapshot_by_other_rules_is_none() -> None:
    for rules in (LATEST_REVISION - 1, LATEST_REVISION + 1):
        assert decode_snapshot(sample(rules=rules), TariffBook(), MemoryIdentities()) is None


def test_a_snapshot_in_another_schema_version_is_none() -> None:
    other = b"\xc3\x01" + bytes(8) + sample()[10:]
    assert decode_snapshot(other, TariffBook(), MemoryIdentities()) is None


def test_another_record_torn_bytes_and_bytes_behind_are_none() -> None:
    whole = sample()
    balance = encode(latest("balance"), SAMPLES["balance"])
    torn = [whole[:size] for size in range(len(whole))]
    for data in (balance, b"", b"{}", whole + b"\0", *torn):
        assert decode_snapshot(data, TariffBook(), MemoryIdentities()) is None


@given(st.data())
def test_damaged_bytes_never_raise(data: st.DataObject) -> None:
    """The store's checksum keeps them away; a reader that hangs or raises would still be wrong."""
    damaged = bytearray(sample())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(10, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    decode_snapshot(bytes(damaged), TariffBook(), MemoryIdentities())
