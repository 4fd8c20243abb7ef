"""A counter's total does not depend on the order of arrival, also across tariff versions.

The promise of semantics section 2: the total is, over the versions by effective_from, the sum of
floor(A_v(N)) - floor(A_v(N - n_v)), N counting that and all earlier versions, n_v its own.
"""

import json
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from engine.rating.charge import Charge
from tests.properties.tariffs import PRICES, WEIGHTS, Document, amount_so_far, floored_pico
from tests.rating.scenario import Scenario, acme_on


class Use(NamedTuple):
    """Some tokens of one kind on a day of November."""

    event_id: str
    day: int
    kind: str
    units: int
    login: str


class Plan(NamedTuple):
    """Versions of one tariff: the day each begins and its price. Version numbers count up."""

    starts: tuple[int, ...]
    prices: tuple[Document, ...]
    weights: dict[str, str]
    scope: str

    def in_force(self, day: int) -> int | None:
        """Return the index of the version in force on a day."""
        begun = [index for index, start in enumerate(self.starts) if start <= day]
        return max(begun, key=lambda index: (self.starts[index], index), default=None)

    def texts(self) -> list[str]:
        return [
            json.dumps(
                {
                    "tariff_id": "plan",
                    "version": index + 1,
                    "effective_from": f"2026-11-{start:02d}T00:00:00Z",
                    "currency": "USD",
                    "components": [
                        {
                            "id": "ladder",
                            "kinds": self.weights,
                            "scope": self.scope,
                            "period": "calendar_month",
                            "price": price,
                        }
                    ],
                }
            )
            for index, (start, price) in enumerate(zip(self.starts, self.prices, strict=True))
        ]


def plans() -> st.SearchStrategy[Plan]:
    """Return one to four versions, begun in any order, also on the same day."""
    return st.integers(1, 4).flatmap(
        lambda count: st.builds(
            Plan,
            starts=st.tuples(*[st.integers(1, 28)] * count),
            prices=st.tuples(*[PRICES] * count),
            weights=st.fixed_dictionaries({"input": WEIGHTS, "output": WEIGHTS}),
            scope=st.sampled_from(["account", "subject"]),
        )
    )


def streams() -> st.SearchStrategy[list[Use]]:
    """Return up to twelve events, each with an id of its own."""
    rows = st.tuples(
        st.integers(1, 28),
        st.sampled_from(["input", "output"]),
        st.integers(1, 40),
        st.sampled_from(["anna", "ben"]),
    )
    return st.lists(rows, max_size=12).map(
        lambda found: [Use(f"e{number}", *row) for number, row in enumerate(found)]
    )


def charged(plan: Plan, stream: list[Use]) -> tuple[Scenario, list[Charge]]:
    scenario = acme_on(*plan.texts())
    charges = [
        scenario.charged(
            use.event_id,
            f"2026-11-{use.day:02d}T12:00:00Z",
            {use.kind: use.units},
            subject=use.login,
        )
        for use in stream
    ]
    return scenario, charges


def total(plan: Plan, stream: list[Use]) -> int:
    """Return the sum of the totals of all counters, straight from the formula."""
    scopes = {use.login if plan.scope == "subject" else "" for use in stream}
    return sum(total_of_counter(plan, stream, scope) for scope in sorted(scopes))


def total_of_counter(plan: Plan, stream: list[Use], login: str) -> int:
    standing = dict.fromkeys(range(len(plan.starts)), Fraction(0))
    for use in stream:
        version = plan.in_force(use.day)
        if version is not None and login in ("", use.login):
            standing[version] += Fraction(plan.weights[use.kind]) * use.units
    order = sorted(standing, key=lambda index: (plan.starts[index], index))
    amount, before = 0, Fraction(0)
    for index in order:
        after = before + standing[index]
        price = plan.prices[index]
        amount += floored_pico(amount_so_far(price, after))
        amount -= floored_pico(amount_so_far(price, before))
        before = after
    return amount


@given(plans(), streams())
def test_charges_sum_to_the_total_of_the_formula(plan: Plan, stream: list[Use]) -> None:
    scenario, charges = charged(plan, stream)
    assert sum(charge.amount for charge in charges) == total(plan, stream)
    assert scenario.ledger.account("acme").due == total(plan, stream)


@given(plans(), streams(), st.data())
def test_totals_and_counters_are_the_same_in_any_order_of_arrival(
    plan: Plan, stream: list[Use], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(stream))
    first, _ = charged(plan, stream)
    second, _ = charged(plan, shuffled)
    assert counters_of(first) == counters_of(second)
    one, other = first.ledger.account("acme"), second.ledger.account("acme")
    assert (one.due, one.periods, one.charges) == (other.due, other.periods, other.charges)


@given(plans(), streams())
def test_every_line_is_its_slices_and_its_repricings(plan: Plan, stream: list[Use]) -> None:
    _, charges = charged(plan, stream)
    due = 0
    for charge in charges:
        for line in charge.lines:
            if line.amount is not None:
                slices = sum(part.amount for part in line.slices)
                assert line.amount == slices + sum(change.amount for change in line.repricings)
        assert charge.amount == sum(line.amount or 0 for line in charge.lines)
        due += charge.amount
        assert charge.due == due


@given(plans(), streams())
def test_every_charge_is_the_change_of_the_total(plan: Plan, stream: list[Use]) -> None:
    _, charges = charged(plan, stream)
    for number, charge in enumerate(charges):
        assert charge.amount == total(plan, stream[: number + 1]) - total(plan, stream[:number])


@given(plans(), streams())
def test_each_event_is_rated_by_the_version_in_force_when_it_happened(
    plan: Plan, stream: list[Use]
) -> None:
    _, charges = charged(plan, stream)
    for use, charge in zip(stream, charges, strict=True):
        version = plan.in_force(use.day)
        rated_by = charge.tariff.version - 1 if charge.tariff else None
        assert rated_by == version


def counters_of(scenario: Scenario) -> dict[str, Any]:
    """Return what stands in each counter, in no particular order of versions."""
    counters = scenario.ledger.account("acme").counters
    return {key: sorted(entries) for key, entries in counters.items()}
