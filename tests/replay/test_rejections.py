"""Which rejections are open: decided later, elsewhere, before, or by bytes that only today reads."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.authority import encode_registration
from engine.adapters.avro.journal import commit_digest, encode_commit, encode_record
from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.memory import MemoryLog
from engine.adapters.tariff_log import TARIFFS
from engine.rating.authority import OPEN
from engine.rating.command import AccountCommand, OpenAccount
from engine.rating.errors import BrokenChain, Refusal
from engine.rating.event import Record, Rejection
from engine.rating.journal import NO_DIGEST, Counts, JournalCommit
from engine.rating.period import UTC_ZONE
from engine.rating.usage import Position, identity_key
from replay.rejections import (
    Wanted,
    find_rejections,
    parse_rejection_id,
    read_rejection,
    rejection_id,
)
from tests.rating.scenario import ONE_DOLLAR_EACH, acme_on
from tests.replay.clusters import Journaling, new_cluster
from tests.replay.rejected import WHEN, Rejecting, event

TOPICS = ("usage", "usage-forwarded", "accounts")


def states(deployment: Rejecting) -> dict[str, str]:
    return {entry.id: entry.state for entry in deployment.found()}


def test_a_rejection_is_open_until_its_identity_is_charged() -> None:
    deployment = Rejecting()
    deployment.send(event("e1", model=""), event("e2", model=""))
    assert states(deployment) == {"usage/0/0/0": "open", "usage/0/1/0": "open"}
    deployment.send(event("e1"))
    mended, other = deployment.found()
    assert (mended.state, other.state) == ("resolved", "open")
    assert mended.resolved_by == (identity_key("acme", "gateway-1", "e1"),)


def test_what_was_charged_before_does_not_resolve_a_later_rejection() -> None:
    deployment = Rejecting()
    deployment.send_batch(event("e1"), event("e1", model=""))
    assert states(deployment) == {"usage/0/0/1": "open"}


def test_an_identity_with_other_content_stays_open_because_it_stays_occupied() -> None:
    deployment = Rejecting()
    deployment.send(event("e1"), event("e1", model="gpt-5"), event("e1"))
    (found,) = deployment.found()
    assert (found.rejection.refusal.code, found.state) == ("identity_conflict", "open")


def test_an_event_rejected_on_a_foreign_partition_is_resolved_by_its_charge_at_home() -> None:
    deployment = Rejecting()
    deployment.usage(encode_usage(event("e1", source="gateway-9")), partition=1)
    assert states(deployment) == {"usage/1/0/0": "open"}
    deployment.register("gateway-9")
    deployment.send(event("e1", source="gateway-9"))
    assert states(deployment) == {"usage/1/0/0": "resolved"}


def test_a_rejected_void_is_resolved_once_it_has_an_effect_or_waits_or_was_refused() -> None:
    deployment = Rejecting()
    deployment.send(event("e1"))
    voids = [event(f"v{n}", action="void", corrects=f"e{n}") for n in (1, 2)]
    voids.append(event("v3", action="void", corrects="v3"))
    deployment.send(*voids)
    assert [entry.state for entry in deployment.found()] == ["open"] * 3
    deployment.cluster.append(TARIFFS, encode_registration(OPEN._replace(source="gateway-1")))
    deployment.work()
    deployment.send(*voids)
    found = deployment.found()
    assert [entry.state for entry in found] == ["resolved"] * 3
    assert [entry.resolved_by for entry in found][1:] == [("v2",), ("v3",)]


def test_a_rejected_command_is_resolved_once_it_was_decided() -> None:
    deployment = Rejecting()
    command = encode_command(AccountCommand("again", "acme", "", OpenAccount("USD", UTC_ZONE)))
    deployment.command(1, command)
    (found,) = deployment.found()
    assert (found.rejection.refusal.code, found.state) == ("misrouted", "open")
    deployment.command(0, command)
    (found,) = deployment.found()
    assert (found.state, found.resolved_by) == ("resolved", ("again",))


def journal(*commits: Sequence[Record]) -> MemoryLog:
    """Return a journal whose first partition has these commits."""
    cluster, previous = new_cluster(), NO_DIGEST
    journaling = Journaling(cluster)
    for number, records in enumerate(commits, 1):
        commit = JournalCommit(0, number, previous, (), 0, Counts(), ())
        data = encode_commit(commit, [encode_record(record) for record in records])
        journaling.commit(data)
        previous = commit_digest(data)
    return MemoryLog(cluster)


def unreadable(value: bytes, kept: int = 16 * 1024) -> Rejection:
    """Return how a worker rejects bytes whose schema it does not know."""
    refusal = Refusal("unknown_schema", "fingerprint: ...")
    digest = commit_digest(value)
    return Rejection(
        Position("usage", 0, 7), 5, refusal, "", "", "", digest, len(value), value[:kept]
    )


def states_in(log: MemoryLog) -> list[str]:
    return [entry.state for entry in find_rejections(log, 2, Wanted())]


def test_a_record_that_only_today_is_read_is_resolved_once_all_its_events_are_charged() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    value = encode_usage_batch([event("e1"), event("e2")])
    first, second = (scenario.charged(name, WHEN, {"input": 1}) for name in ("e1", "e2"))
    assert states_in(journal([unreadable(value)], [first])) == ["open"]
    assert states_in(journal([unreadable(value)], [first, second])) == ["resolved"]
    assert states_in(journal([first, second, unreadable(value)])) == ["open"]


def test_a_record_of_which_only_a_part_is_kept_stays_open() -> None:
    charge = acme_on(ONE_DOLLAR_EACH).charged("e1", WHEN, {"input": 1})
    rejection = unreadable(encode_usage(event("e1")), kept=20)
    assert states_in(journal([rejection], [charge])) == ["open"]


def test_garbage_stays_open() -> None:
    deployment = Rejecting()
    deployment.usage(b"", b"hello", b"{", encode_usage(event("e1"))[:-3])
    assert set(states(deployment).values()) == {"open"}


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(), ["usage/0/0/0", "usage/1/0/0", "usage/0/1/0"]),
        (Wanted(codes=frozenset(["missing_field"])), ["usage/0/0/0", "usage/1/0/0"]),
        (Wanted(account_id="globex"), ["usage/1/0/0"]),
        (Wanted(source="gateway-9"), ["usage/0/1/0"]),
        (Wanted(positions=frozenset([Position("usage", 0, 1)])), ["usage/0/1/0"]),
        (Wanted(since=0, until=1), []),
    ],
)
def test_rejections_are_chosen_by_what_is_asked_in_the_order_of_receipt(
    wanted: Wanted, ids: list[str]
) -> None:
    deployment = Rejecting()
    deployment.send(
        event("e1", model=""), event("e2", "globex", model=""), event("e3", source="gateway-9")
    )
    assert [entry.id for entry in deployment.found(wanted)] == ids


def test_a_time_range_holds_its_beginning_and_not_its_end() -> None:
    deployment = Rejecting()
    deployment.send(event("e1", model=""), event("e2", model=""))
    first, second = (entry.rejection.received_at for entry in deployment.found())
    assert [e.id for e in deployment.found(Wanted(since=first, until=second))] == ["usage/0/0/0"]


def test_a_rejection_is_read_again_with_its_original() -> None:
    deployment = Rejecting()
    deployment.send_batch(event("e1"), event("e2", model=""), event("e3", model=""))
    found = deployment.found()
    assert [entry.rejection.original for entry in found] == [b"", b""]
    again = [read_rejection(deployment.log, entry) for entry in found]
    assert [r.original for r in again] == [
        encode_usage(event(name, model="")) for name in ("e2", "e3")
    ]


def test_a_journal_whose_chain_is_broken_is_not_believed() -> None:
    commit = JournalCommit(0, 2, NO_DIGEST, (), 0, Counts(), ())
    cluster = new_cluster()
    Journaling(cluster).commit(encode_commit(commit, []))
    with pytest.raises(BrokenChain):
        find_rejections(MemoryLog(cluster), 2, Wanted())


@given(st.sampled_from(TOPICS), *[st.integers(0, 2**40)] * 3)
def test_an_id_names_its_position(topic: str, partition: int, offset: int, index: int) -> None:
    position = Position(topic, partition, offset, index)
    assert parse_rejection_id(rejection_id(position)) == position


@given(st.text(alphabet="usage/0123-²", max_size=16))
def test_what_is_no_id_names_nothing(text: str) -> None:
    position = parse_rejection_id(text)
    assert position is None or rejection_id(position) == text
