from engine.rating.alert import SuspenseAlerts
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on

NOVEMBER = "2026-11-02T00:00:00Z"


def unassigned() -> Scenario:
    scenario = Scenario()
    scenario.open()
    return scenario


def test_a_charge_without_suspense_raises_nothing() -> None:
    charge = acme_on(ONE_DOLLAR_EACH).charged("e1", NOVEMBER, {"input": 1})
    assert SuspenseAlerts().of(charge) == []


def test_a_kind_without_a_price_raises_one_alert_that_names_it() -> None:
    charge = acme_on(ONE_DOLLAR_EACH).charged("e1", NOVEMBER, {"input": 1, "unexplained": 1})
    (alert,) = SuspenseAlerts().of(charge)
    assert (alert.account_id, alert.kind, alert.code) == ("acme", "suspense", "no_price")
    assert (alert.sequence, alert.service_period) == (charge.sequence, "2026-11")
    assert alert.explanation == (
        "openai/gpt-4o/chat/standard/unexplained of account acme is in suspense: no_price"
    )


def test_the_same_suspense_is_alerted_once_a_month() -> None:
    scenario, alerts = acme_on(ONE_DOLLAR_EACH), SuspenseAlerts()
    days = ("2026-11-02", "2026-11-30", "2026-12-01")
    raised = [
        len(alerts.of(scenario.charged(day, f"{day}T00:00:00Z", {"unexplained": 1})))
        for day in days
    ]
    assert raised == [1, 0, 1]


def test_usage_that_waits_as_a_whole_raises_one_alert_for_all_its_kinds() -> None:
    charge = unassigned().charged("e1", NOVEMBER, {"input": 1, "output": 1})
    (alert,) = SuspenseAlerts().of(charge)
    assert alert.code == "account_not_assigned"


def test_another_reason_raises_another_alert() -> None:
    scenario, alerts = Scenario(), SuspenseAlerts()
    first = alerts.of(scenario.charged("e1", NOVEMBER, {"input": 1}))
    scenario.open()
    second = alerts.of(scenario.charged("e2", NOVEMBER, {"input": 1}))
    assert [alert.code for alert in (*first, *second)] == [
        "account_not_open",
        "account_not_assigned",
    ]


def test_an_alert_has_the_same_id_in_every_replay() -> None:
    ids = {
        SuspenseAlerts()
        .of(acme_on(ONE_DOLLAR_EACH).charged("e1", NOVEMBER, {"unexplained": 1}))[0]
        .alert_id
        for _ in range(2)
    }
    assert len(ids) == 1


def test_things_that_lack_a_price_are_told_apart_by_every_dimension() -> None:
    scenario, alerts = acme_on(ONE_DOLLAR_EACH), SuspenseAlerts()
    calls: list[dict[str, str]] = [
        {},
        {"model": "gpt-5"},
        {"provider": "azure"},
        {"service_tier": "batch"},
        {"account_id": "acme", "operation": "embedding"},
    ]
    raised = [
        len(alerts.of(scenario.charged(str(number), NOVEMBER, {"unexplained": 1}, **call)))
        for number, call in enumerate(calls)
    ]
    assert raised == [1, 1, 1, 1, 1]


def test_a_slash_in_a_name_does_not_make_two_things_one() -> None:
    scenario, alerts = acme_on(ONE_DOLLAR_EACH), SuspenseAlerts()
    calls = [
        {"provider": "together", "model": "meta/llama"},
        {"provider": "together/meta", "model": "llama"},
    ]
    raised = [
        len(alerts.of(scenario.charged(str(number), NOVEMBER, {"unexplained": 1}, **call)))
        for number, call in enumerate(calls)
    ]
    assert raised == [1, 1]
