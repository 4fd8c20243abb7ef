"""A worker killed again and again while buckets drain, usage is voided and time passes."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.adapters.avro.usage import Fields
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.rating.charge import CORRECTION, USAGE, Charge
from engine.rating.command import AccountCommand, AdvanceTo, IssueGrant
from engine.rating.event import AlertCleared, AlertRaised
from engine.rating.grant import MONEY, TOKENS, Grant, Rollover
from engine.rating.money import PICO
from engine.rating.usage import identity_key
from replay.journal import fold_journal
from replay.verify import Verifier
from tests.chaos.processes import kill, start, stop, wait_until
from tests.rating.scenario import at
from tests.stream.deployment import PARTITIONS, Deployment, flat, usage

pytestmark = pytest.mark.kafka

ACCOUNTS = [f"tenant-{number}" for number in range(9)]
BEGIN, END = at("2026-11-20T00:00:00Z"), at("2026-11-27T00:00:00Z")
HOUR = 3_600 * 1_000_000
HOURS = (END - BEGIN) // HOUR


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Deployment]:
    deployment = Deployment(kafka_bootstrap, topic_prefix)
    deployment.publish_tariff(flat("1"))
    deployment.open_accounts("plan", ACCOUNTS)
    with KafkaPublisher(deployment.settings) as publisher:
        for account_id in ACCOUNTS:
            publisher.commands(
                [
                    AccountCommand(grant.grant_id, account_id, "sales", IssueGrant(grant))
                    for grant in grants()
                ]
            )
    yield deployment
    deployment.close()


def grants() -> list[Grant]:
    """Return what each account has prepaid: tokens every day, a package that rolls over, money."""
    return [
        Grant("daily", TOKENS, 60 * PICO, BEGIN, None, BEGIN, recurrence="day"),
        Grant(
            "package",
            TOKENS,
            400 * PICO,
            BEGIN,
            BEGIN + 72 * HOUR,
            BEGIN,
            priority=1,
            rollover=Rollover(100 * PICO),
        ),
        Grant("credit", MONEY, 500 * PICO, BEGIN, BEGIN + 120 * HOUR, BEGIN, is_paid=True),
    ]


def stream_of(events: int, chance: random.Random) -> list[Fields]:
    """Return usage over a week; some is voided, before or after it comes, or amended, all repeated."""
    stream: list[Fields] = []
    for number in range(events):
        account_id = ACCOUNTS[number % len(ACCOUNTS)]
        occurred_at = BEGIN + number * (END - BEGIN) // events
        common: Fields = {"account_id": account_id, "occurred_at": occurred_at}
        event = usage(f"e{number}", quantities={"input": number % 5 + 1}, **common)
        luck = chance.random()
        void = usage(f"v{number}", action="void", corrects=f"e{number}", **common)
        if luck < 0.1:
            stream += [void, event]
        elif luck < 0.2:
            stream += [event, void, void]
        elif luck < 0.25:
            common |= {"action": "amend", "corrects": f"e{number}"}
            stream += [event, usage(f"a{number}", quantities={"output": 2}, **common)]
        else:
            stream.append(event)
        if luck > 0.95:
            stream.append(chance.choice(stream))
    return stream


def test_a_worker_killed_amid_buckets_voids_and_time_does_everything_once(
    deployment: Deployment, tmp_path: Path
) -> None:
    chance = random.Random(11)  # noqa: S311 - a repeatable test, no secret
    stream, log = stream_of(4_000, chance), tmp_path / "worker.log"
    kills = 5
    worker = start(deployment.settings, "run", log=log)
    share = len(stream) // (kills + 1) + 1
    for part, first in enumerate(range(0, len(stream), share)):
        goal = first + chance.randrange(share // 2)
        deployment.send_usage(stream[first : first + share])
        with KafkaPublisher(deployment.settings) as publisher:
            publisher.advance(AdvanceTo(BEGIN + part * HOURS // kills * HOUR))
        if part < kills:
            wait_until(
                lambda goal=goal: deployment.counts().consumed >= goal,  # type: ignore[misc]
                f"{goal} events decided; see {log.read_text()[-2000:]}",
            )
            kill(worker)
            worker = start(deployment.settings, "run", log=log)
    wait_until(
        lambda: deployment.counts().consumed >= len(stream),
        f"all {len(stream)} events decided; see {log.read_text()[-2000:]}",
    )
    assert stop(worker) == 0
    expect_every_event_once(deployment, stream)
    expect_conservation(deployment)
    verified = Verifier(deployment.log, PARTITIONS, deployment.home).verify({})
    assert verified.holds, verified.difference
    assert verified.corrections
    assert verified.movements > len(ACCOUNTS) * 10


def expect_every_event_once(deployment: Deployment, stream: list[Fields]) -> None:
    """Expect one charge per record and amend, and one correction per event that was taken back."""
    charges = deployment.charges()
    charged = Counter(charge.charge_id for charge in charges if charge.kind == USAGE)
    taken_back = Counter(charge.corrects for charge in charges if charge.kind == CORRECTION)
    assert {*charged.values(), *taken_back.values()} == {1}
    assert set(charged) == {identity(f) for f in stream if f["action"] != "void"}
    assert set(taken_back) == {
        identity_key(f["account_id"], f["source"], f["corrects"])
        for f in stream
        if f["action"] != "record"
    }
    counts = deployment.counts()
    assert counts.conserved
    assert counts.consumed == len(stream)
    assert counts.pending


def identity(fields: Fields) -> str:
    return identity_key(fields["account_id"], fields["source"], fields["event_id"])


def expect_conservation(deployment: Deployment) -> None:
    """Expect units and money to add up in every account, and no alert twice."""
    amounts: Counter[str] = Counter()
    for charge in deployment.charges():
        amounts[charge.account_id] += charge.amount
    states = fold_journal(deployment.log, PARTITIONS, lambda _: None)
    accounts = {name: found for s in states for name, found in s.ledger.accounts.items()}
    assert sorted(accounts) == sorted(ACCOUNTS)
    for account in accounts.values():
        buckets = account.prepaid.buckets.values()
        assert {"daily#6", "package", "packager", "credit"} <= {b.bucket_id for b in buckets}
        for bucket in buckets:
            assert bucket == bucket.check()
        paid = sum(bucket.drawn for bucket in buckets if bucket.is_money)
        assert amounts[account.account_id] == paid + account.due
    expect_no_alert_twice(deployment)


def expect_no_alert_twice(deployment: Deployment) -> None:
    """Expect no threshold to be raised again before it was cleared."""
    standing: set[tuple[str, str]] = set()
    for event in deployment.account_events():
        if isinstance(event.change, AlertRaised):
            assert (event.account_id, event.change.key) not in standing
            standing.add((event.account_id, event.change.key))
        elif isinstance(event.change, AlertCleared):
            standing.discard((event.account_id, event.change.key))
    assert standing


def test_two_clocks_that_tell_the_same_time_change_nothing_twice(deployment: Deployment) -> None:
    deployment.send_usage(stream_of(90, random.Random(5)))  # noqa: S311 - a repeatable test
    with KafkaPublisher(deployment.settings) as publisher:
        for _ in range(3):
            publisher.advance(AdvanceTo(END))
    deployment.rate_all(len(stream_of(90, random.Random(5))))  # noqa: S311 - the same again
    movements = [charge for charge in deployment.charges() if is_movement(charge)]
    assert len({(c.account_id, c.kind, c.drawdowns[0].bucket) for c in movements}) == len(movements)
    expect_conservation(deployment)


def is_movement(charge: Charge) -> bool:
    return charge.kind in ("grant", "recharge", "expiry", "rollover")
