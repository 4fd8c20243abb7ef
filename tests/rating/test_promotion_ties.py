"""Two promotions that could choose one price are refused; those that never meet are not."""

import pytest
import yaml

from engine.adapters.documents.reading import InvalidFile
from engine.adapters.documents.tariff import parse_tariff

HEAD = """
tariff_id: plan
version: 1
effective_from: "2026-01-01T00:00:00Z"
currency: USD
components:
  - {id: in, kinds: [input], price: {model: unit, unit_price: 1}}
  - {id: out, kinds: [output], price: {model: unit, unit_price: 1}}
promotions:
"""
AUTUMN = 'valid_to: "2026-11-01T00:00:00Z"'
WINTER = 'valid_from: "2026-11-01T00:00:00Z"'


def publish(first: str, second: str) -> None:
    rows = [
        f"  - {{id: one, percent_off: 10{first}}}\n",
        f"  - {{id: two, percent_off: 20{second}}}\n",
    ]
    parse_tariff(yaml.safe_load(HEAD + "".join(rows)), "plan")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", ""),
        (", components: [in]", ""),
        (", components: [in, out]", ", components: [out]"),
        (", kinds: [input]", ""),
        (", kinds: [cache_read]", ", kinds: [audio_cache_read]"),
        (f", {AUTUMN}", ', valid_from: "2026-10-31T00:00:00Z"'),
        (", match: {account: [acme, globex]}", ", match: {account: [globex, initech]}"),
        (", match: {model: gpt-*}", ", match: {model: '*mini'}"),
    ],
)
def test_promotions_that_can_meet_at_one_price_are_refused(first: str, second: str) -> None:
    with pytest.raises(InvalidFile, match=r"one and two.*different specificity"):
        publish(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (", components: [in]", ", components: [out]"),
        (", kinds: [input]", ", kinds: [output]"),
        (f", {AUTUMN}", f", {WINTER}"),
        (", match: {account: acme}", ", match: {account: globex}"),
        (", match: {account: acme}", ""),
    ],
)
def test_promotions_that_never_meet_or_differ_in_specificity_stand(first: str, second: str) -> None:
    publish(first, second)
