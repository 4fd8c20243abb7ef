"""Token buckets: who draws from which, how much a bucket covers, and what becomes of it at its end."""

import itertools
from typing import Any

import pytest

from engine.rating.bucket import Bucket
from engine.rating.charge import COVERED, RATED, Charge
from engine.rating.errors import BrokenInvariant
from engine.rating.grant import MONEY, TOKENS
from engine.rating.money import PICO, format_pico
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on, at

SECOND_OF_NOVEMBER = "2026-11-02T00:00:00Z"
TENTH = "2026-11-10T00:00:00Z"


def drawn(charge: Charge) -> list[tuple[str, int]]:
    """Return what token buckets cover, in the order in which they are drawn."""
    return [(draw.bucket, draw.quantity) for line in charge.lines for draw in line.draws]


def shown(bucket: Bucket) -> dict[str, str]:
    """Return the parts of a bucket that are not zero."""
    names = ("granted", "remaining", "drawn", "expired", "rolled", "voided")
    parts = {name: format_pico(getattr(bucket, name)) for name in names}
    return {name: text for name, text in parts.items() if text != "0"}


def acme(*grants: dict[str, Any]) -> Scenario:
    scenario = acme_on(ONE_DOLLAR_EACH)
    for terms in grants:
        scenario.give(**({"unit": TOKENS, "amount": "10"} | terms))
    return scenario


def test_what_a_bucket_covers_costs_nothing_and_the_rest_is_priced() -> None:
    scenario = acme({})
    first = scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 4})
    second = scenario.charged("e2", SECOND_OF_NOVEMBER, {"input": 9})
    assert [(c.lines[0].status, c.lines[0].covered, c.amount) for c in (first, second)] == [
        (COVERED, 4, 0),
        (RATED, 6, 3 * PICO),
    ]
    assert (second.lines[0].quantity, second.lines[0].metered) == (9, 3 * PICO)
    assert shown(scenario.bucket()) == {"granted": "10", "drawn": "10"}


ORDERED: list[dict[str, Any]] = [
    {"grant_id": "b-last", "priority": 1},
    {"grant_id": "e-ends-later", "valid_to": "2027-02-01T00:00:00Z"},
    {"grant_id": "f-ends-first", "valid_to": "2027-01-01T00:00:00Z"},
    {"grant_id": "d-given-later", "granted_at": "2026-02-01T00:00:00Z"},
    {"grant_id": "y-same"},
    {"grant_id": "x-same"},
]
IN_DRAW_ORDER = ["f-ends-first", "e-ends-later", "x-same", "y-same", "d-given-later", "b-last"]


@pytest.mark.parametrize("turn", range(0, 720, 37))
def test_draws_go_by_priority_then_end_then_grant_then_id_whatever_order_they_came_in(
    turn: int,
) -> None:
    scenario = acme(*next(itertools.islice(itertools.permutations(ORDERED), turn, None)))
    charge = scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 60})
    assert drawn(charge) == [(name, 10) for name in IN_DRAW_ORDER]
    assert [entry.bucket for entry in charge.drawdowns] == IN_DRAW_ORDER


def test_a_bucket_covers_whole_tokens_and_keeps_what_is_too_little_for_one() -> None:
    scenario = acme({"weights": {"input": "3", "output": "1"}})
    charge = scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 5, "output": 5})
    assert [(line.covered, line.quantity) for line in charge.lines] == [(3, 5), (1, 5)]
    assert shown(scenario.bucket()) == {"granted": "10", "drawn": "10"}


def test_a_weight_may_be_a_fraction_of_a_unit() -> None:
    scenario = acme({"weights": {"input": "0.3"}, "amount": "1"}, {"grant_id": "h"})
    charge = scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 5})
    assert drawn(charge) == [("g", 3), ("h", 2)]
    assert shown(scenario.bucket()) == {"granted": "1", "remaining": "0.1", "drawn": "0.9"}


def test_a_kind_without_a_weight_is_priced_though_the_bucket_is_full() -> None:
    scenario = acme({"weights": {"input": "1"}})
    assert scenario.charged("e1", SECOND_OF_NOVEMBER, {"cache_read": 2}).amount == 2 * PICO
    assert shown(scenario.bucket()) == {"granted": "10", "remaining": "10"}


def test_kinds_draw_in_their_canonical_order() -> None:
    scenario = acme({"amount": "3"})
    charge = scenario.charged("e1", SECOND_OF_NOVEMBER, {"output": 2, "input": 2})
    assert [(line.kind, line.covered) for line in charge.lines] == [("input", 2), ("output", 1)]


def test_no_subject_draws_more_than_its_cap() -> None:
    scenario = acme({"per_subject_cap": "4"})
    amounts = [
        scenario.charged(f"e{number}", SECOND_OF_NOVEMBER, {"input": 3}, subject=who).amount
        for number, who in enumerate(["anna", "anna", "ben", "cleo", "dora"])
    ]
    assert amounts == [0, 2 * PICO, 0, 0, 3 * PICO]


