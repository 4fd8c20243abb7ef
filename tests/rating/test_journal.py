"""The chain of commits: what follows is folded in, everything else is refused."""

import pytest

from engine.adapters.avro.journal import (
    commit_digest,
    decode_commit,
    decode_record,
    encode_commit,
    encode_record,
)
from engine.rating.charge import Charge
from engine.rating.errors import BrokenChain, BrokenInvariant, Refusal
from engine.rating.event import Record, Rejection
from engine.rating.journal import NO_DIGEST, Counts, JournalCommit, NextOffset, PartitionState
from engine.rating.ledger import MemoryIdentities
from engine.rating.money import PICO
from engine.rating.usage import Position
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, at, state_of, tariff

NOVEMBER = "2026-11-02T00:00:00Z"


class Journal:
    """Acme's first two commits: opened and assigned, then one charge and one rejection."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.scenario.publish(tariff(ONE_DOLLAR_EACH))
        opened, assigned = self.scenario.open(), self.scenario.assign()
        self.first = commit(1, NO_DIGEST, Counts(commands=2), (opened, assigned))
        charge = self.scenario.charged("e1", NOVEMBER, {"input": 7})
        self.second = commit(
            2,
            digest_of(self.first),
            Counts(consumed=2, charges=1, rejections=1, commands=2),
            (charge, rejection()),
        )

    def state(self) -> PartitionState:
        """Return the state after the first commit."""
        state = PartitionState(0, self.scenario.book, MemoryIdentities())
        state.fold(self.first, digest_of(self.first))
        return state


def commit(
    number: int, previous: bytes, counts: Counts, records: tuple[Record, ...]
) -> JournalCommit:
    positions = (NextOffset("accounts", 3), NextOffset("usage", number))
    return JournalCommit(0, number, previous, positions, 1, counts, records)


def data_of(entry: JournalCommit) -> bytes:
    return encode_commit(entry, [encode_record(record) for record in entry.records])


def digest_of(entry: JournalCommit) -> bytes:
    return commit_digest(data_of(entry))


def rejection() -> Rejection:
    return Rejection(
        Position("usage", 0, 2),
        at(NOVEMBER),
        Refusal("undecodable", "body: got 3 bytes, expected more"),
        "acme",
        "gateway-1",
        "e2",
        bytes(32),
        3,
        b"\xc3\x01\x00",
    )


def test_commits_are_folded_one_after_the_other() -> None:
    journal = Journal()
    state = journal.state()
    state.fold(journal.second, digest_of(journal.second))
    assert (state.commit, state.digest) == (2, digest_of(journal.second))
    assert state.positions == {"accounts": 3, "usage": 2}
    assert state.counts == journal.second.counts
    live = journal.scenario.ledger.account("acme")
    assert state_of(state.ledger.account("acme")) == state_of(live)
    assert live.due == 7 * PICO


def test_a_commit_survives_the_wire() -> None:
    journal = Journal()
    for entry in (journal.first, journal.second):
        assert decode_commit(data_of(entry)) == entry
        assert data_of(decode_commit(data_of(entry))) == data_of(entry)


@pytest.mark.parametrize("number", [0, 1, 3, 4, -2])
def test_a_commit_of_another_number_is_refused(number: int) -> None:
    journal = Journal()
    state = journal.state()
    with pytest.raises(BrokenChain, match=f"got commit {number}"):
        state.fold(journal.second._replace(commit=number), digest_of(journal.second))
    assert state.commit == 1


def test_a_commit_after_another_digest_is_refused() -> None:
    journal = Journal()
    wrong = bytes([journal.second.previous[0] ^ 1]) + journal.second.previous[1:]
    for previous in (wrong, NO_DIGEST, b""):
        with pytest.raises(BrokenChain):
            journal.state().fold(journal.second._replace(previous=previous), bytes(32))


def test_a_doubled_or_missing_commit_is_refused() -> None:
    journal = Journal()
    with pytest.raises(BrokenChain):
        journal.state().fold(journal.first, digest_of(journal.first))
    empty = PartitionState(0, journal.scenario.book, MemoryIdentities())
    with pytest.raises(BrokenChain):
        empty.fold(journal.second, digest_of(journal.second))


def test_a_commit_of_another_partition_is_refused() -> None:
    journal = Journal()
    with pytest.raises(BrokenChain, match="a commit of partition 1"):
        journal.state().fold(journal.second._replace(partition=1), bytes(32))


@pytest.mark.parametrize(
    "counts",
    [
        Counts(consumed=3, charges=1, rejections=1, commands=2),
        Counts(consumed=1, charges=1, rejections=1, commands=2),
        Counts(consumed=2, charges=1, commands=2),
        Counts(charges=1, rejections=1, commands=2),
    ],
)
def test_counts_that_do_not_add_up_are_refused(counts: Counts) -> None:
    journal = Journal()
    with pytest.raises(BrokenInvariant, match="do not add up"):
        journal.state().fold(journal.second._replace(counts=counts), bytes(32))


@pytest.mark.parametrize(
    "counts",
    [
        Counts(commands=2),  # neither the charge nor the rejection
        Counts(consumed=2, charges=2, commands=2),  # the rejection passed off as a charge
        Counts(consumed=2, duplicates=1, rejections=1, commands=2),  # the charge as a duplicate
        Counts(consumed=3, charges=2, rejections=1, commands=2),  # a charge too many
        Counts(consumed=2, charges=1, rejections=1, commands=1),  # a command forgotten
    ],
)
def test_counts_that_add_up_but_are_not_those_of_the_records_are_refused(counts: Counts) -> None:
    """Cumulative counts prove that nothing was lost only if they are held against the records."""
    journal = Journal()
    with pytest.raises(BrokenInvariant):
        journal.state().fold(journal.second._replace(counts=counts), bytes(32))


def test_a_position_that_goes_back_is_refused() -> None:
    """It would read inputs again that were decided, and forget which."""
    journal = Journal()
    for positions in (
        (NextOffset("accounts", 2), NextOffset("usage", 2)),
        (NextOffset("usage", 2),),
    ):
        with pytest.raises(BrokenInvariant):
            journal.state().fold(journal.second._replace(positions=positions), bytes(32))


def test_a_tariffs_offset_that_goes_back_is_refused() -> None:
    journal = Journal()
    with pytest.raises(BrokenInvariant):
        journal.state().fold(journal.second._replace(tariffs_offset=0), bytes(32))


def test_a_second_charge_of_one_usage_event_is_refused() -> None:
    """Two charges for one event are what everything here is built to prevent."""
    journal = Journal()
    charge = journal.second.records[0]
    assert isinstance(charge, Charge)
    again = charge._replace(sequence=charge.sequence + 1, due=2 * charge.due)
    entry = journal.second._replace(
        counts=Counts(consumed=2, charges=2, commands=2), records=(charge, again)
    )
    with pytest.raises(BrokenInvariant):
        journal.state().fold(entry, digest_of(entry))


def test_every_outcome_of_a_consumed_record_is_counted_once() -> None:
    assert Counts(10, 1, 2, 3, 4, 0).conserved
    assert Counts(10, 1, 2, 3, 0, 4, commands=9, commands_rejected=3).conserved
    assert not Counts(11, 1, 2, 3, 4, 0).conserved
    assert Counts(1, 1).plus(Counts(2, 0, 0, 2)) == Counts(3, 1, 0, 2)


def test_a_rejection_moves_no_account() -> None:
    journal = Journal()
    state = journal.state()
    entry = journal.second._replace(
        counts=Counts(consumed=1, rejections=1, commands=2), records=(rejection(),)
    )
    before = state_of(state.ledger.account("acme"))
    state.fold(entry, digest_of(entry))
    assert state_of(state.ledger.account("acme")) == before


@pytest.mark.parametrize("data", [b"", b"\xc3\x01", b"{}", bytes(40)])
def test_a_journal_that_holds_anything_else_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenInvariant):
        decode_commit(data)
    with pytest.raises(BrokenInvariant):
        decode_record(data)


def test_a_record_in_the_place_of_a_commit_is_refused_and_the_other_way_round() -> None:
    journal = Journal()
    with pytest.raises(BrokenInvariant):
        decode_commit(encode_record(rejection()))
    with pytest.raises(BrokenInvariant):
        decode_record(data_of(journal.first))
