"""Draws against a second opinion, and what must not depend on the order in which things arrive."""

import json
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from engine.rating.counter import units
from engine.rating.money import PICO
from tests.properties.test_account_life import plan
from tests.rating.scenario import ONE_DOLLAR_EACH, Scenario, acme_on

FAR = "2040-01-01T00:00:00Z"


class Use(NamedTuple):
    """Usage of one subject on a day of November."""

    day: int
    subject: str
    model: str
    quantities: dict[str, int]


WEIGHTS = st.fixed_dictionaries(
    {}, optional={k: st.sampled_from(["1", "2.5", "0.3", "7"]) for k in ("input", "output")}
)
GRANTS = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.sampled_from(["1", "5", "12.75", "40"]),
            "priority": st.integers(0, 1),
            "weights": WEIGHTS.filter(bool),
            "valid_from": st.sampled_from(["2026-11-01T00:00:00Z", "2026-11-10T00:00:00Z"]),
            "granted_at": st.sampled_from(["2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"]),
        },
        optional={
            "valid_to": st.sampled_from(["2026-11-20T00:00:00Z", "2026-11-25T00:00:00Z"]),
            "per_subject_cap": st.sampled_from(["0.5", "3", "20"]),
            "match": st.sampled_from([{"model": "mini"}, {"subject": "anna"}]),
        },
    ),
    min_size=1,
    max_size=6,
)
USES = st.lists(
    st.builds(
        Use,
        st.integers(1, 28),
        st.sampled_from(["anna", "ben"]),
        st.sampled_from(["gpt-4o", "mini"]),
        st.dictionaries(st.sampled_from(["input", "output"]), st.integers(1, 30), min_size=1),
    ),
    min_size=1,
    max_size=8,
)


def when(day: int) -> str:
    return f"2026-11-{day:02d}T12:00:00Z"


def report(scenario: Scenario, uses: list[Use]) -> list[dict[str, int]]:
    """Report usage; return what is covered of each kind, event by event."""
    covered = []
    for number, use in enumerate(uses):
        charge = scenario.charged(
            f"e{number}", when(use.day), use.quantities, subject=use.subject, model=use.model
        )
        covered.append({line.kind: line.covered for line in charge.lines})
    return covered


def expected(grants: dict[str, dict[str, Any]], uses: list[Use]) -> list[dict[str, int]]:
    """Return what buckets cover, worked out from the words of the semantics alone."""
    remaining = {name: Fraction(terms["amount"]) for name, terms in grants.items()}
    drawn: Counter[tuple[str, str]] = Counter()
    order = sorted(
        grants,
        key=lambda name: (
            grants[name]["priority"],
            grants[name].get("valid_to", FAR),
            grants[name]["granted_at"],
            name,
        ),
    )
    covered = []
    for use in uses:
        found: dict[str, int] = {}
        for kind in sorted(use.quantities):
            left = use.quantities[kind]
            for name in order:
                terms = grants[name]
                if kind not in terms["weights"] or not _is_for(terms, use):
                    continue
                weight = Fraction(terms["weights"][kind])
                free = remaining[name]
                if "per_subject_cap" in terms:
                    cap = Fraction(terms["per_subject_cap"])
                    free = min(free, cap - Fraction(drawn[name, use.subject], PICO))
                whole = min(left, int(free // weight))
                remaining[name] -= whole * weight
                drawn[name, use.subject] += int(whole * weight * PICO)
                left -= whole
            found[kind] = use.quantities[kind] - left
        covered.append(found)
    return covered


def _is_for(terms: dict[str, Any], use: Use) -> bool:
    matched = {"subject": use.subject, "model": use.model}
    fits = all(matched[name] == value for name, value in terms.get("match", {}).items())
    return fits and terms["valid_from"] <= when(use.day) < terms.get("valid_to", FAR)


@given(GRANTS, USES, st.data())
def test_buckets_cover_what_the_semantics_say_in_whatever_order_grants_arrive(
    grants: list[dict[str, Any]], uses: list[Use], data: st.DataObject
) -> None:
    named = {f"g{number}": terms for number, terms in enumerate(grants)}
    scenario = acme_on(ONE_DOLLAR_EACH)
    for name in data.draw(st.permutations(sorted(named))):
        scenario.give("tokens", grant_id=name, **named[name])
    assert report(scenario, uses) == expected(named, uses)


MONEY_GRANTS = st.lists(
    st.fixed_dictionaries(
        {
            "amount": st.sampled_from(["1", "5", "12.75", "40"]),
            "unit": st.sampled_from(["tokens", "money"]),
            "valid_to": st.sampled_from(["2026-11-20T00:00:00Z", "2026-11-25T00:00:00Z"]),
        }
    ),
    max_size=5,
)


@given(MONEY_GRANTS, USES, st.data())
def test_equal_grants_in_another_order_lead_to_the_same_buckets_and_due(
    grants: list[dict[str, Any]], uses: list[Use], data: st.DataObject
) -> None:
    ends = []
    named = {f"g{number}": terms for number, terms in enumerate(grants)}
    for order in (sorted(named), data.draw(st.permutations(sorted(named)))):
        scenario = acme_on(ONE_DOLLAR_EACH)
        for name in order:
            scenario.give(grant_id=name, **named[name])
        report(scenario, uses)
        scenario.advance("2026-11-30T00:00:00Z")
        ends.append((dict(scenario.acme.prepaid.buckets), scenario.acme.due))
    assert ends[0] == ends[1]


TOKENS = [
    *("input", "cache_read", "output", "reasoning", "cache_write_5m", "audio_input", "image"),
    "audio_cache_read",
]
KIND_USES = st.lists(
    st.tuples(
        st.integers(1, 28), st.dictionaries(st.sampled_from(TOKENS), st.integers(1, 60), min_size=1)
    ),
    max_size=8,
)


@given(KIND_USES, st.data())
def test_what_is_voided_leaves_no_trace_in_any_order_of_arrival(
    uses: list[tuple[int, dict[str, int]]], data: st.DataObject
) -> None:
    """Without token buckets and shared promotions the totals are those of what stands."""
    gone = data.draw(st.sets(st.sampled_from(range(len(uses))))) if uses else set()
    steps = [(number, "record") for number in range(len(uses))]
    steps += [(number, "void") for number in gone]
    lived, plain = _scenario(), _scenario()
    for number, action in data.draw(st.permutations(steps)):
        day, quantities = uses[number]
        if action == "void":
            lived.void(f"v{number}", f"e{number}", when(day))
        else:
            lived.charged(f"e{number}", when(day), quantities)
    for number, (day, quantities) in enumerate(uses):
        if number not in gone:
            plain.charged(f"e{number}", when(day), quantities)
    assert lived.acme.due == plain.acme.due
    assert _counted(lived) == _counted(plain)
    for scenario in (lived, plain):
        scenario.advance("2026-12-01T00:00:00Z")
    assert lived.acme.due == plain.acme.due


def _scenario() -> Scenario:
    since = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC))
    documents = [plan(1, since[0], "1"), plan(2, since[1], "0.333")]
    return acme_on(*[json.dumps(document | {"promotions": []}) for document in documents])


def _counted(scenario: Scenario) -> dict[str, dict[int, int]]:
    """Return the units that stand in each counter by version; what is empty left out."""
    return {
        key: {entry.version: entry.metered for entry in standing if entry.metered}
        for key, standing in scenario.acme.counters.items()
        if units(standing)
    }
