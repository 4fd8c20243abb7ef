"""Verification of what is prepaid, taken back, limited, and of what time brings about."""

from collections.abc import Callable

import pytest

from engine.adapters.avro.account import encode_advance
from engine.adapters.avro.authority import encode_registration
from engine.adapters.avro.exchange import encode_exchange_rate
from engine.adapters.avro.tariff import encode_tariff
from engine.adapters.avro.usage import NO_QUANTITIES
from engine.adapters.tariff_log import TARIFFS
from engine.ports import LogRecord
from engine.rating.authority import OPEN
from engine.rating.charge import (
    ADJUSTMENT,
    CORRECTION,
    EXPIRY,
    GRANT,
    RECHARGE,
    ROLLOVER,
    SETTLEMENT,
    USAGE,
    Charge,
)
from engine.rating.command import (
    Adjust,
    AdvanceTo,
    Approve,
    ClosePeriod,
    RechargeBucket,
    SetLimit,
)
from engine.rating.event import (
    AccountEvent,
    AlertRaised,
    PeriodClosed,
    Record,
    UsageRefused,
    VersionAdopted,
    VoidLapsed,
    VoidPending,
)
from engine.rating.exchange import exchange_rate
from engine.rating.limit import Limit
from engine.rating.money import PICO
from engine.rating.rules import DEFAULT_LATENESS
from engine.rating.usage import MAX_QUANTITY, TOKEN_KINDS
from replay.explain import explain_charge
from replay.verify import Selection
from tests.properties.memory_deployment import PARTITIONS
from tests.rating.scenario import ONE_DOLLAR_EACH, tariff
from tests.replay.prepaid_deployment import (
    ACCOUNTS,
    DECEMBER,
    JOURNAL,
    MONTHLY,
    NEW_YEAR,
    OCTOBER,
    Prepaying,
    changed,
    without,
)
from tests.replay.test_verify import Tampered, verified

MINIMUM = ONE_DOLLAR_EACH.replace("calendar_month", 'calendar_month, minimum: "5"')
SPEND_LIMIT = Limit("spend", "spend", "account", "", "billing_period", 20 * PICO, (50,))
MONEY = MONTHLY._replace(
    grant_id="money",
    unit="money",
    amount=10 * PICO,
    recurrence="",
    rollover=None,
    is_paid=True,
    returns="credit",
    valid_to=DECEMBER,
)


def whole_life(max_commit_bytes: int = 4 * 1024 * 1024) -> Prepaying:
    """Return a history with everything that an account may live through."""
    acme = Prepaying(max_commit_bytes, MINIMUM)
    acme.give()
    acme.give(MONEY)
    acme.order(SetLimit(SPEND_LIMIT), RechargeBucket("money", 2 * PICO))
    acme.order(
        Adjust(7 * PICO, "wrong price"), principal="anna", needs_approval=True, name="adjust"
    )
    acme.order(Approve("adjust"), principal="ben")
    acme.order(Adjust(0, "nothing"))
    acme.use("e1", 60)
    acme.use("e2", 70)
    acme.void("v1", "e1")
    acme.void("v2", "e1")
    acme.void("v3", "e5")
    acme.use("e3", 3, "2026-12-03")
    acme.use("e4", 5, action="amend", corrects="e3")
    acme.work()
    acme.cluster.append(ACCOUNTS, encode_advance(AdvanceTo(NEW_YEAR + DEFAULT_LATENESS)))
    acme.advance(DECEMBER)
    acme.advance(DECEMBER)
    acme.work()
    acme.use("e5", 4)
    acme.use("e5", 4)
    acme.void("v4", "e2")
    acme.order(ClosePeriod("2026-12"))
    acme.advance(NEW_YEAR)
    acme.work()
    return acme


def kinds(acme: Prepaying) -> set[str]:
    return {record.kind for record in acme.records() if isinstance(record, Charge)}


def changes(acme: Prepaying) -> set[type]:
    return {type(record.change) for record in acme.records() if isinstance(record, AccountEvent)}


def tampered(acme: Prepaying, change: Callable[[list[LogRecord]], list[LogRecord]]) -> str:
    """Return what verification finds in a changed journal."""
    acme.work()
    return verified(Tampered(acme.log, JOURNAL, change)).difference


def of_kind(kind: str) -> Callable[[Record], bool]:
    return lambda record: isinstance(record, Charge) and record.kind == kind


@pytest.mark.parametrize("max_commit_bytes", [1, 1_500, 4 * 1024 * 1024])
def test_a_whole_life_verifies_however_it_was_cut_into_commits(max_commit_bytes: int) -> None:
    acme = whole_life(max_commit_bytes)
    found = verified(acme.log)
    assert found.holds, found.difference
    assert found.stands == found.again
    assert kinds(acme) == {
        USAGE, CORRECTION, SETTLEMENT, ADJUSTMENT, GRANT, RECHARGE, EXPIRY, ROLLOVER,
    }  # fmt: skip
    assert changes(acme) >= {VoidPending, UsageRefused, PeriodClosed, AlertRaised}
    assert (found.charges, found.corrections) == (
        len(acme.charges(USAGE)),
        len(acme.charges(CORRECTION)),
    )
    assert found.counts.commands_rejected == 1


