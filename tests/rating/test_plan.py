"""What is kept from one event never decides another."""

import pytest

from engine.rating.tariff import TariffVersion
from engine.rating.usage import UsageEvent, check_usage
from tests.rating.scenario import tariff, usage, usage_fields

PLAN = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
time_zone: Europe/Berlin
components:
  - {id: day, kinds: [input], price: {model: unit, unit_price: 2}}
  - {id: night, kinds: [input], match: {time: {hours: ["22:00-06:00"], weekdays: [sun]}},
     price: {model: unit, unit_price: 1}}
  - {id: red, kinds: [output], match: {attributes: {team: red}}, price: {model: unit, unit_price: 1}}
  - {id: any, kinds: [output], price: {model: unit, unit_price: 1}}
promotions:
  - {id: sale, valid_from: "2026-11-10T00:00:00Z", valid_to: "2026-11-12T00:00:00Z", percent_off: 10}
"""


def promoted(version: TariffVersion, moment: str) -> bool:
    return version.prices(usage(occurred_at=moment))["input"].promoted is not None


@pytest.mark.parametrize("reverse", [False, True])
def test_a_promotion_begins_and_ends_at_its_instant_whatever_was_asked_before(
    reverse: bool,
) -> None:
    version = tariff(PLAN)
    moments = {
        "2026-11-09T23:59:59.999999Z": False,
        "2026-11-10T00:00:00Z": True,
        "2026-11-11T23:59:59.999999Z": True,
        "2026-11-12T00:00:00Z": False,
    }
    for moment, expected in sorted(moments.items(), reverse=reverse):
        assert promoted(version, moment) is expected


@pytest.mark.parametrize("reverse", [False, True])
def test_a_window_begins_and_ends_at_its_minute_whatever_was_asked_before(reverse: bool) -> None:
    version = tariff(PLAN)
    moments = {
        "2026-11-01T20:59:59.999999Z": "day",  # Sunday in winter: Berlin is an hour ahead
        "2026-11-01T21:00:00Z": "night",
        "2026-11-02T04:59:59.999999Z": "night",
        "2026-11-02T05:00:00Z": "day",
    }
    for moment, expected in sorted(moments.items(), reverse=reverse):
        price = version.prices(usage(occurred_at=moment))["input"]
        assert price.component.component_id == expected


def of_team(team: str) -> UsageEvent:
    attributes = {"attributes": {"team": team}} if team else {}
    fields = usage_fields("e1", "2026-11-02T00:00:00Z", {"output": 1}, **attributes)
    event = check_usage(fields, frozenset({"team"}))
    assert isinstance(event, UsageEvent)
    return event


@pytest.mark.parametrize("teams", [("red", "blue", ""), ("", "blue", "red")])
def test_each_attribute_is_looked_at_whatever_was_asked_before(teams: tuple[str, ...]) -> None:
    version = tariff(PLAN)
    for team in teams:
        expected = "red" if team == "red" else "any"
        assert version.prices(of_team(team))["output"].component.component_id == expected


def test_units_of_each_model_weigh_what_they_weigh_whatever_was_asked_before() -> None:
    weights = 'weights: {"*": {output: 5}, "gpt-*": {output: 3}, gpt-4o: {input: 7}}'
    component = f"{{id: c, kinds: {{input: 1, output: 2}}, {weights}, price: {{model: unit, unit_price: 1}}}}"
    version = tariff(PLAN.split("components:", maxsplit=1)[0] + f"components: [{component}]")
    expected = {"gpt-5": (1, 3), "o3": (1, 5), "gpt-4o": (7, 2)}
    for model, (of_input, of_output) in [*expected.items(), *expected.items()]:
        prices = version.prices(usage(model=model))
        assert prices["input"].weight_pico == of_input * 10**12
        assert prices["output"].weight_pico == of_output * 10**12


def test_one_of_thousands_of_logins_with_prices_of_their_own_is_found() -> None:
    rows = [
        f"  - {{id: login-{number}, match: {{subject: login-{number}}}, kinds: [input],"
        f" price: {{model: unit, unit_price: {number}}}}}"
        for number in range(1, 2001)
    ]
    head = "tariff_id: plan\nversion: 1\neffective_from: 2026-01-01T00:00:00Z\ncurrency: USD\n"
    version = tariff("\n".join([f"{head}components:", *rows]))
    prices = version.prices(usage(subject="login-1999"))
    assert prices["input"].component.component_id == "login-1999"
    assert version.prices(usage(subject="login-2001")) == {}
