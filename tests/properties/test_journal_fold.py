"""The journal is the truth: state folded from its bytes is the state that was lived."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.journal import decode_commit, decode_record, encode_record
from engine.rating.account import Account
from engine.rating.charge import CORRECTION, MONEY_CHARGES, USAGE, Charge
from engine.rating.event import AccountEvent, Record, Rejection, UsageRefused, VoidPending
from engine.rating.journal import PartitionState
from engine.rating.settlement import closed_month, unsettled_counters
from engine.rating.usage import Position
from tests.properties.streams import Input, Use, Worker, lives, run
from tests.rating.scenario import state_of


def accounts_of(state: PartitionState) -> dict[str, dict[str, Any]]:
    return {name: state_of(account) for name, account in state.ledger.accounts.items()}


@given(lives())
def test_folding_the_records_gives_every_account_the_state_it_had(stream: list[Input]) -> None:
    worker = Worker()
    for entry in stream:
        worker.take(entry)
    lived = accounts_of(worker.state)
    worker.cut()
    assert accounts_of(worker.state) == lived


@given(lives())
def test_every_record_survives_its_encoding(stream: list[Input]) -> None:
    worker = run(stream, set())
    for record in decode_commit(worker.journal[0]).records:
        assert decode_record(encode_record(record)) == record
    records = [data for data in worker.outcomes if data != b"duplicate"]
    assert [encode_record(decode_record(data)) for data in records] == records


@given(lives())
def test_an_account_alone_folds_its_own_records_to_the_same_state(stream: list[Input]) -> None:
    worker = run(stream, set())
    alone: dict[str, Account] = {}
    for record in decode_commit(worker.journal[0]).records:
        if not isinstance(record, Rejection):
            alone.setdefault(record.account_id, Account(record.account_id)).apply(record)
    assert {name: state_of(account) for name, account in alone.items()} == accounts_of(worker.state)


@given(lives())
def test_money_and_records_are_conserved(stream: list[Input]) -> None:
    worker = run(stream, set())
    records = decode_commit(worker.journal[0]).records
    for name, account in worker.state.ledger.accounts.items():
        booked = [r for r in records if isinstance(r, Charge) and r.account_id == name]
        charges = [charge for charge in booked if charge.kind in MONEY_CHARGES]
        paid = sum(b.drawn for b in account.prepaid.buckets.values() if b.is_money)
        assert account.due + paid == sum(charge.amount for charge in booked)
        assert account.due + paid == sum(spend.amount for spend in account.periods.values())
        assert account.charges == len(charges)
        sequences = [
            r.sequence
            for r in records
            if isinstance(r, Charge | AccountEvent) and r.account_id == name
        ]
        assert sequences == list(range(1, len(sequences) + 1))
    counts = worker.state.counts
    assert counts.conserved
    charged = [record for record in records if isinstance(record, Charge)]
    used = [charge for charge in charged if charge.kind == USAGE]
    alone = [c for c in charged if c.kind == CORRECTION and c.position not in _places(used)]
    assert counts.charges == len(used) + len(alone)
    assert len({charge.charge_id for charge in charged}) == len(charged)
    refused = [r for r in records if isinstance(r, AccountEvent) and _is_refused(r)]
    assert counts.rejections == len(refused) + sum(isinstance(r, Rejection) for r in records)
    assert counts.pending == len(_waiting(records) - _places(used))


def _places(charges: list[Charge]) -> set[Position]:
    return {charge.position for charge in charges}


def _is_refused(event: AccountEvent) -> bool:
    return isinstance(event.change, UsageRefused)


def _waiting(records: Sequence[Record]) -> set[Position]:
    events = [record for record in records if isinstance(record, AccountEvent)]
    return {event.position for event in events if isinstance(event.change, VoidPending)}


@given(lives())
def test_closed_months_are_always_settled_to_what_they_owe(stream: list[Input]) -> None:
    worker = Worker()
    for entry in stream:
        worker.take(entry)
        for account in worker.state.ledger.accounts.values():
            for label in account.closed:
                month = closed_month(account, label)
                assert unsettled_counters(account, month, worker.book) == []


@given(lives(), st.data())
def test_any_cut_into_commits_gives_the_same_records_byte_for_byte(
    stream: list[Input], data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(stream) - 1), max_size=6))
    whole, cut = run(stream, set()), run(stream, cuts)
    assert cut.outcomes == whole.outcomes
    assert accounts_of(cut.state) == accounts_of(whole.state)
    assert cut.state.counts == whole.state.counts


@given(lives())
def test_a_commit_after_every_single_input_gives_the_same_too(stream: list[Input]) -> None:
    whole, single = run(stream, set()), run(stream, set(range(len(stream))))
    assert single.outcomes == whole.outcomes
    assert accounts_of(single.state) == accounts_of(whole.state)


@given(lives())
def test_running_twice_gives_the_same_journal(stream: list[Input]) -> None:
    assert run(stream, {3, 9}).journal == run(stream, {3, 9}).journal


@given(lives(), st.data())
def test_sending_everything_again_charges_nothing(stream: list[Input], data: st.DataObject) -> None:
    """A producer that retries sends each event once more, in any order, after it was accepted."""
    worker = run(stream, set())
    before = {name: account.due for name, account in worker.state.ledger.accounts.items()}
    usage = [entry for entry in stream if isinstance(entry, Use)]
    charges = worker.state.counts.charges
    for entry in data.draw(st.permutations(usage)):
        worker.take(entry)
    worker.cut()
    assert worker.state.counts.charges == charges
    assert {n: a.due for n, a in worker.state.ledger.accounts.items()} == before
