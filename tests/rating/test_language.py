"""What a tariff says decides which rules revision it needs."""

import pytest

from engine.rating.errors import InvalidDocument
from engine.rating.language import require_language, required_revision
from engine.rating.rules import FIRST_REVISION, LATEST_REVISION, TARIFF_LANGUAGE
from tests.rating.scenario import tariff

HEAD = "tariff_id: plan\nversion: 1\neffective_from: 2026-01-01T00:00:00Z\ncurrency: USD\n"
GRADUATED = "{model: graduated, tiers: [{up_to: 9, unit_price: 2, flat_fee: 1}, {unit_price: 1}]}"


def revision_of(component: str, head: str = "") -> int:
    """Return the revision that a tariff of one component needs."""
    return required_revision(tariff(f"{HEAD}{head}components: [{{id: c, {component}}}]"))


@pytest.mark.parametrize(
    "component",
    [
        "kinds: [input], price: {model: unit, unit_price: 1, per: 1000}",
        f"kinds: [input], period: day, scope: subject, price: {GRADUATED}",
        "kinds: {input: 1, output: 4}, price: {model: unit, unit_price: 1}",
        (
            "kinds: ['*'], match: {model: 'g*', provider: [a, b], operation: chat, service_tier: batch,"
            " context_above: 10}, price: {model: unit, unit_price: 1}"
        ),
    ],
)
def test_what_could_always_be_said_needs_no_more_than_the_first_revision(component: str) -> None:
    assert revision_of(component) == FIRST_REVISION


@pytest.mark.parametrize(
    "component",
    [
        "kinds: [input], price: {model: package, package_size: 10, package_price: 1}",
        "kinds: [input], price: {model: volume, tiers: [{unit_price: 1}]}",
        "kinds: [input], price: {model: flat, amount: 1}",
        "kinds: [pass_through_cost], price: {model: percentage, rate_percent: 1}",
        "kinds: [input], price: {model: unit, unit_price: 1, increment: 60}",
        "kinds: [input], price: {model: graduated, tiers: [{unit_price: 1, increment: 60}]}",
        *(
            f"kinds: [input], {words}, price: {{model: unit, unit_price: 1}}"
            for words in (
                "allowance: 1",
                "markup_percent: 1",
                "maximum: 1",
                "minimum: 1",
                "weights: {o3: {input: 2}}",
                "match: {account: acme}",
                "match: {subject: login-1}",
                "match: {region: 'eu-*'}",
                "match: {initiator: agent}",
                "match: {attributes: {team: research}}",
                "match: {time: {hours: ['22:00-06:00']}}",
            )
        ),
    ],
)
def test_what_is_new_needs_the_revision_that_brings_the_language(component: str) -> None:
    assert revision_of(component) == TARIFF_LANGUAGE


@pytest.mark.parametrize(
    "head", ["supplier_for: [openai]\n", "promotions: [{id: p, percent_off: 10}]\n"]
)
def test_suppliers_and_promotions_are_new(head: str) -> None:
    unit = "kinds: [input], price: {model: unit, unit_price: 1}"
    assert revision_of(unit, head) == TARIFF_LANGUAGE


def test_a_version_that_says_too_much_is_refused_with_the_way_out() -> None:
    version = tariff(
        f"{HEAD}components: [{{id: c, kinds: [input], price: {{model: flat, amount: 1}}}}]"
    )
    require_language(version, LATEST_REVISION)
    with pytest.raises(InvalidDocument, match="tollbook rules adopt 3"):
        require_language(version, TARIFF_LANGUAGE - 1)
