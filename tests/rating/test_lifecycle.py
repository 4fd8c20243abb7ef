"""Commands applied or refused, versions adopted or staged."""

import pytest

from engine.rating.command import AssignTariff, OpenAccount
from engine.rating.event import (
    AccountEvent,
    AccountOpened,
    CommandRefused,
    TariffAssigned,
    VersionAdopted,
    VersionReference,
    VersionStaged,
)
from engine.rating.period import UTC_ZONE, FrozenZone
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at, tariff, zone

PLAN = tariff(ONE_DOLLAR_EACH)
EURO = tariff(ONE_DOLLAR_EACH.replace("USD", "EUR").replace("tariff_id: plan", "tariff_id: e"))
OTHER = tariff(ONE_DOLLAR_EACH.replace("tariff_id: plan", "tariff_id: other"))


def version_2(effective_from: str = "2026-11-10T00:00:00Z") -> str:
    text = ONE_DOLLAR_EACH.replace("version: 1", "version: 2")
    return text.replace("2026-01-01T00:00:00Z", effective_from)


def refused_with(event: AccountEvent) -> str:
    assert isinstance(event.change, CommandRefused), event
    return event.change.refusal.code


def test_an_account_is_opened_in_a_currency_and_a_zone() -> None:
    scenario = Scenario()
    event = scenario.open("EUR", "Asia/Shanghai")
    assert event.change == AccountOpened("EUR", zone("Asia/Shanghai"))
    account = scenario.ledger.account("acme")
    assert (account.is_open, account.currency) == (True, "EUR")


def test_an_event_keeps_who_asked_for_it_and_by_which_command() -> None:
    scenario = Scenario()
    event = scenario.command(OpenAccount("USD", UTC_ZONE), command_id="c-1", principal="anna")
    assert (event.command_id, event.principal, event.sequence) == ("c-1", "anna", 1)
    assert event.position.topic == "accounts"


def test_a_command_sent_twice_acts_once() -> None:
    scenario = Scenario()
    scenario.publish(PLAN)
    scenario.open()
    order = AssignTariff("plan", at("2026-01-01T00:00:00Z"), None)
    scenario.command(order, command_id="c-1")
    again = scenario.command(order, command_id="c-1")
    assert refused_with(again) == "duplicate_command"
    assert len(scenario.ledger.account("acme").assignments) == 1


def test_a_refused_command_may_be_asked_again_and_an_applied_one_acts_once() -> None:
    scenario = Scenario()
    assert refused_with(scenario.command(OpenAccount("XXX", UTC_ZONE), "c-1")) == "unknown_currency"
    opened = scenario.command(OpenAccount("USD", UTC_ZONE), "c-1")
    assert isinstance(opened.change, AccountOpened)
    again = scenario.command(OpenAccount("USD", UTC_ZONE), "c-1")
    assert refused_with(again) == "duplicate_command"


def test_two_accounts_may_use_the_same_command_id() -> None:
    scenario = Scenario()
    for account_id in ("acme", "globex"):
        event = scenario.command(OpenAccount("USD", UTC_ZONE), "c-1", account_id)
        assert isinstance(event.change, AccountOpened)


def test_an_account_is_opened_once() -> None:
    scenario = Scenario()
    scenario.open("USD")
    assert refused_with(scenario.open("EUR")) == "already_open"
    assert scenario.ledger.account("acme").currency == "USD"


def test_a_tariff_is_assigned_to_an_open_account_only() -> None:
    scenario = Scenario()
    scenario.publish(PLAN)
    assert refused_with(scenario.assign()) == "account_not_open"


def test_only_a_published_tariff_is_assigned() -> None:
    scenario = Scenario()
    scenario.open()
    assert refused_with(scenario.assign("plan")) == "unknown_tariff"


def test_a_tariff_in_another_currency_is_refused() -> None:
    scenario = Scenario()
    scenario.publish(EURO)
    scenario.open("USD")
    assert refused_with(scenario.assign("e")) == "currency_mismatch"


@pytest.mark.parametrize("end", ["2026-11-01T00:00:00Z", "2026-10-31T00:00:00Z"])
def test_an_assignment_does_not_end_before_it_begins(end: str) -> None:
    scenario = Scenario()
    scenario.publish(PLAN)
    scenario.open()
    assert refused_with(scenario.assign("plan", "2026-11-01T00:00:00Z", end)) == "empty_interval"


