"""Balances of two times: effective at T counts use up to T, as known at K is what the journal held."""

from engine.adapters.avro.usage import NO_QUANTITIES
from engine.rating.balance import Balance
from engine.rating.charge import GRANT, USAGE
from engine.rating.grant import Grant
from engine.rating.money import PICO
from replay.balances import NOW, AsOf, replay_balances
from replay.checkpoint import checkpoint_of
from replay.journal import fold_journal
from tests.properties.memory_deployment import PARTITIONS
from tests.rating.scenario import at
from tests.replay.prepaid_deployment import NOVEMBER, OCTOBER, Prepaying

CREDIT = Grant("credit", "money", 10 * PICO, NOVEMBER, None, OCTOBER)
THIRD, FOURTH = at("2026-11-03T00:00:00Z"), at("2026-11-04T00:00:00Z")


def acme(deployment: Prepaying, as_of: AsOf = NOW) -> Balance:
    deployment.work()
    (balance,) = replay_balances(deployment.log, PARTITIONS, as_of)
    return balance


def prepaying() -> Prepaying:
    """Return a deployment that has used 8 of 10 dollars, then 7: of these 5 are due."""
    deployment = Prepaying()
    deployment.give(CREDIT)
    deployment.use("e1", 8, day="2026-11-02")
    deployment.use("e2", 7, day="2026-11-03")
    return deployment


def test_what_is_due_at_a_time_is_what_money_buckets_left_to_pay_until_then() -> None:
    deployment = prepaying()
    shown = [acme(deployment, AsOf(time)) for time in (THIRD, FOURTH)]
    assert [balance.due for balance in shown] == [0, 5 * PICO]
    assert [dict(balance.periods)["2026-11"].amount for balance in shown] == [8 * PICO, 15 * PICO]
    assert [balance.charges for balance in shown] == [1, 2]
    assert shown[1].due == acme(deployment).due


def test_buckets_and_states_are_as_known_whatever_the_effective_time() -> None:
    deployment = prepaying()
    shown = acme(deployment, AsOf(THIRD))
    assert [bucket.remaining for bucket in shown.buckets] == [0]
    assert shown.exhausted


def test_buckets_at_a_sequence_are_what_they_were_then() -> None:
    deployment = prepaying()
    first = deployment.charges(USAGE)[0]
    shown = acme(deployment, AsOf(account_id="acme", sequence=first.sequence))
    assert [bucket.remaining for bucket in shown.buckets] == [2 * PICO]
    assert (shown.due, shown.exhausted, shown.sequence) == (0, False, first.sequence)


def test_a_grant_is_no_charge_that_is_counted() -> None:
    deployment = prepaying()
    (grant,) = deployment.charges(GRANT)
    shown = acme(deployment, AsOf(account_id="acme", sequence=grant.sequence))
    assert (shown.charges, shown.periods) == (0, ())
    assert replay_balances(deployment.log, PARTITIONS, AsOf(NOVEMBER)) == []


def test_buckets_at_a_checkpoint_are_what_they_were_when_it_was_written() -> None:
    deployment = prepaying()
    deployment.work()
    before = acme(deployment)
    known = checkpoint_of(fold_journal(deployment.log, PARTITIONS))
    deployment.use("e3", 4)
    assert acme(deployment).due == 9 * PICO
    assert acme(deployment, AsOf(known=known)) == before


def test_a_void_counts_from_the_time_of_the_use_that_it_takes_back() -> None:
    deployment = prepaying()
    deployment.void("v1", "e1")
    shown = acme(deployment, AsOf(THIRD))
    assert dict(shown.periods)["2026-11"].amount == 0
    now = acme(deployment)
    assert [bucket.remaining + now.due for bucket in now.buckets] == [3 * PICO]


def test_suspense_that_was_voided_is_in_suspense_at_no_time() -> None:
    deployment = prepaying()
    deployment.use("e3", 1, quantities={**NO_QUANTITIES, "unexplained": 2})
    assert acme(deployment, AsOf(THIRD)).suspended_lines == 1
    deployment.void("v1", "e3")
    assert acme(deployment, AsOf(THIRD)).suspended_lines == 0
    assert acme(deployment).suspended_lines == 0
