"""What must hold after any chaos, computed from the topics that were sent to, not by the engine.

A gateway whose broker dies sends again what was not acknowledged, so the `usage` topic itself says
what arrived. Every arrival has exactly one outcome, and which one follows from the arrivals alone:
the first content of an identity is charged, its copies are duplicates, other contents conflicts.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.adapters.avro.usage import Fields, decode_usage
from engine.rating.charge import Charge
from engine.rating.errors import Refusal
from engine.rating.journal import PartitionState
from replay.journal import fold_journal
from replay.verify import Verifier
from tests.stream.deployment import PARTITIONS, Deployment

Identity = tuple[str, str]
"""Account and event id: all tests report from one source."""


class Arrivals(NamedTuple):
    """What stands in the `usage` topic: its events, how many are misrouted, unreadable records."""

    events: list[Fields]
    misrouted: int
    unreadable: int

    @property
    def consumed(self) -> int:
        """How many outcomes the journal must hold in the end; the misrouted are decided twice."""
        return len(self.events) + self.misrouted + self.unreadable


def arrivals(deployment: Deployment) -> Arrivals:
    """Read what arrived."""
    events: list[Fields] = []
    misrouted = unreadable = 0
    for record in deployment.read("usage"):
        found = decode_usage(record.value)
        if isinstance(found, Refusal):
            unreadable += 1
            continue
        events += found
        misrouted += sum(deployment.home(each["account_id"]) != record.partition for each in found)
    return Arrivals(events, misrouted, unreadable)


def identity(fields: Fields) -> Identity:
    """Return what a usage event is known by."""
    return fields["account_id"], fields["event_id"]


def expect_exactly_once(deployment: Deployment, sent: Sequence[Fields]) -> None:
    """Check everything that a reader can check: the journal against what was sent."""
    arrived = arrivals(deployment)
    missing = _contents(sent) - _contents(arrived.events)
    assert not missing, f"Kafka lost what it acknowledged: {missing}"
    charges = deployment.charges()
    charged = Counter((charge.account_id, charge.event_id) for charge in charges)
    twice = {key: times for key, times in charged.items() if times > 1}
    assert not twice, f"charged more than once: {twice}"
    accepted = {identity(fields) for fields in arrived.events}
    assert set(charged) == accepted, f"differs: {set(charged) ^ accepted}"
    _expect_outcomes(deployment, arrived, charges)
    _expect_dues(expect_verified(deployment), arrived.events, charges)


def _contents(events: Iterable[Fields]) -> Counter[tuple[str, str, str]]:
    return Counter((*identity(fields), fields["subject"]) for fields in events)


def _expect_outcomes(deployment: Deployment, arrived: Arrivals, charges: Sequence[Charge]) -> None:
    counts = deployment.counts()
    assert counts.conserved
    assert counts.forwarded == arrived.misrouted
    assert counts.consumed == arrived.consumed
    rejections = deployment.rejections()
    assert {each.refusal.code for each in rejections} <= {
        "identity_conflict",
        "unrecognised_format",
    }
    unreadable = sum(not each.event_id for each in rejections)
    assert unreadable == arrived.unreadable
    subjects = {(each.account_id, each.event_id): each.subject for each in charges}
    clashes = Counter(
        identity(fields)
        for fields in arrived.events
        if fields["subject"] != subjects[identity(fields)]
    )
    assert clashes == Counter((r.account_id, r.event_id) for r in rejections if r.event_id)


def expect_verified(deployment: Deployment) -> list[PartitionState]:
    """Check the journal itself; return each partition's state at its end.

    The fold refuses a gap in commits or sequences, a broken chain, counts that do not add up, a
    position that goes back, a second charge of an identity and a due that does not follow; and
    every charge is rated again, every input accounted for.
    """
    found = Verifier(deployment.log, PARTITIONS, deployment.home).verify({})
    assert found.holds, found.difference
    assert found.stands == found.again
    assert (found.charges, found.unverified) == (deployment.counts().charges, 0)
    return fold_journal(deployment.log, PARTITIONS)


def _expect_dues(
    states: Sequence[PartitionState], events: Iterable[Fields], charges: Sequence[Charge]
) -> None:
    """Each account owes a third of a dollar per token, rounded down once over all of them."""
    tokens: Counter[str] = Counter()
    for fields in {identity(fields): fields for fields in events}.values():
        tokens[fields["account_id"]] += fields["quantities"]["input"]
    amounts: Counter[str] = Counter()
    for charge in charges:
        amounts[charge.account_id] += charge.amount
    dues = {a.account_id: a.due for state in states for a in state.ledger.accounts.values()}
    for account_id, total in tokens.items():
        assert dues[account_id] == amounts[account_id] == total * 10**12 // 3, account_id
