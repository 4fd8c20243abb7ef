"""A tariff version as people get it back: in the order of the reference, short, ready to publish."""

import pytest

from engine.adapters.documents import writing
from engine.adapters.documents.reading import parse_text
from engine.adapters.documents.tariff import parse_tariff
from engine.adapters.documents.writing import tariff_yaml
from engine.rating.period import FrozenZone
from tests.rating.scenario import tariff

WRITTEN = """\
tariff_id: business
version: 3
effective_from: 2026-11-01T00:00:00Z
effective_to: 2027-01-01T00:00:00.500000Z
currency: USD
time_zone: Asia/Shanghai
rounding: half_even
fallback: {cache_read: input, reasoning: output}
components:
  - id: in
    match: {provider: openai, model: gpt-4o*, context_above: 200000}
    kinds: [input]
    price: {model: unit, unit_price: '2.5', per: 1000000}
  - id: out
    kinds: {output: '1', reasoning: '0.5'}
    price:
      model: graduated
      tiers:
        - {up_to: 100, unit_price: '10'}
        - {unit_price: '8', flat_fee: '1'}
    scope: subject
    period: calendar_month
"""


def test_a_version_comes_back_in_the_order_of_the_reference() -> None:
    assert parse_text(tariff_yaml(tariff(WRITTEN)), "x") == parse_text(WRITTEN, "x")
    fields = [line.split(":")[0] for line in tariff_yaml(tariff(WRITTEN)).splitlines()]
    assert fields == [line.split(":")[0] for line in WRITTEN.splitlines()]


def test_transitions_are_left_out_while_todays_data_agrees_and_kept_once_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = tariff(WRITTEN)
    assert "time_zone_transitions" not in tariff_yaml(version)
    monkeypatch.setattr(writing, "freeze_zone", lambda name: FrozenZone(name, (0,), (3600,)))
    text = tariff_yaml(version)
    assert "time_zone_transitions" in text
    assert parse_tariff(parse_text(text, "x"), "x").digest == version.digest