def test_every_charge_of_a_whole_life_is_explained() -> None:
    acme = whole_life()
    for record in acme.records():
        if isinstance(record, Charge):
            found = explain_charge(acme.log, PARTITIONS, record.charge_id)
            assert found is not None
            assert found.holds, (record.kind, found.findings)


@pytest.mark.parametrize("selection", [Selection("nobody"), Selection(until=OCTOBER)])
def test_a_selection_of_nothing_still_checks_what_usage_leads_to(selection: Selection) -> None:
    acme = whole_life()
    found = verified(acme.log, selection)
    assert found.holds, found.difference
    assert (found.charges, found.corrections, found.movements) == (0, 0, 0)
    log = Tampered(acme.log, JOURNAL, without(is_alert))
    assert "AlertRaised" in verified(log, selection).difference


def is_alert(record: Record) -> bool:
    return isinstance(record, AccountEvent) and isinstance(record.change, AlertRaised)


def rolling() -> Prepaying:
    """Return a history in which 90 of a hundred tokens remain at the end of November."""
    acme = Prepaying()
    acme.give()
    acme.use("e1", 10)
    acme.work()
    acme.advance(DECEMBER)
    return acme


def test_a_rollover_of_more_than_the_grant_allows_is_found() -> None:
    def generous(charge: Charge) -> Charge:
        if charge.kind != ROLLOVER:
            return charge
        (drawdown,) = charge.drawdowns
        more = drawdown._replace(units=2 * drawdown.units, remaining=2 * drawdown.remaining)
        return charge._replace(drawdowns=(more,))

    assert "drawdowns stands as" in tampered(rolling(), changed(Charge, generous))


def test_an_expiry_that_was_left_out_is_found() -> None:
    found = tampered(rolling(), without(of_kind(EXPIRY)))
    assert "stands where the expiry of monthly#0 (account acme, sequence" in found


def test_everything_that_time_brought_about_left_out_is_found() -> None:
    found = tampered(
        rolling(), without(lambda r: r.position.topic == "accounts" and r.position.offset == 3)
    )
    assert "is missing: accounts[0] offset 3 index 0 leads to it" in found


def test_the_last_thing_that_time_brought_about_left_out_is_found() -> None:
    def is_close(record: Record) -> bool:
        return isinstance(record, AccountEvent) and isinstance(record.change, PeriodClosed)

    found = tampered(rolling(), without(is_close))
    assert "PeriodClosed(period='2026-11'" in found
    assert "is missing: accounts[0] offset 3 index 0 leads to it" in found


def test_a_refill_that_opened_before_usage_and_was_left_out_is_found() -> None:
    acme = Prepaying()
    acme.give()
    acme.use("e1", 10, "2026-12-02")
    acme.work()

    def is_second(record: Record) -> bool:
        return of_kind(GRANT)(record) and record.drawdowns[0].bucket == "monthly#1"  # type: ignore[union-attr]

    assert "stands where the grant of monthly#1" in tampered(acme, without(is_second))
    log = Tampered(acme.log, JOURNAL, without(is_second))
    assert not verified(log, Selection("nobody")).holds


def limited() -> Prepaying:
    acme = Prepaying()
    acme.order(SetLimit(SPEND_LIMIT))
    acme.use("e1", 11)
    acme.use("e2", 11)
    return acme


def test_an_alert_that_was_changed_is_found() -> None:
    def softened(event: AccountEvent) -> AccountEvent:
        if not isinstance(event.change, AlertRaised):
            return event
        return event._replace(change=event.change._replace(explanation="all is well"))

    found = tampered(limited(), changed(AccountEvent, softened))
    assert "change stands as AlertRaised" in found
    assert "decided again" in found


def test_an_alert_that_was_left_out_is_found() -> None:
    assert "limit_reached" in tampered(
        limited(),
        without(
            lambda r: (
                isinstance(r, AccountEvent)
                and isinstance(r.change, AlertRaised)
                and r.change.code == "limit_reached"
            )
        ),
    )


def test_who_asked_and_who_approved_can_not_be_changed() -> None:
    acme = Prepaying()
    acme.order(Adjust(PICO, "goodwill"), principal="anna", needs_approval=True, name="adjust")
    acme.order(Approve("adjust"), principal="ben")
    nobody = changed(AccountEvent, lambda event: event._replace(principal=""))
    assert "principal stands as '', decided again 'anna'" in tampered(acme, nobody)
    alone = changed(AccountEvent, lambda event: event._replace(approves=""))
    assert "approves stands as '', decided again 'adjust'" in tampered(acme, alone)


