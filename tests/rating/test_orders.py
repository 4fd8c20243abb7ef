"""Orders about what is prepaid: recharges, grants taken back, adjustments, approvals, and refusals."""

from typing import Any

import pytest

from engine.rating.charge import ADJUSTMENT, RECHARGE
from engine.rating.command import (
    SUSPENDED,
    AccountCommand,
    Adjust,
    AdoptVersion,
    Approve,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    OpenAccount,
    Order,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.event import (
    AccountEvent,
    Adjusted,
    ApprovalAwaited,
    BucketRecharged,
    CommandRefused,
    GrantVoided,
)
from engine.rating.grant import MONEY
from engine.rating.limit import Limit
from engine.rating.money import LIMIT_PICO, PICO, format_pico
from engine.rating.orders import MAX_AMOUNT_PICO
from engine.rating.period import UTC_ZONE
from engine.rating.rules import ACCOUNT_LIFE, FIRST_REVISION
from tests.rating.scenario import NEW_YEAR, ONE_DOLLAR_EACH, Scenario, acme_on, at

NOVEMBER = "2026-11-02T00:00:00Z"


def acme() -> Scenario:
    return acme_on(ONE_DOLLAR_EACH)


def code(event: AccountEvent) -> str:
    assert isinstance(event.change, CommandRefused), event.change
    return event.change.refusal.code


def test_a_recharge_fills_an_open_bucket() -> None:
    scenario = acme()
    scenario.give("tokens", "10")
    scenario.charged("e1", NOVEMBER, {"input": 4})
    event = scenario.recharge("g", "5.5")
    assert event.change == BucketRecharged("g", 55 * PICO // 10)
    (charge,) = scenario.charges(RECHARGE)
    assert (charge.sequence, charge.position) == (event.sequence + 1, event.position)
    assert [(d.units, d.remaining) for d in charge.drawdowns] == [
        (-55 * PICO // 10, 115 * PICO // 10)
    ]
    assert format_pico(scenario.bucket().granted) == "15.5"


@pytest.mark.parametrize("ending", ["expired", "voided", "unknown"])
def test_a_bucket_that_is_not_open_can_not_be_recharged(ending: str) -> None:
    scenario = acme()
    scenario.give("tokens", "10", valid_to="2026-12-01T00:00:00Z")
    if ending == "expired":
        scenario.advance("2026-12-01T00:00:00Z")
    if ending == "voided":
        scenario.take_back_grant()
    assert code(scenario.recharge("h" if ending == "unknown" else "g", "5")) == "bucket_not_open"


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT_PICO + 1])
def test_amounts_that_one_order_may_not_move_are_refused(amount: int) -> None:
    scenario = acme()
    scenario.give(MONEY, "10")
    assert code(scenario.command(RechargeBucket("g", amount))) == "amount_out_of_range"
    if amount >= 0:
        assert code(scenario.command(Adjust(amount, "agreed"))) == "amount_out_of_range"
        assert code(scenario.command(Adjust(-amount, "agreed"))) == "amount_out_of_range"


def test_a_bucket_never_grows_beyond_what_an_amount_may_be() -> None:
    scenario = acme()
    scenario.give(MONEY, format_pico(MAX_AMOUNT_PICO), paid=True)
    bucket = scenario.bucket()
    scenario.acme.prepaid.buckets["g"] = bucket.filled(LIMIT_PICO - bucket.granted - 1)
    assert code(scenario.command(RechargeBucket("g", 1))) == "amount_out_of_range"


def test_a_grant_is_taken_back_once_with_all_its_open_buckets() -> None:
    scenario = acme()
    terms = {"recurs": "week", "valid_from": NOVEMBER, "rollover_up_to": "4"}
    scenario.give("tokens", "10", **terms)
    scenario.advance("2026-11-09T00:00:00Z")
    assert scenario.take_back_grant().change == GrantVoided("g")
    assert {
        name: format_pico(bucket.voided) for name, bucket in scenario.acme.prepaid.buckets.items()
    } == {"g#0": "0", "g#0r": "4", "g#1": "10"}
    assert code(scenario.take_back_grant()) == "grant_void"
    assert code(scenario.take_back_grant("h")) == "unknown_grant"
    assert code(scenario.give("tokens", "10")) == "grant_exists"


def test_an_adjustment_is_a_charge_that_money_pays() -> None:
    scenario = acme()
    scenario.give(MONEY, "3")
    event = scenario.adjust("5", "support", NOVEMBER)
    assert event.change == Adjusted(5 * PICO, "support", at(NOVEMBER))
    (charge,) = scenario.charges(ADJUSTMENT)
    assert (charge.amount, charge.due, charge.service_period) == (5 * PICO, 2 * PICO, "2026-11")
    assert [(draw.bucket, draw.units) for draw in charge.lines[0].draws] == [("g", 3 * PICO)]


def test_an_adjustment_that_lowers_may_leave_credit() -> None:
    scenario = acme()
    scenario.charged("e1", NOVEMBER, {"input": 2})
    scenario.adjust("-5")
    assert scenario.acme.due == -3 * PICO
    assert scenario.acme.periods["2026-11"].amount == -3 * PICO


def test_an_adjustment_counts_when_it_is_received_unless_it_says_when() -> None:
    scenario = acme()
    scenario.command(Adjust(PICO, "agreed", corrects="a-charge"))
    (charge,) = scenario.charges(ADJUSTMENT)
    assert (charge.occurred_at, charge.corrects) == (NEW_YEAR, "a-charge")


@pytest.mark.parametrize("occurred_at", ["1999-12-31T23:59:59Z", "2027-01-01T00:05:01Z"])
def test_an_adjustment_of_another_time_than_the_past_is_refused(occurred_at: str) -> None:
    assert code(acme().adjust("1", "agreed", occurred_at)) == "time_out_of_range"


@pytest.mark.parametrize("reason", ["", "a\nb", "x" * 1000])
def test_an_adjustment_needs_a_reason(reason: str) -> None:
    assert code(acme().adjust("1", reason)) == "reason_missing"


def ask(scenario: Scenario, order: Order, principal: str = "anna", **rest: Any) -> AccountEvent:
    return scenario.command(order, principal=principal, **rest)


def test_a_command_that_needs_approval_waits_for_a_second_principal() -> None:
    scenario = acme()
    order = Adjust(5 * PICO, "agreed")
    waiting = ask(scenario, order, command_id="c1", needs_approval=True)
    assert waiting.change == ApprovalAwaited(order)
    assert (scenario.acme.due, list(scenario.acme.awaiting)) == (0, ["c1"])
    assert code(ask(scenario, Approve("c1"))) == "second_principal_needed"
    assert code(ask(scenario, Approve("c1"), principal="")) == "second_principal_needed"
    approved = ask(scenario, Approve("c1"), principal="ben")
    assert isinstance(approved.change, Adjusted)
    assert (approved.approves, approved.principal) == ("c1", "ben")
    assert (scenario.acme.due, scenario.acme.awaiting) == (5 * PICO, {})
    assert code(ask(scenario, Approve("c1"), principal="ben")) == "nothing_to_approve"
    assert scenario.acme.due == 5 * PICO


def test_a_command_that_waits_can_not_be_sent_again() -> None:
    scenario = acme()
    order = Adjust(PICO, "agreed")
    ask(scenario, order, command_id="c1", needs_approval=True)
    assert code(ask(scenario, order, command_id="c1")) == "duplicate_command"


def test_what_is_approved_is_decided_as_things_are_then() -> None:
    scenario = acme()
    scenario.give("tokens", "10")
    ask(scenario, RechargeBucket("g", PICO), command_id="c1", needs_approval=True)
    scenario.take_back_grant()
    event = ask(scenario, Approve("c1"), principal="ben")
    assert code(event) == "bucket_not_open"
    assert [*scenario.acme.awaiting] == ["c1"]  # it may be approved again, or given up


def test_approvals_need_somebody_and_are_not_approved_themselves() -> None:
    scenario = acme()
    nobody = ask(scenario, Adjust(PICO, "agreed"), principal="", needs_approval=True)
    assert code(nobody) == "principal_missing"
    again = ask(scenario, Approve("c1"), needs_approval=True)
    assert code(again) == "approval_of_approval"


def test_any_order_may_need_approval_also_the_opening_of_an_account() -> None:
    scenario = Scenario()
    ask(scenario, OpenAccount("USD", UTC_ZONE), command_id="c1", needs_approval=True)
    assert not scenario.acme.is_open
    ask(scenario, Approve("c1"), principal="ben")
    assert scenario.acme.is_open


def grant() -> IssueGrant:
    scenario = acme()
    scenario.give("tokens", "10")
    return IssueGrant(scenario.bucket().grant)


NEW_ORDERS = [
    (grant(), False),
    (RechargeBucket("g", PICO), False),
    (VoidGrant("g"), False),
    (SetLimit(Limit("l", "spend", "account", "", "day", PICO)), False),
    (Adjust(PICO, "agreed"), False),
    (AdoptVersion("plan", 1), False),
    (Approve("c1"), False),
    (AssignTariff("plan", 0, None, SUSPENDED), False),
    (ClosePeriod("2026-11"), True),
]


@pytest.mark.parametrize("revision", range(FIRST_REVISION, ACCOUNT_LIFE))
@pytest.mark.parametrize(("order", "needs_approval"), NEW_ORDERS)
def test_earlier_rules_do_not_know_orders_about_what_is_prepaid(
    order: Order, needs_approval: bool, revision: int
) -> None:
    scenario = acme()
    command = AccountCommand("c", "acme", "anna", order, needs_approval)
    (event,) = scenario.ledger.command(command, scenario.origin("accounts"), revision)
    assert isinstance(event, AccountEvent)
    assert code(event) == "needs_rules"


def test_earlier_rules_close_a_period_without_a_digest_of_the_state() -> None:
    scenario = acme()
    command = AccountCommand("c", "acme", "", ClosePeriod("2026-11"))
    origin = scenario.origin("accounts")
    (event,) = scenario.ledger.command(command, origin, ACCOUNT_LIFE - 1)
    assert isinstance(event, AccountEvent)
    assert getattr(event.change, "state_digest", None) == b""
