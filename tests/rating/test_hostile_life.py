"""Hostile and unlucky input: no record may stop a worker, lose usage, or make money of nothing."""

from fractions import Fraction

import pytest

from engine.adapters.avro.account import encode_advance, encode_command
from engine.adapters.command_record import read_order_record
from engine.ports import LogRecord
from engine.rating.charge import SETTLEMENT, SUSPENSE, Charge
from engine.rating.clock import refuse_advance
from engine.rating.command import (
    AccountCommand,
    Adjust,
    AdoptVersion,
    AdvanceTo,
    Approve,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    RechargeBucket,
    SetLimit,
)
from engine.rating.errors import Refusal
from engine.rating.event import (
    AlertRaised,
    CommandRefused,
    PeriodClosed,
    TariffAssigned,
    VoidPending,
)
from engine.rating.grant import MONEY, TOKENS, Grant, Thresholds
from engine.rating.limit import ACCOUNT, BILLING_PERIOD, DAY, SPEND, Limit
from engine.rating.limit import TOKENS as TOKENS_USED
from engine.rating.money import LIMIT_PICO, PICO
from engine.rating.orders import MAX_FILLED_BUCKETS
from engine.rating.period import FIRST_INSTANT
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at, tariff

BEGIN = at("2026-11-01T00:00:00Z")

LEAST_FORTY = """
tariff_id: plan
version: 1
effective_from: 2000-01-01T00:00:00Z
currency: USD
components:
  - {id: tokens, kinds: [input], period: calendar_month, minimum: "40", price: {model: unit, unit_price: "1"}}
"""

NO_MINIMUM = """
tariff_id: plan
version: 2
effective_from: 2026-10-10T00:00:00Z
currency: USD
components:
  - {id: tokens, kinds: [input], period: calendar_month, price: {model: unit, unit_price: "1"}}
"""


def code(scenario: Scenario) -> str:
    """Return why the latest command was refused; empty: it was not."""
    change = scenario.records[-1].change  # type: ignore[union-attr]  # a refusal is an event
    return change.refusal.code if isinstance(change, CommandRefused) else ""


@pytest.mark.parametrize("until", [1_800_000_000 * 10**9, 2**62, -(2**62)])
def test_a_clock_in_the_wrong_unit_is_refused_or_harmless(until: int) -> None:
    record = LogRecord("accounts", 0, 0, BEGIN, None, encode_advance(AdvanceTo(until)))
    asked = read_order_record(record)
    assert asked == AdvanceTo(until)
    refusal = refuse_advance(AdvanceTo(until), BEGIN, 4)
    assert (refusal is None) == (until < BEGIN)


def test_time_does_not_pass_before_the_rules_know_it() -> None:
    refusal = refuse_advance(AdvanceTo(BEGIN), BEGIN, 3)
    assert refusal is not None
    assert refusal.code == "needs_rules"


@pytest.mark.parametrize(
    "order",
    [
        Adjust(10**5000, "a lot"),
        RechargeBucket("g", 10**5000),
        SetLimit(Limit("l", SPEND, ACCOUNT, "", DAY, 10**5000)),
        IssueGrant(Grant("g", TOKENS, 10**5000, BEGIN, None, BEGIN)),
    ],
)
def test_a_number_without_end_is_refused_where_it_is_read(order: Adjust) -> None:
    data = encode_command(AccountCommand("c", "acme", "", order))
    found = read_order_record(LogRecord("accounts", 0, 0, BEGIN, b"acme", data))
    assert isinstance(found, Refusal)
    assert found.code == "amount_out_of_range"


@pytest.mark.parametrize(
    "grant",
    [
        Grant("g", TOKENS, PICO, BEGIN, None, BEGIN, weights=(("input", Fraction(10**30)),)),
        Grant("g", TOKENS, PICO, BEGIN, None, BEGIN, thresholds=Thresholds((), (LIMIT_PICO * 10,))),
        Grant("g", TOKENS, PICO, BEGIN, None, BEGIN, thresholds=Thresholds((), (-1,))),
        Grant("g", TOKENS, PICO, BEGIN, None, BEGIN, thresholds=Thresholds((), tuple(range(1000)))),
        Grant("g" * 65, TOKENS, PICO, BEGIN, None, BEGIN),
    ],
)
@pytest.mark.parametrize("needs_approval", [True, False])
def test_a_grant_beyond_bounds_is_refused_also_before_it_is_approved(
    grant: Grant, needs_approval: bool
) -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.command(IssueGrant(grant), principal="ann", needs_approval=needs_approval)
    assert code(scenario) == "invalid_grant"


def test_only_so_many_buckets_of_an_account_hold_units() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    for number in range(MAX_FILLED_BUCKETS):
        scenario.command(IssueGrant(Grant(f"g{number}", TOKENS, PICO, BEGIN, None, BEGIN)))
    scenario.command(IssueGrant(Grant("one-more", TOKENS, PICO, BEGIN, None, BEGIN)))
    assert code(scenario) == "too_many_buckets"