def test_what_a_void_gives_back_may_be_drawn_again_under_the_cap() -> None:
    scenario = acme({"per_subject_cap": "4"})
    scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 4})
    assert scenario.charged("e2", SECOND_OF_NOVEMBER, {"input": 1}).amount == PICO
    scenario.void("v1", "e1", SECOND_OF_NOVEMBER)
    assert scenario.charged("e3", SECOND_OF_NOVEMBER, {"input": 4}).amount == 0
    assert scenario.acme.prepaid.subject_draws == {("g", "login-1"): 4 * PICO}


def test_a_scope_says_what_a_bucket_is_for() -> None:
    scenario = acme({"match": {"model": "gpt-*", "subject": "anna"}})
    uses = [("gpt-4o", "anna"), ("gpt-4o", "ben"), ("o3", "anna")]
    amounts = [
        scenario.charged(f"e{n}", SECOND_OF_NOVEMBER, {"input": 1}, model=m, subject=s).amount
        for n, (m, s) in enumerate(uses)
    ]
    assert amounts == [0, PICO, PICO]


@pytest.mark.parametrize(
    ("occurred_at", "covered"),
    [
        ("2026-11-01T23:59:59Z", 0),
        ("2026-11-02T00:00:00Z", 1),
        ("2026-11-09T23:59:59Z", 1),
        ("2026-11-10T00:00:00Z", 0),
    ],
)
def test_a_bucket_covers_usage_from_its_beginning_up_to_before_its_end(
    occurred_at: str, covered: int
) -> None:
    scenario = acme({"valid_from": SECOND_OF_NOVEMBER, "valid_to": TENTH})
    assert scenario.charged("e1", occurred_at, {"input": 1}).lines[0].covered == covered


def test_late_usage_is_covered_until_the_grace_is_over_and_not_after() -> None:
    scenario = acme({"valid_to": TENTH, "grace_days": 2})
    scenario.advance("2026-11-11T23:59:59Z")
    assert scenario.charged("e1", "2026-11-09T00:00:00Z", {"input": 4}).amount == 0
    scenario.advance("2026-11-12T00:00:00Z")
    assert scenario.charged("e2", "2026-11-09T00:00:00Z", {"input": 4}).amount == 4 * PICO
    assert shown(scenario.bucket()) == {"granted": "10", "drawn": "4", "expired": "6"}


def test_without_a_grace_of_its_own_a_bucket_has_that_of_the_account() -> None:
    scenario = Scenario()
    scenario.open(close_grace_days=3)
    scenario.give(TOKENS, "10", valid_to=TENTH)
    scenario.give(TOKENS, "10", "now", valid_to=TENTH, grace_days=0)
    scenario.advance("2026-11-12T23:59:59Z")
    assert [scenario.bucket(name).is_closed for name in ("g", "now")] == [False, True]
    scenario.advance("2026-11-13T00:00:00Z")
    assert scenario.bucket().is_closed


ROLLING = {"valid_from": "2026-11-01T00:00:00Z", "valid_to": TENTH}


@pytest.mark.parametrize(
    ("terms", "used", "old", "successor"),
    [
        ({"rollover_up_to": "4"}, 3, {"expired": "3", "rolled": "4"}, "4"),
        ({"rollover_up_to": "50"}, 3, {"rolled": "7"}, "7"),
        ({"rollover_up_to": "5", "rollover_at_least": "2"}, 9, {"rolled": "1"}, "2"),
        ({"rollover_up_to": "5", "rollover_at_least": "2"}, 10, {}, "2"),
        ({"rollover_up_to": "5"}, 10, {}, "0"),
    ],
)
def test_what_remains_rolls_over_between_its_bounds_and_the_rest_expires(
    terms: dict[str, str], used: int, old: dict[str, str], successor: str
) -> None:
    scenario = acme(ROLLING | terms)
    scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": used})
    scenario.advance(TENTH)
    assert shown(scenario.bucket()) == {"granted": "10", "drawn": str(used), **old}
    assert format_pico(scenario.bucket("gr").granted) == successor


def test_a_successor_is_as_long_as_its_predecessor_and_does_not_roll_again() -> None:
    terms = {"rollover_up_to": "10", "weights": {"input": "2"}, "match": {"model": "gpt-4o"}}
    scenario = acme(ROLLING | terms | {"priority": -3})
    scenario.advance(TENTH)
    successor = scenario.bucket("gr")
    assert (successor.valid_from, successor.valid_to) == (at(TENTH), at("2026-11-19T00:00:00Z"))
    assert successor.grant is scenario.bucket().grant
    assert scenario.charged("e1", TENTH, {"input": 3}).lines[0].covered == 3
    scenario.advance("2026-11-19T00:00:00Z")
    assert shown(scenario.bucket("gr")) == {"granted": "10", "drawn": "6", "expired": "4"}
    assert [name for name in scenario.acme.prepaid.buckets if name.endswith("rr")] == []


