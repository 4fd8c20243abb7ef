"""How a stream is cut, and which transactions fail on the way, never shows in what is charged.

The real worker runs over the cluster in memory, which keeps the contract that Kafka keeps
(tests/ports). Inputs come in phases; within one, polls, commits, restarts, failures and hand-overs
fall anywhere.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TypeGuard

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from engine.adapters.avro.journal import decode_record
from engine.adapters.avro.usage import encode_usage
from engine.adapters.memory import MemoryCluster
from engine.ports import LogUnavailable, TopicPartition
from engine.rating.charge import USAGE, Charge
from engine.rating.event import Rejection
from engine.rating.journal import Counts
from tests.properties.memory_deployment import (
    ABORTED,
    FAILURES,
    HOMES,
    TOPICS,
    Caches,
    MemoryWorker,
    Outcome,
    append_phase,
    outcomes,
    work,
)
from tests.properties.streams import Input, Use, lives, streams
from tests.rating.scenario import usage_fields


def _in_phases(stream: list[Input], cuts: set[int]) -> list[list[Input]]:
    edges = [0, *sorted(cuts), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(edges)]


CUTS = st.sets(st.integers(4, 30), max_size=3)
PHASES = st.builds(_in_phases, streams(), CUTS)
PHASES_OF_LIVES = st.builds(_in_phases, lives(), CUTS)
"""A stream in up to four phases; each is appended once the one before is journaled."""

BATCH_SIZES = st.lists(st.integers(1, 6), max_size=6)
POLLS = st.lists(st.integers(1, 7), min_size=1, max_size=8)
SMALL_COMMITS = st.sampled_from([1, 300, 1_000, 4 * 1024 * 1024])
SOME_FAILURES = st.lists(st.sampled_from([None, *FAILURES]), max_size=12)


def in_one_go(phases: Sequence[Sequence[Input]], batch_sizes: Sequence[int]) -> list[Outcome]:
    """Return what the phases come to without cut or failure."""
    cluster = MemoryCluster(TOPICS)
    worker = MemoryWorker(cluster)
    for phase in phases:
        append_phase(cluster, phase, batch_sizes)
        work(cluster, worker.turn)
    return outcomes(cluster)


class Turns:
    """Turns with poll sizes that repeat."""

    def __init__(self, worker: MemoryWorker, polls: Sequence[int]) -> None:
        self.worker = worker
        self._polls = polls
        self._taken = 0

    def __call__(self) -> None:
        self.worker.turn(self._polls[self._taken % len(self._polls)])
        self._taken += 1


def expect_exactly_once(phases: Sequence[Sequence[Input]], found: Sequence[Outcome]) -> None:
    """Check counts and charges against what was sent, without asking the ledger."""
    uses = [entry for phase in phases for entry in phase if isinstance(entry, Use)]
    total = Counts()
    for one in found:
        assert one.counts.conserved
        total = total.plus(one.counts)
    records = [decode_record(data) for one in found for data in one.records]
    charged = [(r.account_id, r.event_id) for r in records if is_of_usage(r)]
    rejected = [r for r in records if isinstance(r, Rejection)]
    priced = {(use.account_id, use.event_id) for use in uses if any(q for _, q in use.quantities)}
    assert sorted(charged) == sorted(priced)
    assert total.consumed == len(uses)
    assert total.charges == len(charged)
    assert total.rejections == len(rejected)
    assert total.duplicates == len(uses) - len(charged) - len(rejected)


def is_of_usage(record: object) -> TypeGuard[Charge]:
    return isinstance(record, Charge) and record.kind == USAGE


@given(PHASES, BATCH_SIZES, POLLS, SMALL_COMMITS)
def test_any_cut_into_polls_and_commits_gives_the_same_charges_byte_for_byte(
    phases: list[list[Input]], batch_sizes: list[int], polls: list[int], commit_bytes: int
) -> None:
    cluster = MemoryCluster(TOPICS)
    turn = Turns(MemoryWorker(cluster, max_commit_bytes=commit_bytes), polls)
    for phase in phases:
        append_phase(cluster, phase, batch_sizes)
        work(cluster, turn)
    found = outcomes(cluster)
    assert found == in_one_go(phases, batch_sizes)
    expect_exactly_once(phases, found)


@given(PHASES_OF_LIVES, BATCH_SIZES, POLLS, SMALL_COMMITS, SOME_FAILURES)
def test_voids_grants_and_the_clock_come_to_the_same_however_they_are_cut_and_fail(
    phases: list[list[Input]],
    batch_sizes: list[int],
    polls: list[int],
    commit_bytes: int,
    failures: list[str | None],
) -> None:
    cluster = MemoryCluster(TOPICS)
    worker = MemoryWorker(cluster, failures=failures, max_commit_bytes=commit_bytes)
    turn = Turns(worker, polls)
    for phase in phases:
        append_phase(cluster, phase, batch_sizes)
        work(cluster, turn)
    found = outcomes(cluster)
    assert found == in_one_go(phases, batch_sizes)
    assert all(one.counts.conserved for one in found)
    uses = [entry for phase in phases for entry in phase if isinstance(entry, Use)]
    assert sum(one.counts.consumed for one in found) == len(uses)


@given(
    st.one_of(PHASES, PHASES_OF_LIVES),
    BATCH_SIZES,
    POLLS,
    st.integers(1, 5),
    st.lists(st.sampled_from(["indexes", "snapshots", "nothing"]), max_size=10),
)
def test_a_worker_that_starts_again_after_any_turn_goes_on_as_if_it_had_not(
    phases: list[list[Input]], batch_sizes: list[int], polls: list[int], life: int, lost: list[str]
) -> None:
    """Killed or stopped, with its identity index or its snapshots deleted meanwhile."""
    cluster, caches = MemoryCluster(TOPICS), Caches()
    turn, taken = Turns(MemoryWorker(cluster, caches=caches), polls), 0
    losses = iter(lost)

    def turn_or_start_again() -> None:
        nonlocal taken
        taken += 1
        if taken % (life + 2) == 0:
            if taken % 2:
                turn.worker.worker.close()
            caches.lose(next(losses, "nothing"))
            turn.worker = MemoryWorker(cluster, caches=caches)
        turn()

    for phase in phases:
        append_phase(cluster, phase, batch_sizes)
        work(cluster, turn_or_start_again)
    assert outcomes(cluster) == in_one_go(phases, batch_sizes)


@given(PHASES, BATCH_SIZES, POLLS, SMALL_COMMITS, SOME_FAILURES)
def test_commits_that_fail_in_any_way_change_nothing_in_what_is_charged(
    phases: list[list[Input]],
    batch_sizes: list[int],
    polls: list[int],
    commit_bytes: int,
    failures: list[str | None],
) -> None:
    cluster = MemoryCluster(TOPICS)
    worker = MemoryWorker(cluster, failures=failures, max_commit_bytes=commit_bytes)
    turn = Turns(worker, polls)
    for phase in phases:
        append_phase(cluster, phase, batch_sizes)
        work(cluster, turn)
    event(f"failed commits: {worker.transactions.failed}")
    found = outcomes(cluster)
    assert found == in_one_go(phases, batch_sizes)
    expect_exactly_once(phases, found)


@given(PHASES, POLLS, st.sets(st.integers(0, 40), max_size=5), SOME_FAILURES)
def test_a_broker_that_is_away_at_any_question_costs_time_only(
    phases: list[list[Input]], polls: list[int], away: set[int], failures: list[str | None]
) -> None:
    cluster = MemoryCluster(TOPICS)
    turn = Turns(MemoryWorker(cluster, failures=failures, away=away), polls)

    def turn_in_spite_of_it() -> None:
        with suppress(LogUnavailable):
            turn()

    for phase in phases:
        append_phase(cluster, phase, ())
        work(cluster, turn_in_spite_of_it)
    found = outcomes(cluster)
    assert found == in_one_go(phases, ())
    expect_exactly_once(phases, found)


@given(PHASES, POLLS)
def test_events_of_an_aborted_transaction_are_charged_on_retry_and_are_no_duplicates(
    phases: list[list[Input]], polls: list[int]
) -> None:
    cluster = MemoryCluster(TOPICS)
    turn = Turns(MemoryWorker(cluster, failures=[ABORTED] * 5), polls)
    for phase in phases:
        append_phase(cluster, phase, ())
        work(cluster, turn)
    found = outcomes(cluster)
    assert found == in_one_go(phases, ())
    expect_exactly_once(phases, found)


@given(
    PHASES,
    POLLS,
    st.lists(st.tuples(st.booleans(), st.sampled_from(["turn", "close", "fail"])), max_size=40),
)
def test_partitions_that_move_between_two_workers_are_charged_once(
    phases: list[list[Input]], polls: list[int], script: list[tuple[bool, str]]
) -> None:
    cluster = MemoryCluster(TOPICS)
    slots = ("worker-1", "worker-2")
    workers = {slot: Turns(MemoryWorker(cluster, slot), polls) for slot in slots}
    steps = iter(script)

    def step() -> None:
        is_second, action = next(steps, (False, "turn"))
        slot = slots[is_second]
        if action == "close":
            workers[slot].worker.inputs.close()
        if action != "turn":
            failures = [ABORTED] if action == "fail" else []
            workers[slot] = Turns(MemoryWorker(cluster, slot, failures), polls)
        workers[slot]()
        if next(steps, None) is None:
            for turns in workers.values():
                turns()

    for phase in phases:
        append_phase(cluster, phase, ())
        work(cluster, step)
    found = outcomes(cluster)
    assert found == in_one_go(phases, ())
    expect_exactly_once(phases, found)


@given(PHASES, POLLS, st.sets(st.integers(1, 12), max_size=4))
def test_a_worker_that_is_overtaken_between_deciding_and_committing_commits_nothing(
    phases: list[list[Input]], polls: list[int], overtaken_at: set[int]
) -> None:
    """A zombie: while it holds a decided batch, another worker joins, folds, works and leaves."""
    cluster = MemoryCluster(TOPICS)
    zombie = MemoryWorker(cluster)
    turn, commits = Turns(zombie, polls), 0

    def be_overtaken() -> None:
        nonlocal commits
        commits += 1
        if commits in overtaken_at:
            other = MemoryWorker(cluster, "worker-0")
            for _ in range(3):
                other.turn()
            other.inputs.close()

    zombie.transactions.before_commit = be_overtaken
    for phase in phases:
        append_phase(cluster, phase, ())
        work(cluster, turn)
    found = outcomes(cluster)
    assert found == in_one_go(phases, ())
    expect_exactly_once(phases, found)


@given(PHASES, POLLS, st.sets(st.integers(1, 12), max_size=4))
def test_the_place_of_its_record_stops_a_zombie_that_nothing_else_stops(
    phases: list[list[Input]], polls: list[int], overtaken_at: set[int]
) -> None:
    """Optimistic append: the same zombie, whose membership is taken as if it were of now."""
    cluster = MemoryCluster(TOPICS)
    zombie = MemoryWorker(cluster)
    turn, commits = Turns(zombie, polls), 0
    group = cluster.group("workers")

    def be_overtaken() -> None:
        nonlocal commits
        commits += 1
        if commits in overtaken_at:
            members, generation = dict(group.members), group.generation
            other = MemoryWorker(cluster, "worker-0")
            for _ in range(3):
                other.turn()
            group.members, group.generation = members, generation

    zombie.transactions.before_commit = be_overtaken
    for phase in phases:
        append_phase(cluster, phase, ())
        work(cluster, turn)
    found = outcomes(cluster)
    assert found == in_one_go(phases, ())
    expect_exactly_once(phases, found)


@pytest.mark.parametrize("question", range(14))
def test_a_recovery_that_is_broken_off_between_two_partitions_skips_nothing(question: int) -> None:
    cluster = MemoryCluster(TOPICS)
    for number in range(6):
        fields = usage_fields(f"e{number}", "2026-11-02T00:00:00Z", {"input": 3})
        cluster.append(TopicPartition("usage", HOMES["acme"]), encode_usage(fields))
    worker = MemoryWorker(cluster, away={question})
    for _ in range(12):
        with suppress(LogUnavailable):
            worker.turn(2)
    assert outcomes(cluster)[HOMES["acme"]].counts.charges == 6