@pytest.mark.parametrize("zone_name", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize("moment", ["2000-01-01T01:00:00Z", "2049-12-31T23:59:59Z"])
def test_a_limit_stands_usage_at_the_edges_of_time(zone_name: str, moment: str) -> None:
    scenario = acme_on(ONE_DOLLAR_EACH, time_zone=zone_name)
    for period in (DAY, BILLING_PERIOD):
        scenario.command(SetLimit(Limit(period, TOKENS_USED, ACCOUNT, "", period, PICO)))
    scenario.charged("e1", moment, {"input": 2})
    assert len(scenario.acme.raised) == 4


def test_usage_of_long_ago_does_not_stop_the_closing_of_months() -> None:
    scenario = Scenario()
    scenario.publish(tariff(LEAST_FORTY))
    scenario.open(time_zone="America/New_York")
    scenario.assign(effective_from="2000-01-01T00:00:00Z")
    scenario.charged("old", "2000-01-01T01:00:00Z", {"input": 1})
    scenario.advance("2000-03-02T00:00:00Z")
    closed = (
        [e.change.period for e in scenario.changes(PeriodClosed)]
        if False
        else [change.period for change in scenario.changes(PeriodClosed)]
    )
    assert closed == ["1999-12", "2000-01", "2000-02"]


def test_what_no_tariff_rates_makes_no_minimum_due() -> None:
    """One event of 2001, suspended, an adjustment and a staged assignment: nobody used anything."""
    scenario = Scenario()
    scenario.publish(tariff(LEAST_FORTY))
    scenario.charged("early", "2001-01-15T00:00:00Z", {"input": 1})
    scenario.open()
    scenario.command(AssignTariff("plan", FIRST_INSTANT, None))
    scenario.command(Adjust(PICO, "fee", at("2001-02-01T00:00:00Z")))
    staged = scenario.command(AssignTariff("plan", at("2001-01-01T00:00:00Z"), None))
    assert isinstance(staged.change, TariffAssigned)
    assert staged.change.staged
    assert scenario.advance("2026-11-01T00:00:00Z") == []


def test_a_minimum_that_nothing_asks_for_any_more_is_given_back() -> None:
    scenario = acme_on(LEAST_FORTY)
    scenario.charged("e1", "2026-10-02T00:00:00Z", {"input": 1})
    scenario.command(ClosePeriod("2026-10"))
    assert scenario.acme.due == 40 * PICO
    scenario.publish(tariff(NO_MINIMUM))
    scenario.command(AdoptVersion("plan", 2))
    assert [charge.amount for charge in scenario.charges(SETTLEMENT)] == [39 * PICO, -39 * PICO]
    assert scenario.acme.due == PICO


def test_an_amend_whose_new_usage_does_not_fit_waits_in_suspense() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 5})
    scenario.acme.due = LIMIT_PICO - PICO  # a million adjustments would come to that
    amended = {"action": "amend", "corrects": "e1"}
    charge = scenario.use("a1", "2026-11-02T00:00:00Z", {"input": 10}, **amended)
    assert isinstance(charge, Charge)
    (line,) = charge.lines
    assert (line.status, line.reason) == (SUSPENSE, "amount_overflow")
    assert scenario.acme.due == LIMIT_PICO - 6 * PICO


def test_a_late_amend_of_nothing_keeps_its_usage() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.use("a1", "2026-11-02T00:00:00Z", {"input": 3}, action="amend", corrects="e0")
    assert scenario.acme.due == 3 * PICO
    assert len(scenario.changes(VoidPending)) == 1


def test_a_gift_of_money_can_not_be_recharged() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.command(IssueGrant(Grant("gift", MONEY, PICO, BEGIN, None, BEGIN)))
    scenario.command(RechargeBucket("gift", PICO))
    assert code(scenario) == "bucket_not_paid"


def test_a_credit_note_lowers_the_due_that_adjustments_raised_before_a_bucket() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.give("money", "4")
    for amount in (10, -6):
        scenario.command(Adjust(amount * PICO, "agreed"), received_at=BEGIN + 1)
    assert scenario.acme.due == 0
    assert scenario.bucket().remaining == 0


def test_a_limit_counts_adjustments_alike_whenever_it_is_set() -> None:
    limit = SetLimit(Limit("l", SPEND, ACCOUNT, "", BILLING_PERIOD, 100 * PICO))
    uses = []
    for orders in (
        (Adjust(90 * PICO, "fee", BEGIN), limit),
        (limit, Adjust(90 * PICO, "fee", BEGIN)),
    ):
        scenario = acme_on(ONE_DOLLAR_EACH)
        for order in orders:
            scenario.command(order, received_at=BEGIN + 1)
        uses.append(scenario.acme.limits.uses)
    assert uses[0] == uses[1] == {("l", ""): (("2026-11", 90 * PICO),)}


def test_what_was_used_before_a_limit_does_not_make_room_when_it_is_voided() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 1000})
    scenario.command(SetLimit(Limit("l", TOKENS_USED, ACCOUNT, "", DAY, 100 * PICO)))
    scenario.use("v1", "2026-11-02T01:00:00Z", {}, action="void", corrects="e1")
    scenario.charged("e2", "2026-11-02T02:00:00Z", {"input": 100})
    assert "limit_reached" in {change.code for change in scenario.changes(AlertRaised)}


def test_an_approval_that_comes_too_early_may_come_again() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    order = RechargeBucket("later", PICO)
    scenario.command(order, "c1", principal="ann", needs_approval=True)
    scenario.command(Approve("c1"), principal="ben")
    assert code(scenario) == "bucket_not_open"
    scenario.command(IssueGrant(Grant("later", TOKENS, PICO, BEGIN, None, BEGIN)))
    scenario.command(Approve("c1"), principal="ben")
    assert scenario.acme.prepaid.buckets["later"].granted == 2 * PICO
    assert not scenario.acme.awaiting


def test_an_event_may_wait_for_a_void_of_any_lateness() -> None:
    """A source may be registered with a lateness beyond all time."""
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.use("v1", "2026-11-02T00:00:00Z", {}, action="void", corrects="e1")
    (waiting,) = scenario.changes(VoidPending)
    assert waiting.lapses_at <= at("2050-01-01T00:00:00Z")
