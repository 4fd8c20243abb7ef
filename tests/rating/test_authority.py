"""Authority: registered sources, what they may report, and when usage comes."""

import pytest

from engine.rating.authority import OPEN, Authority, SourceRegistration
from engine.rating.charge import SUSPENSE, Charge
from engine.rating.errors import InvalidDocument, Refusal
from engine.rating.rules import DEFAULT_LATENESS, LATEST_REVISION, Terms, check_revision
from engine.rating.usage import Origin, Position
from tests.rating.scenario import ONE_DOLLAR_EACH, acme_on, at, usage

NOON = at("2026-11-02T12:00:00Z")
_MINUTE = 60 * 1_000_000
_DAY = 24 * 60 * _MINUTE


def gateway(*accounts: str, actions: tuple[str, ...] = ("record",)) -> SourceRegistration:
    """Register gateway-1 for accounts."""
    return SourceRegistration("gateway-1", accounts, actions, DEFAULT_LATENESS)


def authority(*registrations: SourceRegistration, rules: int = LATEST_REVISION) -> Authority:
    found = Authority()
    found.rules = rules
    for registration in registrations:
        found.register(registration)
    return found


def code(outcome: Terms | Refusal) -> str:
    return outcome.code if isinstance(outcome, Refusal) else "admitted"


@pytest.mark.parametrize(
    ("accounts", "account_id", "expected"),
    [
        (("acme",), "acme", "admitted"),
        (("acme",), "acme-2", "account_not_allowed"),
        (("acme*",), "acme-2", "admitted"),
        (("globex", "tenant-??"), "tenant-07", "admitted"),
        (("globex", "tenant-??"), "tenant-007", "account_not_allowed"),
        (("*",), "anyone", "admitted"),
        ((), "acme", "unregistered_source"),
    ],
)
def test_a_source_reports_only_usage_of_its_accounts(
    accounts: tuple[str, ...], account_id: str, expected: str
) -> None:
    event = usage(occurred_at="2026-11-02T12:00:00Z", account_id=account_id)
    assert code(authority(gateway(*accounts)).admit(event, NOON)) == expected


def test_usage_of_an_unregistered_source_is_refused() -> None:
    refusal = authority(gateway("acme")).admit(usage(source="gateway-2"), NOON)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "unregistered_source"
    assert "'gateway-2'" in refusal.explanation


def test_any_source_covers_those_that_have_no_registration_of_their_own() -> None:
    open_but_one = authority(OPEN, gateway("globex"))
    assert code(open_but_one.admit(usage(source="gateway-2"), NOON)) == "admitted"
    assert code(open_but_one.admit(usage(source="gateway-1"), NOON)) == "account_not_allowed"
    assert open_but_one.is_open
    assert not authority(gateway("*")).is_open


def test_a_later_registration_replaces_the_earlier() -> None:
    found = authority(gateway("acme"))
    event = usage(occurred_at="2026-11-02T12:00:00Z")
    assert code(found.admit(event, NOON)) == "admitted"
    found.register(gateway("globex"))
    assert code(found.admit(event, NOON)) == "account_not_allowed"


def test_an_action_that_is_not_registered_is_refused() -> None:
    void = usage(occurred_at="2026-11-02T12:00:00Z", action="void", corrects="e0")
    assert code(authority(gateway("acme")).admit(void, NOON)) == "action_not_allowed"
    assert code(authority(gateway("acme", actions=("record", "void"))).admit(void, NOON)) == (
        "admitted"
    )


@pytest.mark.parametrize(
    ("ahead_us", "expected"), [(0, "admitted"), (5 * _MINUTE, "admitted"),
    (5 * _MINUTE + 1, "occurred_in_future")],
)  # fmt: skip
def test_usage_may_lie_five_minutes_ahead_of_its_receipt(ahead_us: int, expected: str) -> None:
    event = usage(occurred_at="2026-11-02T12:00:00Z")
    assert code(authority(gateway("acme")).admit(event, NOON - ahead_us)) == expected


@pytest.mark.parametrize(
    ("late_us", "status", "reason"),
    [(90 * _DAY, "rated", ""), (90 * _DAY + 1, SUSPENSE, "too_late")],
)
def test_usage_beyond_its_sources_lateness_is_in_suspense_as_a_whole(
    late_us: int, status: str, reason: str
) -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    event = usage(occurred_at="2026-11-02T12:00:00Z", quantities={"input": 1, "output": 2})
    terms = authority(gateway("acme")).admit(event, NOON + late_us)
    assert isinstance(terms, Terms)
    charge = scenario.take(event, Origin(Position("usage", 0, 0), NOON + late_us), terms)
    assert isinstance(charge, Charge)
    assert {(line.status, line.reason) for line in charge.lines} == {(status, reason)}
    assert (charge.tariff is None) == (status == SUSPENSE)


def test_rules_revision_1_knows_neither_sources_nor_times() -> None:
    first = authority(gateway("nobody"), rules=1)
    assert first.admit(usage(source="anyone"), NOON - 365 * _DAY) == Terms(1, None)
    assert first.is_open


def test_a_charge_names_the_revision_that_rated_it() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    origin = Origin(Position("usage", 0, 0), NOON)
    for revision in (1, 2):
        charge = scenario.take(usage(f"e{revision}"), origin, Terms(revision))
        assert isinstance(charge, Charge)
        assert charge.rules == revision


@pytest.mark.parametrize("revision", [0, LATEST_REVISION + 1])
def test_a_revision_that_this_code_does_not_have_is_refused_by_name(revision: int) -> None:
    with pytest.raises(InvalidDocument, match="upgrade this program before it is adopted"):
        check_revision(revision, "tariffs offset 7")
