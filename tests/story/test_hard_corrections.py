"""The hard corrections: everything that can meet in one void, told to a worker and verified."""

from fractions import Fraction

import pytest

from engine.rating.charge import CORRECTION, SETTLEMENT, USAGE, Charge
from engine.rating.command import AssignTariff, IssueGrant, OpenAccount
from engine.rating.event import UsageRefused, VoidPending
from engine.rating.grant import CREDIT, MONEY, TOKENS, Grant, Rollover
from engine.rating.money import PICO, format_pico
from engine.rating.period import UTC_ZONE
from replay.statement import Statement
from tests.rating.scenario import DAY, at, tariff, usage_fields
from tests.story.deploying import AWAY, HOME, Deployment

NOVEMBER, DECEMBER = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"

TIERS = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - id: tokens
    kinds: [input]
    period: calendar_month
    price: {model: graduated, tiers: [{up_to: 10, unit_price: "2"}, {unit_price: "1"}]}
"""

AT_LEAST_TEN = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - id: tokens
    kinds: [input]
    period: calendar_month
    minimum: "10"
    price: {model: unit, unit_price: "1"}
"""


def acme(text: str, grace_days: int = 0) -> Deployment:
    """Return a deployment with acme on a tariff from November on."""
    deployment = Deployment(tariff(text))
    deployment.order(OpenAccount("USD", UTC_ZONE, grace_days * DAY))
    deployment.order(AssignTariff("plan", at(NOVEMBER), None))
    return deployment


def november(grant_id: str, unit: str, amount: int) -> Grant:
    """Return a grant for November."""
    weights = (("input", Fraction(1)),)
    start, end = at(NOVEMBER), at(DECEMBER)
    return Grant(grant_id, unit, amount * PICO, start, end, start, weights=weights)


def charges(deployment: Deployment, kind: str) -> list[Charge]:
    found = (record for record in deployment.records() if isinstance(record, Charge))
    return [charge for charge in found if charge.kind == kind]


def amounts(deployment: Deployment, kind: str) -> list[str]:
    return [format_pico(charge.amount) for charge in charges(deployment, kind)]


def buckets(found: Statement) -> dict[str, str]:
    """Return each bucket as granted = remaining + drawn + expired + rolled."""
    return {
        bucket.bucket: f"{format_pico(bucket.granted)} = "
        + " + ".join(format_pico(units) for units in bucket[3:7])
        for bucket in found.buckets
    }


@pytest.mark.parametrize("returns", ["breakage", CREDIT])
def test_a_void_across_a_tier_a_drained_bucket_a_closed_month_and_an_expired_one(
    returns: str,
) -> None:
    deployment = acme(TIERS)
    deployment.order(IssueGrant(november("pack", TOKENS, 5)))
    deployment.order(IssueGrant(november("purse", MONEY, 20)._replace(returns=returns)))
    deployment.use("e1", "2026-11-02T00:00:00Z", {"input": 20})
    deployment.use("e2", "2026-11-03T00:00:00Z", {"input": 4})
    before = deployment.proved("2026-11")
    # 5 of the 24 are covered; 10 at 2 and 9 at 1 are 29, of which the purse pays 20.
    assert amounts(deployment, USAGE) == ["25", "4"]
    assert buckets(before) == {"pack": "5 = 0 + 5 + 0 + 0", "purse": "20 = 0 + 20 + 0 + 0"}
    assert format_pico(before.due) == "9"

    deployment.advance(DECEMBER)
    deployment.void("v1", "e1")
    # 4 of e2 are left, all in the first tier: 8. The due of 9 goes first, 12 go back to the purse.
    after = deployment.proved("2026-11")
    assert amounts(deployment, CORRECTION) == ["-21"]
    assert after.is_closed
    if returns == CREDIT:
        assert format_pico(after.due) == "-12"
        assert buckets(after) == {"pack": "5 = 0 + 0 + 5 + 0", "purse": "20 = 0 + 20 + 0 + 0"}
    else:
        assert format_pico(after.due) == "0"
        assert buckets(after) == {"pack": "5 = 0 + 0 + 5 + 0", "purse": "20 = 0 + 8 + 12 + 0"}
    assert format_pico(after.amount) == "8"


