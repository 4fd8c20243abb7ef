"""First units are counted over all kinds and events that a promotion touches."""

from engine.rating.money import PICO
from tests.rating.scenario import acme_on

WELCOME = """
tariff_id: plan
version: 1
effective_from: 2026-01-01T00:00:00Z
currency: USD
components:
  - {id: tokens, kinds: [input, output], price: {model: unit, unit_price: 1}}
promotions:
  - {id: welcome, first_units: 10, percent_off: 100}
"""


def test_kinds_of_one_event_share_what_earlier_events_left_of_the_first_units() -> None:
    scenario = acme_on(WELCOME)
    scenario.charged("e1", "2026-11-02T00:00:00Z", {"input": 5})
    charge = scenario.charged("e2", "2026-11-02T00:00:00Z", {"input": 3, "output": 5})
    assert [(line.kind, line.promotion, line.quantity) for line in charge.lines] == [
        ("input", "welcome", 3),
        ("output", "welcome", 2),
        ("output", "", 3),
    ]


def test_an_event_takes_one_place_with_all_its_kinds() -> None:
    scenario = acme_on(WELCOME.replace("first_units: 10", "first_events: 2"))
    amounts = [
        scenario.charged(name, "2026-11-02T00:00:00Z", {"input": 900, "output": 5}).amount
        for name in ("e1", "e2", "e3")
    ]
    assert amounts == [0, 0, 905 * PICO]
    (tally,) = scenario.ledger.account("acme").counters.values()
    assert [entry.metered for entry in tally] == [2 * PICO]


def test_the_first_of_two_versions_leave_what_they_left() -> None:
    first = WELCOME.replace("first_units: 10", "first_events: 2")
    second = first.replace("version: 1", "version: 2").replace("2026-01-01", "2026-11-10")
    scenario = acme_on(first, second)
    amounts = [
        scenario.charged(day, f"2026-11-{day}T00:00:00Z", {"input": 1}).amount
        for day in ("02", "11", "12")
    ]
    assert amounts == [0, 0, PICO]
