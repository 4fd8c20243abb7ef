"""Under any versions and promotions a counter comes to its total, in any cut and any order.

Semantics section 2: the total is the sum over versions, and within one over its promotions, of
floor(A(N)) - floor(A(N - n)). With first units what is promoted depends on the journal's order, but
not how it is cut.
"""

from collections import defaultdict
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.documents.tariff import parse_tariff
from tests.properties.second_opinion import Document, total_of, total_so_far
from tests.properties.tariffs import COUNTED_PRICES, MODIFIERS, SCOPES
from tests.rating.scenario import Scenario


class Use(NamedTuple):
    """Some tokens on a day of November."""

    day: int
    units: int
    login: str
    model: str


OFFERS = st.one_of(
    st.fixed_dictionaries({"percent_off": st.sampled_from(["12.5", "33.3333", "100"])}),
    st.fixed_dictionaries({"price": COUNTED_PRICES}),
)
SPANS = st.tuples(st.integers(1, 28), st.integers(1, 28)).filter(lambda span: span[0] < span[1])
WHOSE: tuple[Document, ...] = (
    {"subject": "anna"},
    {"subject": "a*"},
    {"model": "gpt-5"},
    {"model": "gpt-*"},
    {},
)
"""Matches of promotions, the most specific first: no two of them tie."""


def _promotions(ids: tuple[str, ...]) -> st.SearchStrategy[list[Document]]:
    """Return promotions in the order of WHOSE."""

    def promotion(row: tuple[Document, Document, str, tuple[int, int]]) -> Document:
        offer, match, name, (start, end) = row
        dates = {"valid_from": day(start), "valid_to": day(end)}
        return {"id": name, "match": match, **offer, **dates}

    rows = [
        st.one_of(st.none(), st.tuples(OFFERS, st.just(match), st.just(name), SPANS).map(promotion))
        for match, name in zip(WHOSE, ids, strict=True)
    ]
    return st.tuples(*rows).map(lambda found: [row for row in found if row])


def day(number: int) -> str:
    return f"2026-11-{number:02d}T00:00:00Z"


@st.composite
def plans(draw: st.DrawFn) -> list[Document]:
    scope = draw(st.sampled_from(SCOPES))
    versions = []
    for number in range(draw(st.integers(1, 3))):
        ids = tuple(draw(st.permutations("abcde")))
        component = {
            "id": "ladder",
            "kinds": ["input"],
            "scope": scope,
            "period": "calendar_month",
            "price": draw(COUNTED_PRICES),
            **draw(MODIFIERS),
        }
        versions.append(
            {
                "tariff_id": "plan",
                "version": number + 1,
                "effective_from": day(draw(st.integers(1, 20))),
                "currency": "USD",
                "components": [component],
                "promotions": draw(_promotions(ids)),
            }
        )
    return versions


STREAMS = st.lists(
    st.builds(
        Use,
        st.integers(1, 28),
        st.integers(1, 30),
        st.sampled_from(["anna", "adam", "ben"]),
        st.sampled_from(["gpt-5", "gpt-4o", "o3"]),
    ),
    max_size=8,
)


def rated(versions: list[Document], stream: list[Use]) -> Scenario:
    scenario = Scenario()
    for version in versions:
        scenario.publish(parse_tariff(version, "plan"))
    scenario.open()
    scenario.assign()
    for number, use in enumerate(stream):
        words = {"subject": use.login, "model": use.model}
        scenario.charged(f"e{number}", noon(use.day), {"input": use.units}, **words)
    return scenario


def noon(number: int) -> str:
    return day(number).replace("T00", "T12")


def chosen(version: Document, use: Use) -> Document | None:
    """Return the promotion that chooses the price: they stand in order of their specificity."""
    for promotion in version["promotions"]:
        (name, pattern) = next(iter(promotion["match"].items()), ("subject", "*"))
        text = use.login if name == "subject" else use.model
        fits = text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
        if fits and promotion["valid_from"] <= noon(use.day) < promotion["valid_to"]:
            return dict(promotion)
    return None


def total(versions: list[Document], stream: list[Use]) -> int:
    """Return what a month comes to, straight from the formula."""
    counters: dict[str, dict[tuple[Any, ...], Any]] = defaultdict(dict)
    for use in stream:
        begun = [v for v in versions if v["effective_from"] <= noon(use.day)]
        if not begun:
            continue
        version = max(begun, key=lambda v: (v["effective_from"], v["version"]))
        promotion = chosen(version, use)
        component = version["components"][0]
        scope = {"account": "", "subject": use.login, "model": use.model}[component["scope"]]
        place = (version["effective_from"], version["version"], (promotion or {"id": ""})["id"])
        stood = counters[scope].get(place, (component, promotion, Fraction(0)))[2]
        counters[scope][place] = (component, promotion, stood + use.units)
    return sum(
        total_of([standing[place] for place in sorted(standing)]) for standing in counters.values()
    )


@given(plans(), STREAMS)
def test_a_month_comes_to_the_totals_of_its_counters(
    versions: list[Document], stream: list[Use]
) -> None:
    assert rated(versions, stream).ledger.account("acme").due == total(versions, stream)


@given(plans(), STREAMS, st.data())
def test_neither_cut_nor_order_changes_what_a_month_comes_to(
    versions: list[Document], stream: list[Use], data: st.DataObject
) -> None:
    cut = []
    for use in stream:
        first = data.draw(st.integers(0, use.units))
        cut += [use._replace(units=part) for part in (first, use.units - first) if part]
    shuffled = data.draw(st.permutations(cut))
    assert rated(versions, shuffled).ledger.account("acme").due == total(versions, stream)


@given(
    COUNTED_PRICES,
    MODIFIERS,
    OFFERS,
    st.integers(1, 80),
    st.sampled_from(["0.4", "1", "3"]),
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
)
def test_first_units_are_promoted_and_the_rest_is_not_however_usage_is_cut(
    price: Document,
    modifiers: Document,
    offer: Document,
    first: int,
    weight: str,
    parts: list[int],
) -> None:
    component = {
        "id": "ladder",
        "kinds": {"input": weight},
        "period": "calendar_month",
        "price": price,
        **modifiers,
    }
    version = {
        "tariff_id": "plan",
        "version": 1,
        "effective_from": day(1),
        "currency": "USD",
        "components": [component],
        "promotions": [{"id": "welcome", "first_units": first, **offer}],
    }
    scenario = rated([version], [Use(2, part, "anna", "o3") for part in parts])
    promoted = min(sum(parts), first // Fraction(weight))
    base = sum(parts) - promoted
    standing = [
        (component, None, base * Fraction(weight)),
        (component, offer, promoted * Fraction(weight)),
    ]
    assert scenario.ledger.account("acme").due == total_of(standing)


@given(COUNTED_PRICES, MODIFIERS, st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_a_promotion_of_nothing_off_changes_nothing(
    price: Document, modifiers: Document, parts: list[int]
) -> None:
    component = {"id": "c", "kinds": ["input"], "period": "lifetime", "price": price, **modifiers}
    version = {
        "tariff_id": "plan",
        "version": 1,
        "effective_from": day(1),
        "currency": "USD",
        "components": [component],
        "promotions": [{"id": "nothing", "percent_off": "0"}],
    }
    scenario = rated([version], [Use(2, part, "anna", "o3") for part in parts])
    assert scenario.ledger.account("acme").due == total_so_far(
        component, None, Fraction(sum(parts))
    )
