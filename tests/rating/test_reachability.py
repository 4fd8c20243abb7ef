"""Components and promotions that can never act are found, with an event that shows it."""

import pytest

from engine.rating.component import WILDCARD_KINDS
from engine.rating.reachability import Unreachable, unreachable
from engine.rating.tariff import TariffVersion
from tests.rating.scenario import tariff

PRICE = "price: {model: unit, unit_price: 1}"


def plan(*components: str, promotions: str = "[]", fallback: str = "{}") -> TariffVersion:
    """Return a tariff with these components, each a YAML text without its price."""
    rows = [f"- {{{text}, {PRICE}}}" for text in components]
    head = "tariff_id: plan\nversion: 1\neffective_from: 2026-01-01T00:00:00Z\ncurrency: USD"
    return tariff(
        "\n".join(
            [head, f"fallback: {fallback}", f"promotions: {promotions}", "components:", *rows]
        )
    )


def found(*components: str, promotions: str = "[]", fallback: str = "{}") -> list[Unreachable]:
    """Return what is out of reach."""
    return list(unreachable(plan(*components, promotions=promotions, fallback=fallback)))


def test_a_window_that_others_cover_together_leaves_the_base_price_without_usage() -> None:
    (only,) = found(
        "id: base, kinds: [input]",
        "id: night, kinds: [input], match: {time: {hours: ['16:30-00:30']}}",
        "id: day, kinds: [input], match: {time: {hours: ['00:30-16:30']}}",
    )
    assert only.name == "component base"
    assert only.beaten_by == ("day", "night")
    assert only.event.startswith("input with")


def test_a_window_with_a_minute_left_is_fine() -> None:
    assert not found(
        "id: base, kinds: [input]",
        "id: night, kinds: [input], match: {time: {hours: ['16:30-00:30']}}",
        "id: day, kinds: [input], match: {time: {hours: ['00:30-16:29']}}",
    )


def test_a_list_whose_every_model_has_its_own_price_is_out_of_reach() -> None:
    (only,) = found(
        "id: both, kinds: [input], match: {model: [a, b]}",
        "id: a, kinds: [input], match: {model: a}",
        "id: b, kinds: [input], match: {model: b}",
    )
    assert (only.name, only.beaten_by) == ("component both", ("a", "b"))


def test_a_wildcard_beside_names_for_every_kind_that_it_could_price() -> None:
    (only,) = found(f"id: named, kinds: [{', '.join(WILDCARD_KINDS)}]", "id: rest, kinds: ['*']")
    assert (only.name, only.beaten_by) == ("component rest", ("named",))


def test_every_length_of_context_has_an_input_price_above_zero() -> None:
    (only,) = found(
        "id: any, kinds: [input]", "id: above, kinds: [input], match: {context_above: 0}"
    )
    assert only.name == "component any"
    assert not found(
        "id: any, kinds: [output]", "id: above, kinds: [output], match: {context_above: 0}"
    )


def test_every_initiator_has_a_price_of_its_own() -> None:
    names = ("unknown", "user", "tool", "agent", "retry", "system")
    rows = [f"id: {name}, kinds: [input], match: {{initiator: {name}}}" for name in names]
    (only,) = found("id: base, kinds: [input]", *rows)
    assert only.name == "component base"
    assert not found("id: base, kinds: [input]", *rows[1:])


@pytest.mark.parametrize(
    "components",
    [
        ["id: any, kinds: [input]", "id: glob, kinds: [input], match: {model: '*a*'}"],
        ["id: any, kinds: [input]", "id: one, kinds: [input], match: {model: '?*', region: eu}"],
        ["id: short, kinds: [input], match: {model: 'a*'}", "id: long, kinds: [input], match: {model: 'a?*'}"],
        ["id: any, kinds: ['*']", "id: named, kinds: [input]"],
        ["id: any, kinds: [input]", "id: acme, kinds: [input], match: {account: acme}"],
        ["id: any, kinds: [input]", "id: team, kinds: [input], match: {attributes: {team: '*b'}}"],
        ["id: any, kinds: [input]", "id: area, kinds: [input], match: {region: '?*'}"],
    ],
)  # fmt: skip
def test_what_leaves_any_usage_is_in_reach(components: list[str]) -> None:
    assert not found(*components)


@pytest.mark.parametrize(
    ("promotion", "why"),
    [
        ("{id: p, percent_off: 5, valid_to: 2026-01-01T00:00:00Z}", "valid_to"),
        ("{id: p, percent_off: 5, kinds: [output]}", "no component"),
        ("{id: p, percent_off: 5, match: {model: b}}", "no component"),
    ],
)
def test_a_promotion_that_changes_no_price_is_named(promotion: str, why: str) -> None:
    (only,) = found("id: a, kinds: [input], match: {model: a}", promotions=f"[{promotion}]")
    assert only.name == "promotion p"
    assert why in only.event


def test_a_promotion_on_a_kind_that_falls_back_changes_its_price() -> None:
    assert not found(
        "id: a, kinds: [input]",
        promotions="[{id: p, percent_off: 5, kinds: [cache_read]}]",
        fallback="{cache_read: input}",
    )


def test_a_promotion_on_a_part_of_a_kind_changes_its_price() -> None:
    assert not found(
        "id: a, kinds: [cache_read]",
        promotions="[{id: p, percent_off: 5, kinds: [audio_cache_read]}]",
    )


def test_a_promotion_on_a_kind_that_falls_back_in_two_steps_changes_its_price() -> None:
    assert not found(
        "id: a, kinds: [input]",
        promotions="[{id: p, percent_off: 5, kinds: [cache_write_1h]}]",
        fallback="{cache_write_1h: cache_write_5m, cache_write_5m: input}",
    )


def test_a_match_that_no_event_fits_is_out_of_reach() -> None:
    (only,) = found("id: bots, kinds: [input], match: {initiator: 'robot*'}")
    assert (only.name, only.beaten_by) == ("component bots", ())


def test_the_problem_names_both_and_shows_an_event() -> None:
    (only,) = found(
        "id: any, kinds: [input]", "id: above, kinds: [input], match: {context_above: 0}"
    )
    problem = str(only.problem("tariff plan version 1"))
    assert "component any" in problem
    assert "above" in problem
    assert "context of 1 tokens" in problem
