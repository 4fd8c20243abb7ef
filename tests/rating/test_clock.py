"""Time is a command: what is due happens in one order, once, and says when it was due."""

import pytest

from engine.rating.charge import EXPIRY, GRANT, RECHARGE, ROLLOVER, SETTLEMENT, Charge
from engine.rating.clock import next_due
from engine.rating.digest import state_digest
from engine.rating.event import AccountEvent, AlertCleared, AlertRaised, PeriodClosed, VoidLapsed
from engine.rating.ledger import Decided
from engine.rating.money import PICO
from engine.rating.period import format_instant
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, at, tariff

FIFTY = ONE_DOLLAR_EACH.replace("calendar_month", 'calendar_month, minimum: "50"')
NOVEMBER = "2026-11-02T00:00:00Z"


def acme(text: str, time_zone: str = "UTC") -> Scenario:
    """Return acme on a tariff since November, so that nothing is owed for the months before."""
    scenario = Scenario()
    scenario.publish(tariff(text))
    scenario.open(time_zone=time_zone)
    scenario.assign(effective_from="2026-11-01T06:00:00Z")
    return scenario


def happened(records: list[Decided]) -> list[str]:
    """Return what happened, as words; warnings left out."""
    return [text for text in map(_word, records) if text]


def _word(record: Decided) -> str:
    if isinstance(record, Charge):
        return f"{record.kind} {record.drawdowns[0].bucket}" if record.drawdowns else record.kind
    if isinstance(record.change, PeriodClosed):
        return f"close {record.change.period}"
    return "" if isinstance(record.change, AlertRaised | AlertCleared) else "other"


def test_without_anything_due_time_passes_without_a_record() -> None:
    scenario = Scenario()
    assert scenario.advance("2040-01-01T00:00:00Z") == []
    scenario.open()
    assert scenario.advance("2041-01-01T00:00:00Z") == []


def test_at_one_instant_buckets_expire_then_open_then_periods_close() -> None:
    scenario = acme(FIFTY)
    month = {"recurs": "calendar_month", "valid_from": "2026-11-01T00:00:00Z"}
    scenario.give("tokens", "10", "b", **month, rollover_up_to="4")
    scenario.give("money", "20", "a", **month, paid=True)
    scenario.charged("e1", NOVEMBER, {"input": 12})
    assert happened(scenario.advance("2026-12-01T00:00:00Z")) == [
        "expiry a#0",
        "expiry b#0",
        "rollover b#0r",
        "recharge a#1",
        "grant b#1",
        "close 2026-11",
        "settlement",
    ]
    (settled,) = scenario.charges(SETTLEMENT)
    assert settled.amount == 48 * PICO
    assert settled.drawdowns == ()  # the new bucket is not for the month that is over
    assert scenario.acme.due == 48 * PICO


def test_what_is_due_earlier_happens_earlier_whatever_it_is() -> None:
    scenario = acme(FIFTY)
    scenario.give("tokens", "10", "late", valid_to="2027-01-15T00:00:00Z", grace_days=0)
    scenario.give("tokens", "10", "r", recurs="week", valid_from="2026-12-20T00:00:00Z")
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 1})
    assert happened(scenario.advance("2027-01-16T00:00:00Z")) == [
        "close 2026-11",
        "settlement",
        "expiry r#0",
        "grant r#1",
        "close 2026-12",
        "settlement",
        "expiry r#1",
        "grant r#2",
        "expiry r#2",
        "grant r#3",
        "expiry late",
    ]


def test_what_happens_says_when_it_was_due_and_not_when_it_was_noticed() -> None:
    scenario = acme(ONE_DOLLAR_EACH)
    scenario.give("tokens", "10", recurs="calendar_month", valid_from="2026-11-05T00:00:00Z")
    records = scenario.advance("2026-12-31T00:00:00Z")
    times = [(r.kind, format_instant(r.occurred_at)[:10]) for r in records if isinstance(r, Charge)]
    assert times == [(EXPIRY, "2026-12-05"), (GRANT, "2026-12-05")]
    assert {record.received_at for record in records} == {at("2026-12-31T00:00:00Z")}


def test_one_long_wait_is_many_short_ones() -> None:
    def lived(*times: str) -> list[str]:
        scenario = acme(FIFTY)
        scenario.give("tokens", "10", recurs="week", valid_from=NOVEMBER, rollover_up_to="4")
        scenario.charged("e1", NOVEMBER, {"input": 7})
        return [word for time in times for word in happened(scenario.advance(time))]

    days = [f"2026-{month}-{day:02d}T00:00:00Z" for month in (11, 12) for day in range(1, 31)]
    assert lived(*days) == lived(days[-1])


def test_advancing_twice_or_back_changes_nothing() -> None:
    scenario = acme(FIFTY)
    scenario.give("tokens", "10", recurs="day", valid_from="2026-11-01T00:00:00Z")
    scenario.charged("e1", NOVEMBER, {"input": 1})
    assert scenario.advance("2027-01-01T00:00:00Z")
    before = state_digest(scenario.acme)
    for time in ("2027-01-01T00:00:00Z", "2026-11-15T00:00:00Z"):
        assert scenario.advance(time) == []
    assert state_digest(scenario.acme) == before


def test_a_period_closes_when_its_grace_is_over_and_tells_the_state_before() -> None:
    scenario = Scenario()
    scenario.publish(tariff(FIFTY))
    scenario.open(close_grace_days=5)
    scenario.assign(effective_from="2026-11-01T00:00:00Z")
    assert scenario.advance("2026-12-05T23:59:59Z") == []
    before = state_digest(scenario.acme)
    event, settled = scenario.advance("2026-12-06T00:00:00Z")
    assert isinstance(event, AccountEvent)
    assert isinstance(event.change, PeriodClosed)
    assert (event.change.period, event.change.state_digest) == ("2026-11", before)
    assert isinstance(settled, Charge)
    assert settled.amount == 50 * PICO