@pytest.mark.parametrize("max_records", [1, 2, 3, 100])
def test_a_void_before_its_misrouted_original_and_an_amend_of_the_void_each_sent_twice(
    max_records: int,
) -> None:
    deployment = acme(TIERS)
    when = "2026-11-02T00:00:00Z"
    original = usage_fields("e1", when, {"input": 3})
    void = usage_fields("v1", when, {}, action="void", corrects="e1")
    amend = usage_fields("a1", when, {"input": 7}, action="amend", corrects="v1")
    for fields in (void, void, amend, amend):
        deployment.report(fields)
    deployment.work(max_records)
    for partition in (AWAY, AWAY, HOME):
        deployment.report(original, partition)
    deployment.work(max_records)

    found = deployment.proved("2026-11")
    (charge,), (taken,) = charges(deployment, USAGE), charges(deployment, CORRECTION)
    assert (charge.amount, taken.amount, found.due) == (6 * PICO, -6 * PICO, 0)
    assert taken.corrects == charge.charge_id
    assert (found.events, found.voids) == (1, 1)
    changes = [getattr(record, "change", None) for record in deployment.records()]
    (waiting,) = [change for change in changes if isinstance(change, VoidPending)]
    (refused,) = [change for change in changes if isinstance(change, UsageRefused)]
    assert (waiting.event_id, waiting.corrects) == ("v1", "e1")
    assert (refused.event_id, refused.refusal.code) == ("a1", "void_of_void")
    counts = deployment.counts
    assert (counts.charges, counts.pending, counts.rejections) == (1, 1, 1)
    assert (counts.duplicates, counts.forwarded) == (4, 2)
    assert not deployment.account.pending


def test_late_usage_after_the_rollover_lowers_what_was_settled_up_to_the_minimum() -> None:
    deployment = acme(AT_LEAST_TEN, grace_days=1)
    pack = november("pack", TOKENS, 5)._replace(valid_to=None, recurrence="calendar_month")
    deployment.order(IssueGrant(pack._replace(rollover=Rollover(4 * PICO))))
    deployment.use("e1", "2026-11-02T00:00:00Z", {"input": 3})
    deployment.advance("2026-12-02T00:00:00Z")
    closed = deployment.proved("2026-11")
    assert amounts(deployment, SETTLEMENT) == ["10"]
    assert buckets(closed) == {"pack#0": "5 = 0 + 3 + 0 + 2"}
    assert buckets(deployment.proved("2026-12"))["pack#0r"] == "2 = 2 + 0 + 0 + 0"

    deployment.use("late", "2026-11-20T00:00:00Z", {"input": 4})
    # The bucket is closed and its successor begins in December, so the tokens are priced.
    assert amounts(deployment, USAGE) == ["0", "4"]
    assert amounts(deployment, SETTLEMENT) == ["10", "-4"]
    assert {charge.service_period for charge in charges(deployment, SETTLEMENT)} == {"2026-11"}
    assert format_pico(deployment.proved("2026-11").due) == "10"

    deployment.use("later", "2026-11-21T00:00:00Z", {"input": 8})
    assert amounts(deployment, SETTLEMENT) == ["10", "-4", "-6"]
    assert format_pico(deployment.proved("2026-11").due) == "12"

    deployment.void("v1", "e1")
    deployment.void("v2", "later")
    # Of the 3 tokens that come back, 2 fit under the rollover's limit; the minimum is settled again.
    found = deployment.proved("2026-11")
    assert buckets(found) == {"pack#0": "5 = 0 + 0 + 1 + 4"}
    assert buckets(deployment.proved("2026-12"))["pack#0r"] == "4 = 4 + 0 + 0 + 0"
    assert amounts(deployment, SETTLEMENT) == ["10", "-4", "-6", "6"]
    assert format_pico(found.due) == format_pico(found.amount) == "10"