def test_every_bucket_of_a_recurring_grant_rolls_over_by_itself() -> None:
    scenario = acme({"recurs": "week", "valid_from": "2026-11-02T00:00:00Z", "rollover_up_to": "4"})
    scenario.advance("2026-11-16T00:00:00Z")
    assert {n: shown(b) for n, b in scenario.acme.prepaid.buckets.items()} == {
        "g#0": {"granted": "10", "expired": "6", "rolled": "4"},
        "g#0r": {"granted": "4", "expired": "4"},
        "g#1": {"granted": "10", "expired": "6", "rolled": "4"},
        "g#1r": {"granted": "4", "remaining": "4"},
        "g#2": {"granted": "10", "remaining": "10"},
    }


def test_units_that_come_back_to_a_closed_bucket_go_to_its_successor_up_to_the_limit() -> None:
    scenario = acme(ROLLING | {"rollover_up_to": "4"})
    scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 9})
    scenario.advance(TENTH)
    assert shown(scenario.bucket("gr")) == {"granted": "1", "remaining": "1"}
    correction = scenario.void("v1", "e1", TENTH)
    assert isinstance(correction, Charge)
    (told,) = correction.drawdowns
    assert [told.units // PICO, told.remaining, told.rolled // PICO, told.expired // PICO] == [
        -9,
        0,
        3,
        6,
    ]
    assert shown(scenario.bucket()) == {"granted": "10", "expired": "6", "rolled": "4"}
    assert shown(scenario.bucket("gr")) == {"granted": "4", "remaining": "4"}


def test_units_that_come_back_first_make_up_for_what_a_rollover_gave_at_least() -> None:
    scenario = acme(ROLLING | {"rollover_up_to": "8", "rollover_at_least": "3"})
    scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 2})
    scenario.charged("e2", SECOND_OF_NOVEMBER, {"input": 7})
    scenario.advance(TENTH)
    scenario.void("v1", "e1", TENTH)
    assert shown(scenario.bucket("gr")) == {"granted": "3", "remaining": "3"}
    scenario.void("v2", "e2", TENTH)
    assert shown(scenario.bucket()) == {"granted": "10", "expired": "2", "rolled": "8"}
    assert shown(scenario.bucket("gr")) == {"granted": "8", "remaining": "8"}


@pytest.mark.parametrize("terms", [{}, {"rollover_up_to": "9"}])
def test_units_that_come_back_when_no_successor_is_open_are_lost(terms: dict[str, str]) -> None:
    scenario = acme(ROLLING | terms)
    scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 6})
    scenario.advance("2026-12-01T00:00:00Z")
    scenario.void("v1", "e1", TENTH)
    remaining = scenario.bucket().expired + scenario.bucket().rolled
    assert (scenario.bucket().drawn, remaining) == (0, 10 * PICO)
    assert all(bucket.remaining == 0 for bucket in scenario.acme.prepaid.buckets.values())


def test_a_late_grant_does_not_touch_what_is_rated() -> None:
    scenario = acme_on(ONE_DOLLAR_EACH)
    scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 2})
    scenario.give(TOKENS, "10")
    assert scenario.acme.due == 2 * PICO
    assert shown(scenario.bucket()) == {"granted": "10", "remaining": "10"}


def test_usage_that_nothing_prices_is_covered_first_and_waits_for_the_rest() -> None:
    scenario = acme({"weights": {"unexplained": "1"}, "amount": "3"})
    (line,) = scenario.charged("e1", SECOND_OF_NOVEMBER, {"unexplained": 5}).lines
    assert (line.covered, line.quantity, line.reason) == (3, 5, "no_price")


def test_a_bucket_that_does_not_add_up_stops_everything() -> None:
    bucket = acme({}).bucket()
    for wrong in (bucket._replace(drawn=1), bucket.drawn_by(11 * PICO)):
        with pytest.raises(BrokenInvariant, match="does not add up"):
            wrong.check()


@pytest.mark.parametrize("unit", [TOKENS, MONEY])
def test_a_grant_that_is_taken_back_voids_what_remains(unit: str) -> None:
    scenario = acme({"unit": unit})
    scenario.charged("e1", SECOND_OF_NOVEMBER, {"input": 4})
    scenario.take_back_grant("g")
    assert shown(scenario.bucket()) == {"granted": "10", "drawn": "4", "voided": "6"}
    assert scenario.charged("e2", SECOND_OF_NOVEMBER, {"input": 1}).drawdowns == ()
