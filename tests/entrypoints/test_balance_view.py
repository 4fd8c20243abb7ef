"""What a person, or a program in a pipe, sees of an account that is watched."""

import json
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from engine.entrypoints.cli.balance import watched_json
from engine.entrypoints.cli.balance_view import balance_picture, watched_picture
from engine.entrypoints.watching import AccountWatch, Spend, Watched
from engine.rating.account import Account
from engine.rating.alert import Alert, SuspenseAlerts, threshold_alert
from engine.rating.balance import Balance, balance_of
from engine.rating.charge import Charge
from engine.rating.command import IssueGrant, SetLimit
from engine.rating.event import AccountEvent
from engine.rating.grant import Grant
from engine.rating.limit import Limit
from engine.rating.money import PICO
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at

NOVEMBER, DECEMBER = at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")


def projected(scenario: Scenario) -> list[tuple[Balance, list[Charge], list[Alert]]]:
    """Return what each record of a scenario is projected to, as the projector does it."""
    account, suspense = Account("acme"), SuspenseAlerts()
    found: list[tuple[Balance, list[Charge], list[Alert]]] = []
    for record in scenario.records:
        account.apply(record)
        if isinstance(record, AccountEvent):
            raised = threshold_alert(record, account.zone)
            found.append((balance_of(account), [], [raised] if raised else []))
        else:
            found.append((balance_of(account), [record], suspense.of(record)))
    return found


def watched(scenario: Scenario) -> Watched:
    """Return what a watcher shows who looks after everything has happened."""
    steps = projected(scenario)
    charges = [charge for _, step, _ in steps for charge in step]
    alerts = [alert for _, _, step in steps for alert in step]
    return AccountWatch().take(steps[-1][0], charges, alerts)


def acme_with_a_bucket() -> Scenario:
    scenario = acme_on(ONE_DOLLAR_EACH)
    grant = Grant("allowance", "tokens", 100 * PICO, NOVEMBER, DECEMBER, NOVEMBER)
    scenario.command(IssueGrant(grant), received_at=NOVEMBER)
    limit = Limit("per-login", "tokens", "subject", "", "billing_period", 90 * PICO)
    scenario.command(SetLimit(limit), received_at=NOVEMBER)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 60}, subject="anna")
    scenario.charged("e2", "2026-11-02T06:00:00Z", {"input": 35}, subject="anna", model="gpt-5")
    scenario.charged("e3", "2026-11-03T00:00:00Z", {"input": 7}, subject="bert", model="[red]")
    return scenario


def drawn(picture: RenderableType) -> str:
    """Return what a terminal of 140 columns shows."""
    screen = StringIO()
    Console(width=140, file=screen).print(picture)
    return screen.getvalue()


def test_who_looks_at_once_and_who_has_watched_all_along_see_the_same() -> None:
    scenario, along = acme_with_a_bucket(), AccountWatch()
    shown = None
    for balance, charges, alerts in projected(scenario):
        shown = along.take(balance, charges, alerts)
    assert shown == watched(scenario)


def test_what_is_projected_after_the_balance_waits_for_the_next_one() -> None:
    steps = projected(acme_with_a_bucket())
    charges = [charge for _, step, _ in steps for charge in step]
    alerts = [alert for _, _, step in steps for alert in step]
    watch = AccountWatch()
    early = watch.take(steps[2][0], charges, alerts)
    assert (early.charges, early.alerts, early.by_subject.greatest) == ((), (), ())
    assert watch.take(steps[-1][0], [], []) == watched(acme_with_a_bucket())


def test_spend_is_told_by_subject_and_model_the_greatest_first() -> None:
    shown = watched(acme_with_a_bucket())
    assert shown.period == "2026-11"
    assert shown.by_subject.greatest == (
        Spend("bert", 2 * PICO, 7, 1),
        Spend("anna", 0, 95, 2),
    )
    assert [spend.name for spend in shown.by_model.greatest] == ["[red]", "gpt-4o", "gpt-5"]


def test_a_void_takes_spend_back_and_only_the_latest_month_is_told() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 60})
    scenario.charged("e2", "2026-12-02T00:00:00Z", {"input": 5})
    scenario.charged("e3", "2026-12-02T00:00:00Z", {"input": 3})
    scenario.use("v1", "2026-12-03T00:00:00Z", {}, action="void", corrects="e2")
    shown = watched(scenario)
    assert shown.period == "2026-12"
    assert shown.by_subject.greatest == (Spend("login-1", 3 * PICO, 3, 3),)


def test_small_spenders_are_told_together() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    for number in range(1, 13):
        scenario.charged(f"e{number}", "2026-11-02T00:00:00Z", {"input": number},
                         subject=f"login-{number}")  # fmt: skip
    by_subject = watched(scenario).by_subject
    assert [spend.name for spend in by_subject.greatest[:2]] == ["login-12", "login-11"]
    assert len(by_subject.greatest) == 10
    assert by_subject.others == Spend("2 others", 3 * PICO, 3, 2)


def test_a_person_sees_buckets_pace_run_out_limits_states_spend_charges_and_alerts() -> None:
    shown = drawn(watched_picture(watched(acme_with_a_bucket())))
    for text in (
        "acme (USD)",
        "exhausted: nothing remains in any open bucket",
        "limited subjects: anna",
        "allowance",
        "2026-12-01T00:00Z",
        "per-login",
        "95 tokens",
        "2026-11 by subject",
        "2026-11 by model",
        "[red]",
        "last charges",
        "-5 allowance",
        "bucket allowance is used up to 100 %: 0 of 100 tokens remain",
    ):
        assert text in shown, shown


def test_a_bucket_in_use_shows_its_pace_and_when_it_runs_out() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    grant = Grant("allowance", "tokens", 100 * PICO, NOVEMBER, None, NOVEMBER)
    scenario.command(IssueGrant(grant), received_at=NOVEMBER)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 48})
    shown = drawn(balance_picture(balance_of(scenario.ledger.account("acme"))))
    row = next(line for line in shown.splitlines() if "52 tokens" in line)
    assert row.split()[-5:] == ["52", "tokens", "100", "2", "2026-11-03T02:00Z"]


def test_a_program_in_a_pipe_gets_the_same_as_json() -> None:
    shown: dict[str, Any] = json.loads(json.dumps(watched_json(watched(acme_with_a_bucket()))))
    assert (shown["account_id"], shown["exhausted"]) == ("acme", True)
    assert shown["buckets"][0]["drawn"] == "100"
    assert shown["limited_subjects"] == ["anna"]
    assert shown["spend"]["period"] == "2026-11"
    assert shown["spend"]["by_subject"]["greatest"][0] == {
        "name": "bert",
        "amount": "2",
        "tokens": 7,
        "charges": 1,
    }
    assert shown["spend"]["by_subject"]["others"] is None
    assert [charge["usage"]["event_id"] for charge in shown["last_charges"][:3]] == [
        "e3",
        "e2",
        "e1",
    ]
    assert shown["alerts"][0]["code"] == "exhausted"