def test_a_period_that_a_command_has_closed_is_not_closed_again() -> None:
    scenario = acme(FIFTY)
    scenario.charged("e1", NOVEMBER, {"input": 1})
    scenario.close("2026-11", "2026-12-01T00:00:00Z")
    assert happened(scenario.advance("2026-12-31T00:00:00Z")) == []


def test_a_month_of_an_account_in_another_zone_closes_when_it_is_over_there() -> None:
    scenario = acme(FIFTY, time_zone="America/New_York")
    scenario.charged("e1", NOVEMBER, {"input": 1})
    assert scenario.advance("2026-12-01T04:59:59Z") == []
    assert happened(scenario.advance("2026-12-01T05:00:00Z")) == ["close 2026-11", "settlement"]


def test_late_usage_in_a_closed_month_settles_it_again_in_the_same_step() -> None:
    scenario = acme(FIFTY)
    scenario.charged("e1", NOVEMBER, {"input": 20})
    scenario.advance("2026-12-01T00:00:00Z")
    scenario.charged("e2", "2026-11-30T00:00:00Z", {"input": 10})
    assert [charge.amount // PICO for charge in scenario.settlements] == [30, -10]
    assert scenario.acme.due == 50 * PICO


def test_late_usage_after_a_rollover_draws_from_no_closed_bucket_and_no_successor() -> None:
    scenario = acme(FIFTY)
    terms = {"valid_from": "2026-11-01T00:00:00Z", "valid_to": "2026-12-01T00:00:00Z"}
    scenario.give("tokens", "10", **terms, rollover_up_to="10")
    scenario.charged("e1", NOVEMBER, {"input": 2})
    scenario.advance("2026-12-01T00:00:00Z")
    late = scenario.charged("e2", "2026-11-30T00:00:00Z", {"input": 3})
    assert (late.drawdowns, late.amount) == ((), 3 * PICO)
    assert [charge.amount // PICO for charge in scenario.settlements] == [50, -3]
    assert scenario.bucket("gr").remaining == 8 * PICO


def test_a_recurring_grant_opens_its_buckets_at_their_local_time() -> None:
    scenario = acme(ONE_DOLLAR_EACH, time_zone="Europe/Berlin")
    scenario.give("tokens", "10", recurs="day", valid_from="2026-10-23T22:00:00Z", paid=True)
    scenario.advance("2026-10-26T23:00:00Z")
    opened = [format_instant(c.occurred_at)[:16] for c in scenario.charges(RECHARGE)]
    assert opened == [
        "2026-10-23T22:00",
        "2026-10-24T22:00",
        "2026-10-25T23:00",
        "2026-10-26T23:00",
    ]


def test_a_grant_that_is_taken_back_opens_no_bucket_any_more() -> None:
    scenario = acme(ONE_DOLLAR_EACH)
    scenario.give("tokens", "10", recurs="day", valid_from="2026-11-01T00:00:00Z")
    scenario.take_back_grant()
    assert scenario.advance("2026-11-09T00:00:00Z") == []
    assert scenario.charged("e1", NOVEMBER, {"input": 1}).amount == PICO
    assert scenario.acme.prepaid.next_refill is None


def test_usage_opens_the_bucket_that_the_clock_would_have_opened() -> None:
    lived = []
    for clock_first in (True, False):
        scenario = acme(ONE_DOLLAR_EACH)
        scenario.give("tokens", "10", recurs="week", valid_from=NOVEMBER, rollover_up_to="4")
        if clock_first:
            scenario.advance("2026-11-23T00:00:00Z")
        scenario.charged("e1", "2026-11-23T00:00:00Z", {"input": 3})
        scenario.advance("2026-11-23T00:00:01Z")
        lived.append(dict(scenario.acme.prepaid.buckets))
    assert {n: b for n, b in lived[0].items() if not n.endswith("r")}.keys() == {
        "g#0", "g#1", "g#2", "g#3"
    }  # fmt: skip
    assert sum(b.drawn for b in lived[0].values()) == sum(b.drawn for b in lived[1].values())
    assert lived[0].keys() == lived[1].keys()


@pytest.mark.parametrize("waiting", [1, 3])
def test_voids_lapse_in_the_order_in_which_they_become_due(waiting: int) -> None:
    scenario = acme(ONE_DOLLAR_EACH)
    for number in range(waiting):
        scenario.void(f"v{number}", f"e{number}", f"2026-11-{20 - number}T00:00:00Z")
    scenario.advance("2027-12-01T00:00:00Z")
    assert [lapsed.event_id for lapsed in scenario.changes(VoidLapsed)] == [
        f"v{number}" for number in reversed(range(waiting))
    ]


def test_what_is_due_next_is_worked_out_again_after_every_record() -> None:
    scenario = Scenario()
    scenario.open()
    assert next_due(scenario.acme) is None
    scenario.give("tokens", "10", valid_from=NOVEMBER, valid_to="2026-11-30T00:00:00Z")
    due = next_due(scenario.acme)
    assert due is not None
    assert format_instant(due.at)[:10] == "2026-11-27"  # the warning, three days ahead
    scenario.advance("2026-11-30T00:00:00Z")
    assert next_due(scenario.acme) is None
    assert [charge.kind for charge in scenario.charges(ROLLOVER)] == []
