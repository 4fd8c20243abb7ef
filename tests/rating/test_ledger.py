"""The outcomes of usage: charged, duplicate, rejected. Nothing else, and nothing in between."""

import pytest

from engine.rating.charge import Charge
from engine.rating.errors import Refusal
from engine.rating.ledger import DUPLICATE
from engine.rating.money import PICO
from engine.rating.rules import ACCOUNT_LIFE, Terms
from engine.rating.usage import identity_key
from tests.rating.scenario import ONE_DOLLAR_EACH, acme_on, state_of, tariff, usage

NOVEMBER = "2026-11-02T00:00:00Z"


def test_the_same_event_again_is_a_duplicate_and_changes_nothing() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 7})
    before = state_of(scenario.ledger.account("acme"))
    assert scenario.use("e1", NOVEMBER, {"input": 7}) == DUPLICATE
    assert scenario.use("e1", NOVEMBER, {"input": 7}, publisher="p-2") == DUPLICATE
    assert state_of(scenario.ledger.account("acme")) == before


def test_the_same_identity_with_other_content_is_a_conflict() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 7})
    before = state_of(scenario.ledger.account("acme"))
    outcome = scenario.use("e1", NOVEMBER, {"input": 8})
    assert isinstance(outcome, Refusal)
    assert outcome.code == "identity_conflict"
    assert state_of(scenario.ledger.account("acme")) == before


@pytest.mark.parametrize("other", [{"source": "gateway-2"}, {"account_id": "globex"}])
def test_an_identity_is_occupied_per_account_and_source(other: dict[str, str]) -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 7})
    assert isinstance(scenario.use("e1", NOVEMBER, {"input": 8}, **other), Charge)


def test_usage_in_suspense_occupies_its_identity() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"unexplained": 1})
    assert scenario.use("e1", NOVEMBER, {"unexplained": 1}) == DUPLICATE


def test_a_rejected_event_does_not_occupy_its_identity() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    void = usage("e1", NOVEMBER, {"input": 1}, action="void", corrects="e0")
    rejected = scenario.take(void, scenario.origin(), Terms(ACCOUNT_LIFE - 1))
    assert isinstance(rejected, Refusal)
    assert rejected.code == "action_not_supported"
    assert isinstance(scenario.use("e1", NOVEMBER, {"input": 1}), Charge)


def test_an_identity_is_occupied_for_ever() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e0", NOVEMBER, {"input": 1})
    for number in range(1, 300):
        scenario.charged(f"e{number}", NOVEMBER, {"input": 1})
    assert scenario.use("e0", NOVEMBER, {"input": 1}) == DUPLICATE


def test_a_ledger_that_folds_a_charge_ends_in_the_same_state_as_the_one_that_made_it() -> None:
    scenario, twin = acme_on(ONE_DOLLAR_EACH), acme_on(ONE_DOLLAR_EACH)
    twin.ledger.apply(scenario.charged("e1", NOVEMBER, {"input": 7}))
    assert state_of(twin.ledger.account("acme")) == state_of(scenario.ledger.account("acme"))
    assert twin.use("e1", NOVEMBER, {"input": 7}) == DUPLICATE


def test_sequences_are_gapless_across_commands_versions_and_charges() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    first = scenario.charged("e1", NOVEMBER, {"input": 7})
    text = ONE_DOLLAR_EACH.replace("version: 1", "version: 2")
    (event,) = scenario.publish(tariff(text))
    second = scenario.charged("e2", NOVEMBER, {"input": 7})
    assert [first.sequence, event.sequence, second.sequence] == [3, 4, 5]


def test_charges_of_one_account_do_not_touch_another() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", NOVEMBER, {"input": 7})
    scenario.charged("e1", NOVEMBER, {"input": 7}, account_id="globex")
    assert scenario.ledger.account("acme").due == 7 * PICO
    assert scenario.ledger.account("globex").due == 0


def test_a_charge_id_is_the_usage_identity_in_every_replay() -> None:
    first = acme_on(ONE_DOLLAR_EACH).charged("e1", NOVEMBER, {"input": 7})
    second = acme_on(ONE_DOLLAR_EACH).charged("e1", NOVEMBER, {"input": 7})
    assert first == second
    assert first.charge_id == identity_key("acme", "gateway-1", "e1")
