"""First units are counted over all kinds and events that a promotion touches."""

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
