"""The design's worked examples, run through the public path: documents, commands, usage fields.

A case that needs what a later issue brings is skipped by name. Where a case needs several of them,
the last one in the order of `LATER` is named.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.adapters.documents.tariff import parse_tariff
from engine.rating.charge import SETTLEMENT, Charge, CommandRefused, Line, PeriodClosed
from engine.rating.errors import Refusal
from engine.rating.ledger import DUPLICATE
from engine.rating.money import format_pico
from engine.rating.month import next_label
from engine.rating.period import UTC_ZONE, billing_month, format_instant
from tests.rating.scenario import Scenario, at

CASES: dict[str, Any] = {
    case["id"]: case
    for case in json.loads(Path(__file__).with_name("examples.json").read_text())["examples"]
}

PASSING = tuple("E01 E02 E03 E04 E05 E06 E07 E08 E09 E10 E11 E13 E14 E15 E17 E18 E19 E21".split())

LATER: dict[str, tuple[str, ...]] = {
    # grants of tokens and money, caps, recurrence, rollover
    "Prepaid packages": tuple("E22 E23 E24 E25 E26 E28 E29 E33".split()),
    # void and amend; publishing a version for what was charged already
    "Re-rating": tuple("E12 E16 E20 E27 E30 E31 E32 E34 E35 E36 E37 E38 E39 E40".split()),
}


def parameters() -> list[Any]:
    later = [
        pytest.param(case_id, marks=pytest.mark.skip(reason=f'needs "{issue}"'))
        for issue, case_ids in LATER.items()
        for case_id in case_ids
    ]
    return [*PASSING, *later]


@pytest.mark.parametrize("case_id", parameters())
def test_a_worked_example_gives_exactly_its_charges(case_id: str) -> None:
    case = CASES[case_id]
    scenario = begin(case)
    charges: list[Charge] = []
    for step in case["steps"]:
        found = outcomes(scenario, step)
        assert [shown(outcome) for outcome in found] == step["expect"]
        charges += [outcome for outcome in found if isinstance(outcome, Charge)]
    due = scenario.ledger.account("acme").due
    assert {
        "due": format_pico(due),
        "sum_of_amounts": format_pico(sum(charge.amount for charge in charges)),
        "buckets": {},
    } == case["expect_final"]


def test_every_example_runs_or_names_the_issue_that_brings_what_it_needs() -> None:
    later = [case_id for case_ids in LATER.values() for case_id in case_ids]
    assert sorted([*PASSING, *later]) == sorted(CASES)


def test_e12_suspends_the_unknown_kind_and_charges_the_known_one() -> None:
    case = CASES["E12"]
    charge = take(begin(case), case["steps"][0])
    assert isinstance(charge, Charge)
    assert [shown(charge)] == case["steps"][0]["expect"]


def test_e12_stages_a_version_that_reaches_back_behind_a_charge() -> None:
    case = CASES["E12"]
    scenario = begin(case)
    take(scenario, case["steps"][0])
    events = scenario.publish(parse_tariff(case["steps"][1]["version"], "E12"))
    assert [type(event.change).__name__ for event in events] == ["VersionStaged"]


def test_e37_tells_a_duplicate_from_an_identity_conflict() -> None:
    case = CASES["E37"]
    scenario = begin(case)
    first, again, other = (take(scenario, step) for step in case["steps"][:3])
    assert isinstance(first, Charge)
    assert [shown(first)] == case["steps"][0]["expect"]
    assert again == DUPLICATE
    assert isinstance(other, Refusal)
    assert other.code == case["steps"][2]["expect"][0]["reason"]
    assert scenario.ledger.account("acme").due == first.amount


def begin(case: Any) -> Scenario:
    """Return the scenario before the first step: tariffs known, the account open and assigned."""
    scenario = Scenario()
    for document in case["tariffs"]:
        scenario.publish(parse_tariff(document, case["id"]))
    account = case["account"]
    grace = account.get("close_grace_days", 0)
    opened = scenario.open(account["currency"], account["time_zone"], grace)
    assigned = scenario.assign(account["tariff_id"], account["opened_at"])
    assert not isinstance(opened.change, CommandRefused)
    assert not isinstance(assigned.change, CommandRefused)
    return scenario


def outcomes(scenario: Scenario, step: dict[str, Any]) -> list[Charge | PeriodClosed]:
    """Take a step; return what became of it, settlements right behind what caused them."""
    settled = len(scenario.settlements)
    if step["do"] == "advance_to":
        return advance(scenario, step["time"])
    charge = take(scenario, step)
    assert isinstance(charge, Charge), charge
    return [charge, *scenario.settlements[settled:]]


def advance(scenario: Scenario, time: str) -> list[Charge | PeriodClosed]:
    """Ask for every month from the assignment on to be closed; the engine refuses what is too early.

    The examples have one zone. A clock that closes by itself comes with "Prepaid packages".
    """
    account = scenario.ledger.account("acme")
    found: list[Charge | PeriodClosed] = []
    label = billing_month(UTC_ZONE, account.assignments[0].effective_from)
    while label <= billing_month(UTC_ZONE, at(time)):
        settled = len(scenario.settlements)
        change = scenario.close(label, time).change
        if isinstance(change, PeriodClosed):
            found += [change, *scenario.settlements[settled:]]
        label = next_label(label)
    return found


def take(scenario: Scenario, step: dict[str, Any]) -> Charge | Refusal | str:
    """Report a step's usage."""
    assert step["do"] == "usage"
    words = {name: step[name] for name in step.keys() - {"do", "expect"}}
    quantities = {kind: int(text) for kind, text in words.pop("quantities").items()}
    return scenario.use(words.pop("event_id"), words.pop("occurred_at"), quantities, **words)


def shown(outcome: Charge | PeriodClosed) -> dict[str, Any]:
    """Return a charge, or the closing of a period, in the words of the examples."""
    if isinstance(outcome, PeriodClosed):
        return {
            "outcome": "period_closed",
            "period_start": seconds(outcome.starts_at),
            "period_end": seconds(outcome.ends_at),
        }
    money = {
        "amount": format_pico(outcome.amount),
        "drawdowns": list(outcome.drawdowns),
        "due_change": format_pico(outcome.amount),
    }
    if outcome.kind == SETTLEMENT:
        (line,) = outcome.lines
        start = f"{outcome.service_period}-01T00:00:00Z"
        return {"charge": SETTLEMENT, "component": line.component, "period_start": start, **money}
    return {
        "charge": outcome.kind,
        "event_id": outcome.event_id,
        "lines": [shown_line(line) for line in outcome.lines],
        **money,
    }


def seconds(instant: int) -> str:
    return format_instant(instant).replace(".000000Z", "Z")


def shown_line(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "quantity": str(line.quantity),
        "covered": "0",
        "component": line.component or None,
        "amount": None if line.amount is None else format_pico(line.amount),
        "status": line.status,
    }
