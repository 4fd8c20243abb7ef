"""Poison: whatever stands in a topic, the stream lives on and nothing is lost.

Each kind of bad record is followed by a good event of the same partition. The bad one must be
rejected with its reason, its position and the digest of its bytes; the good one must be charged.
"""

import json
import uuid
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from engine.adapters.avro.account import encode_command
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import encode_usage, encode_usage_batch
from engine.adapters.avro.wire import encode, to_decimal
from engine.adapters.documents.usage import usage_json
from engine.adapters.kafka.partitioning import partition_of
from engine.rating.command import AccountCommand, OpenAccount
from engine.rating.period import UTC_ZONE
from schemas.loader import latest
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

pytestmark = pytest.mark.kafka

HOME = partition_of("acme", PARTITIONS)
STRANGER = next(f"x{n}" for n in range(99) if partition_of(f"x{n}", PARTITIONS) != HOME)
GOOD = encode_usage(usage("good"))
EVENT = latest("usage_event")


def raw(**fields: Any) -> bytes:
    """Return an Avro usage event with fields that the publisher would not send."""
    event = usage("bad", **fields)
    quantities = {**event["quantities"]}
    quantities["pass_through_cost"] = to_decimal(quantities["pass_through_cost"])
    return encode(EVENT, {**event, "quantities": quantities})


def cloudevent(data: object = None, **envelope: Any) -> bytes:
    """Return a structured CloudEvent around usage; an attribute of None is left out."""
    form = {
        "specversion": "1.0",
        "type": "tollbook.usage.v1",
        "source": "gateway-1",
        "id": "bad",
        "time": "2026-11-24T09:00:00Z",
        "data": usage_json(usage("bad")) if data is None else data,
        **envelope,
    }
    return json.dumps({key: value for key, value in form.items() if value is not None}).encode()


BAD_RECORDS = {
    "nothing at all": (b"", "empty_record"),
    "Confluent framing": (b"\0\0\0\0\x07" + GOOD, "confluent_framing"),
    "text that is no record": (b"hello", "unrecognised_format"),
    "random bytes": (bytes(range(128, 256)), "unrecognised_format"),
    "an unknown schema": (b"\xc3\x01" + bytes(8) + b"body", "unknown_schema"),
    "a record cut short": (GOOD[:-9], "undecodable"),
    "bytes after the record": (GOOD + b"!", "trailing_bytes"),
    "a record of another type": (
        encode_command(AccountCommand("c", "acme", "", OpenAccount("USD", UTC_ZONE))),
        "wrong_record_type",
    ),
    "text that is no UTF-8": (GOOD.replace(b"openai", b"\xff\xfe\xfd\xfc\xfb\xfa"), "undecodable"),
    "a batch of nothing": (encode(latest("usage_batch"), {"events": []}), "empty_batch"),
    "an account that is not named": (raw(account_id=""), "missing_field"),
    "a model that is not named": (raw(model=""), "missing_field"),
    "an endless text": (raw(subject="x" * 257), "text_too_long"),
    "control characters": (raw(trace_id="a\x07b"), "unprintable_text"),
    "a time before 2000": (raw(occurred_at=0), "time_out_of_range"),
    "a time in nanoseconds": (raw(occurred_at=1_795_000_000_000_000_000), "time_out_of_range"),
    "less than nothing": (raw(quantities={"input": -5}), "negative_quantity"),
    "more than there is": (raw(quantities={"input": 10**16}), "quantity_too_large"),
    "money of a thousand digits": (
        raw(quantities={"pass_through_cost": 10**3000}),
        "quantity_too_large",
    ),
    "no usage": (raw(quantities={"input": 0}), "no_quantities"),
    "an attribute that is not allowed": (raw(attributes={"prompt": "x"}), "attribute_not_allowed"),
    "a correction without a reason": (raw(corrects="e0"), "corrects_unexpected"),
    "an amendment of nothing": (raw(action="amend"), "corrects_missing"),
    "a void of nothing named": (raw(action="void"), "corrects_missing"),
    "a record too large to be usage": (b"\xc3\x01" + bytes(1024 * 1024), "record_too_large"),
    "broken JSON": (b'{"specversion": "1.0"', "invalid_json"),
    "a CloudEvent without its id": (cloudevent(id=None), "invalid_cloudevent"),
    "a CloudEvent of another kind": (cloudevent(type="order.created"), "unknown_event_type"),
    "a kind that is not known": (
        cloudevent({**usage_json(usage("bad")), "quantities": {"inputs": 1}}),
        "unknown_kind",
    ),
    "half a token": (
        cloudevent({**usage_json(usage("bad")), "quantities": {"input": 0.5}}),
        "invalid_field",
    ),
    "a field that is not known": (
        cloudevent({**usage_json(usage("bad")), "prompt": "secret"}),
        "unknown_field",
    ),
    "a time without a zone": (
        cloudevent({**usage_json(usage("bad")), "occurred_at": "2026-11-24T09:00:00"}, time=None),
        "invalid_time",
    ),
}