def test_the_digest_of_a_closed_period_is_worked_out_again() -> None:
    acme = rolling()
    acme.advance(NEW_YEAR)

    def other(event: AccountEvent) -> AccountEvent:
        if not isinstance(event.change, PeriodClosed):
            return event
        return event._replace(change=event.change._replace(state_digest=bytes(32)))

    assert "PeriodClosed" in tampered(acme, changed(AccountEvent, other))


def test_time_whose_effects_take_several_commits_verifies() -> None:
    acme = Prepaying(max_commit_bytes=1)
    acme.give()
    acme.work()
    acme.advance(NEW_YEAR)
    commits = acme.commits()
    place = acme.cluster.end(ACCOUNTS) - 1
    ahead = [
        commit
        for commit in commits
        if any(record.position.offset == place for record in commit.records)
        and dict(commit.positions).get("accounts", 0) <= place
    ]
    assert len(ahead) > 1
    found = verified(acme.log)
    assert found.holds, found.difference

    def cut(records: list[LogRecord]) -> list[LogRecord]:
        """Leave out what the last of these commits holds, but go past the record."""
        return without(lambda record: record in ahead[-1].records)(records)

    assert "is missing" in tampered(acme, cut) or "stands where" in tampered(acme, cut)


def test_a_version_whose_adoption_was_left_out_is_found() -> None:
    acme = Prepaying()
    acme.work()
    later = ONE_DOLLAR_EACH.replace("version: 1", "version: 2").replace("2026-01-01", "2026-12-01")
    acme.cluster.append(TARIFFS, encode_tariff(tariff(later)))
    acme.work()
    acme.use("e1", 1)

    def is_adoption(record: Record) -> bool:
        return isinstance(record, AccountEvent) and isinstance(record.change, VersionAdopted)

    assert verified(acme.log).holds
    found = tampered(acme, without(is_adoption))
    assert "VersionAdopted" in found
    assert "is missing" in found


def test_a_void_before_its_original_verifies_and_may_not_be_forgotten() -> None:
    acme = Prepaying()
    acme.give()
    acme.void("v1", "e1")
    acme.use("e1", 10)
    acme.work()
    assert [c.event_id for c in acme.charges(CORRECTION)] == ["v1"]
    found = verified(acme.log)
    assert found.holds, found.difference
    assert (found.counts.charges, found.counts.pending) == (1, 1)
    assert "the correction of v1 (account acme, sequence" in tampered(
        acme, without(of_kind(CORRECTION))
    )


def test_a_void_that_lapses_verifies_and_may_not_lapse_unseen() -> None:
    acme = Prepaying()
    acme.cluster.append(TARIFFS, encode_registration(OPEN._replace(lateness=0)))
    acme.use("v1", 0, action="void", corrects="e1", occurred_at=NEW_YEAR + 30_000_000)
    acme.work()
    acme.advance(NEW_YEAR + 60_000_000)
    assert VoidLapsed in changes(acme)
    assert verified(acme.log).holds

    def is_lapse(record: Record) -> bool:
        return isinstance(record, AccountEvent) and isinstance(record.change, VoidLapsed)

    assert "VoidLapsed" in tampered(acme, without(is_lapse))


def test_time_too_far_ahead_is_rejected_and_a_rejection_of_other_time_is_found() -> None:
    acme = Prepaying()
    acme.advance(NEW_YEAR + DEFAULT_LATENESS)
    acme.work()
    found = verified(acme.log)
    assert found.holds, found.difference
    assert found.counts.commands_rejected == 1

    def sooner(records: list[LogRecord]) -> list[LogRecord]:
        """Replace the record that was rejected by one that may pass."""
        return [*records[:-1], records[-1]._replace(value=encode_advance(AdvanceTo(DECEMBER)))]

    replaced = verified(Tampered(acme.log, ACCOUNTS, sooner))
    assert "rejection advance_in_future at accounts[0] offset 2" in replaced.difference


def test_records_of_tariffs_that_concern_no_account_need_no_record() -> None:
    acme = Prepaying()
    acme.cluster.append(TARIFFS, encode_exchange_rate(exchange_rate("EUR", "USD", "1.1", OCTOBER)))
    acme.use("e1", 1)
    acme.work()
    assert verified(acme.log).holds


def test_usage_that_is_rejected_after_its_refills_verifies() -> None:
    acme = Prepaying(text=ONE_DOLLAR_EACH.replace('unit_price: "1"', 'unit_price: "999999999"'))
    acme.give()
    most = {**NO_QUANTITIES, **dict.fromkeys(TOKEN_KINDS, MAX_QUANTITY)}
    for number in range(9):
        acme.use(f"e{number}", 1, quantities=most)
    acme.use("too-much", 1, "2026-12-02", quantities=most)
    acme.work()
    assert [c.drawdowns[0].bucket for c in acme.charges(GRANT)] == ["monthly#0", "monthly#1"]
    found = verified(acme.log)
    assert found.holds, found.difference
    assert (found.counts.charges, found.counts.rejections) == (9, 1)
