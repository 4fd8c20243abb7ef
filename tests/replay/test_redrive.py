"""Sending again: what goes out, what does not, and that everything is charged once in the end."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.journal import commit_digest
from engine.adapters.avro.usage import Fields, encode_usage
from engine.adapters.avro.wire import encode
from engine.adapters.documents.usage import usage_json
from engine.adapters.memory import MemoryLog
from engine.adapters.signing import HEADER, sign
from engine.ports import LogPruned, LogRecord, TopicPartition
from engine.rating.command import AccountCommand, OpenAccount
from engine.rating.errors import Refusal
from engine.rating.event import Rejection
from engine.rating.period import UTC_ZONE
from engine.rating.usage import Position
from replay.redrive import NOT_SENT, SENT, SKIPPED, Impossible, Outcome, Resend, redrive
from replay.rejections import Found
from schemas.loader import latest
from tests.properties.memory_deployment import HOMES
from tests.replay.rejected import Rejecting, event
from tests.stream.test_bad_records import cloudevent

KEY, OTHER_KEY = b"a key of thirty-two bytes length!", b"another key, of another gateway.."
UNKNOWN_SCHEMA = b"\xc3\x01" + bytes(8) + b"body"


def outcomes(told: Sequence[Outcome]) -> list[str]:
    return [outcome for _, outcome, _ in told]


def redriven(deployment: Rejecting, **keys: Sequence[bytes]) -> tuple[list[Outcome], list[Resend]]:
    return deployment.redrive(deployment.found(), **keys)


def test_an_event_that_was_alone_goes_out_byte_for_byte_with_its_headers_to_its_account() -> None:
    deployment = Rejecting()
    value = cloudevent(usage_json(event("e1", "globex", source="gateway-9")), source="gateway-9",
                       id="e1", time=None)  # fmt: skip
    headers = (("traceparent", b"00-1"), ("content-type", b"application/cloudevents+json"))
    deployment.usage(value, partition=0, key=b"some key", headers=headers)
    told, sent = redriven(deployment)
    assert outcomes(told) == [SENT]
    assert sent == [Resend("usage", HOMES["globex"], b"globex", value, headers)]


def test_an_event_of_a_batch_goes_out_alone() -> None:
    deployment = Rejecting()
    bad = event("e2", source="gateway-9")
    deployment.send_batch(event("e1"), bad, event("e3"))
    told, sent = redriven(deployment)
    assert outcomes(told) == [SENT]
    assert sent == [Resend("usage", 0, b"acme", encode_usage(bad))]


def test_an_event_of_a_json_batch_that_can_not_be_read_takes_the_whole_record_along_once() -> None:
    deployment = Rejecting()
    good = cloudevent(usage_json(event("good")), id="good", time=None)
    value = b"[" + b",".join([good, b"1", b"2"]) + b"]"
    deployment.usage(value)
    told, sent = redriven(deployment)
    assert sent == [Resend("usage", 0, None, value)]
    assert outcomes(told) == [SENT, SKIPPED]
    assert told[1].detail == "the same bytes as usage/0/0/1"


def test_an_unreadable_record_goes_out_as_it_was_to_where_it_stood() -> None:
    deployment = Rejecting()
    headers = (("x", b"1"),)
    deployment.usage(UNKNOWN_SCHEMA, partition=1, key=b"key", headers=headers)
    told, sent = redriven(deployment)
    assert sent == [Resend("usage", 1, b"key", UNKNOWN_SCHEMA, headers)]
    assert told[0].detail == "to usage[1]"
    assert [entry.state for entry in deployment.found()] == ["open", "open"]


def test_an_event_without_an_account_goes_to_where_its_record_stood() -> None:
    deployment = Rejecting()
    value = encode_usage(event("e1", ""))
    deployment.usage(value, partition=1, key=b"key")
    _, sent = redriven(deployment)
    assert sent == [Resend("usage", 1, b"key", value)]


def test_a_forwarded_event_goes_to_usage_as_its_source_sent_it() -> None:
    deployment = Rejecting()
    bad = event("e1", "globex")
    deployment.usage(encode_usage({**bad, "model": "gpt-4o"}), partition=0)
    deployment.usage(encode_usage({**bad, "model": "gpt-5"}), partition=0)
    (found,) = deployment.found()
    assert found.rejection.position.topic == "usage-forwarded"
    _, sent = deployment.redrive([found])
    assert sent == [Resend("usage", 1, b"globex", encode_usage({**bad, "model": "gpt-5"}))]


def test_a_misplaced_command_goes_to_the_partition_of_its_account_and_is_decided() -> None:
    deployment = Rejecting()
    command = encode_command(AccountCommand("again", "acme", "", OpenAccount("USD", UTC_ZONE)))
    deployment.command(1, command)
    deployment.command(1, b"junk")
    told, sent = redriven(deployment)
    assert outcomes(told) == [SENT, SENT]
    assert sent == [
        Resend("accounts", 0, b"acme", command),
        Resend("accounts", 1, None, b"junk"),
    ]
    states = [(e.rejection.event_id, e.state) for e in deployment.found()]
    assert states == [("again", "resolved"), ("", "open"), ("", "open")]


def test_what_is_resolved_is_skipped_and_says_by_what() -> None:
    deployment = Rejecting()
    deployment.send(event("e1", model=""), event("e1"))
    told, sent = redriven(deployment)
    assert (outcomes(told), sent) == ([SKIPPED], [])
    assert told[0].detail == f"resolved by {told[0].found.resolved_by[0]}"


def test_the_same_bytes_rejected_twice_go_out_once() -> None:
    deployment = Rejecting()
    bad = event("e1", source="gateway-9")
    deployment.send(bad, bad)
    deployment.send_batch(event("e0"), bad)
    told, sent = redriven(deployment)
    assert len(sent) == 1
    assert outcomes(told) == [SENT, SKIPPED, SKIPPED]


class Changed(MemoryLog):
    """A log in which `usage` is pruned up to an offset, and one value is another."""

    def __init__(self, deployment: Rejecting, pruned: int = 0, value: bytes | None = None) -> None:
        super().__init__(deployment.cluster)
        self._pruned = pruned
        self._value = value

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[LogRecord]:
        if partition.topic == "usage" and start < self._pruned:
            raise LogPruned(f"{partition} {start}")
        for record in super().read(partition, start, end):
            is_changed = partition.topic == "usage" and self._value is not None
            yield record._replace(value=self._value or b"") if is_changed else record


def test_an_original_that_was_pruned_is_told_and_the_others_go_out() -> None:
    deployment = Rejecting()
    deployment.send(event("e1", source="gateway-9"), event("e2", source="gateway-9"))
    told, sent = deployment.redrive(deployment.found(), Changed(deployment, pruned=1))
    assert outcomes(told) == [NOT_SENT, SENT]
    assert "give --archive" in told[0].detail
    assert len(sent) == 1


@pytest.mark.parametrize(
    "value", [b"", b"hello", encode_usage(event("e1")), encode_usage(event("e2", model=""))]
)
@pytest.mark.parametrize("in_batch", [True, False])
def test_an_original_with_another_digest_is_not_sent(value: bytes, in_batch: bool) -> None:
    deployment = Rejecting()
    bad = event("e1", source="gateway-9")
    deployment.send_batch(bad, bad) if in_batch else deployment.send(bad)
    told, sent = deployment.redrive(deployment.found(), Changed(deployment, value=value))
    assert set(outcomes(told)) == {NOT_SENT}
    assert "expected bytes with the SHA-256" in told[0].detail
    assert sent == []


def test_a_topic_that_ends_before_the_original_is_told() -> None:
    deployment = Rejecting()
    deployment.send(event("e1", source="gateway-9"))
    (found,) = deployment.found()
    beyond = found.rejection._replace(position=Position("usage", 0, 99))
    told, sent = deployment.redrive([found._replace(rejection=beyond)])
    assert (outcomes(told), sent) == ([NOT_SENT], [])
    assert "its topic ends before it" in told[0].detail


def test_a_send_that_fails_is_told_and_may_be_tried_by_the_next_of_the_same_bytes() -> None:
    deployment = Rejecting()
    bad = event("e1", source="gateway-9")
    deployment.send(bad, bad)
    found = deployment.found()
    answers = iter([Impossible("no answer"), None])
    told = list(redrive_with(deployment, found, answers))
    assert [(outcome, detail) for _, outcome, detail in told] == [
        (NOT_SENT, "no answer"),
        (SENT, "to usage[0]"),
    ]


def redrive_with(
    deployment: Rejecting, found: Sequence[Found], answers: Iterator[Impossible | None]
) -> Iterator[Outcome]:
    return redrive(deployment.log, found, deployment.planner().plan, lambda _: next(answers))


def test_an_event_encoded_by_an_older_schema_is_known_by_its_copy_in_the_journal() -> None:
    deployment = Rejecting()
    fields = event("e1", source="gateway-9")
    deployment.send_batch(event("e0"), fields)
    deployment.work()
    (record,) = deployment.log.read(TopicPartition("usage", 0), 0, 1)
    quantities = {**fields["quantities"], "pass_through_cost": b"\0\0\0"}
    older = encode(latest("usage_event"), {**fields, "quantities": quantities})
    assert older != encode_usage(fields)
    rejection = rejected(older, fields)
    planner = deployment.planner()
    assert planner.plan(rejection, record) == Resend("usage", 0, b"acme", encode_usage(fields))
    cut = rejection._replace(original=older[:20])
    assert isinstance(planner.plan(cut, record), Impossible)


def test_a_schema_that_was_published_since_the_rejection_does_not_keep_an_event_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Rejecting()
    fields = event("e1", source="gateway-9")
    deployment.send_batch(event("e0"), fields)
    found = deployment.found()
    newer = encode_usage(fields)[:-1] + b"\2\0"
    monkeypatch.setattr("replay.redrive.encode_usage", lambda _: newer)
    told, sent = deployment.redrive(found)
    assert outcomes(told) == [SENT]
    assert sent == [Resend("usage", 0, b"acme", newer)]


@pytest.mark.parametrize("near", [1, 2, 3, 100])
def test_originals_are_found_however_far_they_stand_apart(
    monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr("replay.redrive._NEAR_OFFSETS", near)
    deployment = Rejecting()
    bad = {0, 1, 3, 8}
    for number in range(10):
        gateway = "gateway-9" if number in bad else "gateway-1"
        deployment.send(event(f"e{number}", source=gateway))
    told, sent = redriven(deployment)
    assert outcomes(told) == [SENT] * 4
    assert sent == [
        Resend("usage", 0, b"acme", encode_usage(event(f"e{number}", source="gateway-9")))
        for number in sorted(bad)
    ]


def rejected(original: bytes, fields: Fields) -> Rejection:
    refusal = Refusal("unregistered_source", "source: ...")
    names = (fields["account_id"], fields["source"], fields["event_id"])
    digest = commit_digest(original)
    return Rejection(
        Position("usage", 0, 0, 1), 5, refusal, *names, digest, len(original), original
    )


def signing(deployment: Rejecting, *headers: tuple[str, bytes], batch: bool = False) -> None:
    """Have an unregistered source's event rejected, then register it with a key."""
    bad = event("e1", source="gateway-9")
    deployment.usage(encode_usage(bad), headers=headers)
    if batch:
        deployment.send_batch(bad, event("e2", source="gateway-9"))
    deployment.work()
    deployment.register("gateway-9", KEY)