@pytest.mark.parametrize("moment", [-(2**63), 2**63 - 1, at("9999-12-31T23:59:59Z") + 10**6])
def test_an_assignment_beyond_the_calendar_is_refused(moment: int) -> None:
    """A command's times come from the wire; one that nobody can write down must not be applied."""
    scenario = Scenario()
    scenario.publish(PLAN)
    scenario.open()
    for order in (
        AssignTariff("plan", moment, None),
        AssignTariff("plan", at("2026-01-01T00:00:00Z"), abs(moment)),
    ):
        assert isinstance(scenario.command(order).change, CommandRefused)


@pytest.mark.parametrize(
    "wrong",
    [
        FrozenZone("Europe/Berlin", (20, 10), (3600, 7200)),
        FrozenZone("Europe/Berlin", (10, 10), (3600, 7200)),
        FrozenZone("Europe/Berlin", (10,), (86_400 * 365,)),
    ],
)
def test_an_account_is_not_opened_in_a_zone_that_can_not_be(wrong: FrozenZone) -> None:
    """Transitions come from the wire and decide the months of the account for ever."""
    assert isinstance(Scenario().command(OpenAccount("USD", wrong)).change, CommandRefused)


def test_an_assignment_adopts_every_known_version() -> None:
    scenario = Scenario()
    scenario.publish(PLAN)
    scenario.publish(tariff(version_2()))
    scenario.open()
    change = scenario.assign().change
    assert isinstance(change, TariffAssigned)
    assert [reference.version for reference in change.versions] == [1, 2]
    assert change.versions[0] == VersionReference(1, PLAN.digest)
    assert scenario.ledger.account("acme").adopted == {"plan": (1, 2)}


def test_a_second_assignment_adopts_only_what_is_new() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    change = scenario.assign("plan", "2026-06-01T00:00:00Z").change
    assert isinstance(change, TariffAssigned)
    assert change.versions == ()


def test_an_assignment_after_the_latest_charge_is_live() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.publish(OTHER)
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 1})
    change = scenario.assign("other", "2026-11-10T00:00:00.000001Z").change
    assert isinstance(change, TariffAssigned)
    assert not change.staged


def test_an_assignment_that_is_not_after_the_latest_charge_is_staged() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.publish(OTHER)
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 1})
    change = scenario.assign("other", "2026-11-10T00:00:00Z").change
    assert isinstance(change, TariffAssigned)
    assert change.staged
    late = scenario.charged("e2", "2026-11-20T00:00:00Z", {"input": 1})
    assert late.tariff is not None
    assert late.tariff.tariff_id == "plan"


def test_a_version_is_adopted_at_once_where_no_charge_stands_at_or_after_it() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-09T23:59:59.999999Z", {"input": 1})
    version = tariff(version_2())
    (event,) = scenario.publish(version)
    assert event.change == VersionAdopted("plan", 2, version.digest)
    assert (event.command_id, event.position.topic) == ("", "tariffs")
    assert scenario.ledger.account("acme").adopted == {"plan": (1, 2)}


def test_a_version_is_staged_where_a_charge_stands_at_its_first_instant() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 1})
    version = tariff(version_2())
    (event,) = scenario.publish(version)
    assert event.change == VersionStaged("plan", 2, version.digest)
    assert scenario.ledger.account("acme").staged == {"plan": (2,)}
    later = scenario.charged("e2", "2026-11-20T00:00:00Z", {"input": 1})
    assert later.tariff is not None
    assert later.tariff.version == 1


def test_a_charge_in_suspense_stages_a_version_like_any_other() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"unexplained": 1})
    (event,) = scenario.publish(tariff(version_2()))
    assert isinstance(event.change, VersionStaged)


def test_a_staged_version_is_not_adopted_by_a_new_assignment() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-10T00:00:00Z", {"input": 1})
    scenario.publish(tariff(version_2()))
    change = scenario.assign("plan", "2026-12-01T00:00:00Z").change
    assert isinstance(change, TariffAssigned)
    assert change.versions == ()
    assert scenario.ledger.account("acme").staged == {"plan": (2,)}


def test_a_version_does_not_concern_an_account_without_its_tariff() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    assert scenario.publish(OTHER) == []


def test_a_version_that_is_handed_over_twice_is_taken_in_once() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    version = tariff(version_2())
    scenario.publish(version)
    assert scenario.publish(version) == []
    assert list(scenario.ledger.publish(version, scenario.origin("tariffs"))) == []