@pytest.fixture(scope="module")
def poisoned(kafka_bootstrap: str) -> Iterator[Deployment]:
    """A deployment whose usage topic holds every bad record, each followed by a good event."""
    deployment = Deployment(kafka_bootstrap, f"test-{uuid.uuid4().hex[:12]}.")
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ["acme"])
    values = []
    for number, (value, _) in enumerate(BAD_RECORDS.values()):
        values += [value, encode_usage(usage(f"good-{number}"))]
    deployment.send_raw("usage", HOME, values)
    deployment.rate_all(len(values))
    yield deployment
    deployment.close()


def test_every_consumed_record_has_exactly_one_outcome(poisoned: Deployment) -> None:
    counts = poisoned.counts()
    assert counts.conserved
    assert counts.consumed == 2 * len(BAD_RECORDS)
    assert counts.rejections == counts.charges == len(BAD_RECORDS)


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_is_rejected_with_its_reason_and_the_next_one_is_charged(
    name: str, poisoned: Deployment
) -> None:
    number = list(BAD_RECORDS).index(name)
    value, code = BAD_RECORDS[name]
    (rejection,) = [r for r in poisoned.rejections() if r.position.offset == 2 * number]
    assert rejection.refusal.code == code
    assert ": " in rejection.refusal.explanation
    assert rejection.position == ("usage", HOME, 2 * number, 0)
    assert rejection.digest == sha256(value).digest()
    assert (rejection.size, rejection.original) == (len(value), value[: 16 * 1024])
    assert [c.event_id for c in poisoned.charges() if c.event_id == f"good-{number}"]


def test_rejections_are_projected_as_they_stand_in_the_journal(poisoned: Deployment) -> None:
    poisoned.project_all()
    assert poisoned.records("rejections") == poisoned.rejections()


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ["acme"])
    yield deployment
    deployment.close()


def test_a_bad_event_in_a_batch_does_not_take_its_neighbours_along(deployment: Deployment) -> None:
    batch = [usage("e0"), usage("e1", model=""), usage("e2")]
    deployment.send_raw("usage", HOME, [encode_usage_batch(batch)])
    counts = deployment.rate_all(3)
    assert (counts.charges, counts.rejections) == (2, 1)
    (rejection,) = deployment.rejections()
    assert (rejection.event_id, rejection.position.index) == ("e1", 1)
    assert rejection.original == encode_usage(batch[1])
    assert [charge.position.index for charge in deployment.charges()] == [0, 2]


def test_the_same_identity_with_other_content_is_a_conflict(deployment: Deployment) -> None:
    deployment.send_usage([usage("e1"), usage("e1"), usage("e1", quantities={"input": 2})])
    counts = deployment.rate_all(3)
    assert (counts.charges, counts.duplicates, counts.rejections) == (1, 1, 1)
    (rejection,) = deployment.rejections()
    assert rejection.refusal.code == "identity_conflict"


def test_a_rejected_identity_is_free_and_the_mended_event_is_charged(
    deployment: Deployment,
) -> None:
    deployment.send_usage([usage("e1", quantities={"input": -1}), usage("e1")])
    counts = deployment.rate_all(2)
    assert (counts.charges, counts.rejections) == (1, 1)


def test_bad_commands_and_tariffs_stop_nothing(deployment: Deployment) -> None:
    misplaced = AccountCommand("c", STRANGER, "", OpenAccount("USD", UTC_ZONE))
    commands = [b"", b"junk", GOOD, encode_command(misplaced)]
    deployment.send_raw("accounts", HOME, commands)
    broken = encode_tariff(flat("3", version=3)).replace(b'"3"', b'"4"')
    deployment.send_raw("tariffs", 0, [b"", b"junk", broken, encode_tariff(flat("9", version=1))])
    deployment.publish_tariff(flat("2", version=2, since="2026-11-24T00:00:00Z"))
    deployment.send_usage([usage("e1")])
    deployment.rate_all(1)
    (charge,) = deployment.charges()
    assert charge.tariff is not None
    assert charge.tariff.version == 2
    codes = [rejection.refusal.code for rejection in deployment.rejections()]
    assert codes == ["empty_record", "unrecognised_format", "wrong_record_type", "misrouted"]
    counts = deployment.counts()
    assert (counts.commands, counts.commands_rejected) == (6, 4)