def test_what_a_source_must_sign_is_not_sent_without_its_key() -> None:
    deployment = Rejecting()
    signing(deployment)
    for keys in ({}, {"gateway-9": [OTHER_KEY]}):
        told, sent = redriven(deployment, **keys)
        assert (outcomes(told), sent) == ([NOT_SENT], [])
        assert "source 'gateway-9' signs its records: expected its key" in told[0].detail


def test_what_a_source_must_sign_is_signed_with_its_key_once() -> None:
    deployment = Rejecting()
    signing(deployment, (HEADER, b"stale"), ("x", b"1"), batch=True)
    told, sent = redriven(deployment, **{"gateway-9": [OTHER_KEY, KEY]})
    assert outcomes(told) == [SENT, SENT, SENT]
    for resend in sent:
        assert [h for h in resend.headers if h[0] == HEADER] == [sign(KEY, resend.value)]


def test_a_record_keeps_its_own_signature_if_that_is_not_what_it_was_rejected_for() -> None:
    deployment = Rejecting()
    own = sign(KEY, encode_usage(event("e1", source="gateway-9")))
    signing(deployment, own)
    _, sent = redriven(deployment)
    assert [resend.headers for resend in sent] == [(own,)]


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["e1", "e2", "e3", "e4"]), st.sampled_from(["1", "9"])),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_after_the_fix_and_a_redrive_everything_is_charged_once_and_nothing_is_left_to_send(
    batches: list[list[tuple[str, str]]],
) -> None:
    deployment = Rejecting()
    for batch in batches:
        deployment.send_batch(*(event(f"{e}-{n}", source=f"gateway-{n}") for e, n in batch))
    found = deployment.found()
    deployment.register("gateway-9")
    deployment.redrive(found)
    again = deployment.found()
    assert {entry.state for entry in again} <= {"resolved"}
    told, sent = deployment.redrive(again)
    assert (set(outcomes(told)) <= {SKIPPED}, sent) == (True, [])
    expected = {f"{name}-{n}" for batch in batches for name, n in batch}
    assert deployment.charged() == dict.fromkeys(expected, 1)
