"""Documents of the first language keep the digests that they had before the language grew.

The digests were taken from the version of the engine that knew unit and graduated prices only.
"""

import pytest

from engine.rating.language import required_revision
from engine.rating.rules import FIRST_REVISION
from tests.rating.scenario import tariff

HEAD = "tariff_id: plan\nversion: 3\neffective_from: 2026-11-01T01:00:00+01:00\ncurrency: EUR\n"
DOCUMENTS = {
    "every-field": HEAD
    + """
effective_to: 2027-01-01T00:00:00Z
rounding: half_even
fallback: {reasoning: output, cache_read: input}
components:
  - id: zeta
    match: {model: [o3, gpt-5, o3], provider: open*, operation: chat, service_tier: "?atch"}
    kinds: {output: "4.0", input: 1}
    scope: subject
    period: billing_period
    price:
      model: graduated
      per: 1000
      tiers:
        - {up_to: 10, unit_price: "0.10", flat_fee: "1.50"}
        - {up_to: 20, unit_price: 0}
        - {unit_price: "0.000000000000000001"}
  - {id: alpha, match: {context_above: 200000}, kinds: ["*"], price: {model: unit, unit_price: 2.50, per: 7}}
""",
    "one-open-tier": HEAD
    + """
components:
  - {id: c, kinds: [output, input], scope: model, period: day,
     price: {model: graduated, tiers: [{unit_price: "1.0"}]}}
""",
    "one-open-tier-with-a-fee": HEAD
    + """
components:
  - {id: c, kinds: [pass_through_cost, unexplained], period: lifetime,
     price: {model: graduated, per: 1, tiers: [{unit_price: "1.0", flat_fee: "3"}]}}
""",
    "words-of-the-world": HEAD
    + """
components:
  - {id: c, match: {model: "modèle-é 1*", provider: 通义}, kinds: {"*": "0.5", input: "1"},
     price: {model: unit, unit_price: "0"}}
""",
    "frozen-zone": HEAD
    + """
time_zone: Europe/Berlin
time_zone_transitions: [["2000-01-01T00:00:00Z", 3600], ["2026-03-29T01:00:00Z", 7200]]
components: [{id: c, kinds: [request], period: calendar_month, price: {model: unit, unit_price: 1}}]
""",
}

DIGESTS = {
    "every-field": "023158f0018fa08d99b8aeabe2d78fc09ee38553b8d36097d5bf531b1bec3160",
    "one-open-tier": "60f9c09561dd036afc7b93ef1aa4968e6ba2ac6df8c1a2ccf23694e29b1614c7",
    "one-open-tier-with-a-fee": "1bab92b4f64b23fd93f8ee2b89c823b83ba5d3af81cc5935fc0f189b42c50283",
    "words-of-the-world": "3894d6aa809493ac6b568add26d28122b49931aecb1e034a880a283ca774b0fe",
    "frozen-zone": "66cd4af0cd7c2a87b9e67a17ec024d4b7f637365e842077d3cd85e876ac8fe8f",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_of_the_first_language_keeps_its_digest(name: str) -> None:
    assert tariff(DOCUMENTS[name]).digest.hex() == DIGESTS[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_of_the_first_language_needs_the_first_revision_only(name: str) -> None:
    assert required_revision(tariff(DOCUMENTS[name])) == FIRST_REVISION
