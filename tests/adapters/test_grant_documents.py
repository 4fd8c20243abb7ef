"""Grants, limits and account orders as documents: one shape in and out, every mistake named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.documents.account_orders import content_id, parse_order
from engine.adapters.documents.grants import DAY, WEIGHED_KINDS, parse_grant, parse_limit
from engine.adapters.documents.reading import InvalidFile, parse_text
from engine.rating.command import (
    AccountCommand,
    Adjust,
    AdoptVersion,
    Approve,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    OpenAccount,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.grant import (
    BREAKAGE,
    CREDIT,
    PLAIN_WEIGHTS,
    Grant,
    Rollover,
    Thresholds,
    check_grant,
)
from engine.rating.grant_document import grant_document
from engine.rating.limit import Limit, check_limit
from engine.rating.money import PICO
from engine.rating.period import FIRST_INSTANT, UTC_ZONE
from tests.rating.scenario import at

STARTER = """
grant_id: starter
unit: tokens
amount: 10000000
valid_from: 2026-11-01T00:00:00Z
valid_to: 2026-12-01T00:00:00Z
"""
EVERYTHING = """
grant_id: team
unit: tokens
amount: "1000.5"
valid_from: 2026-11-01T00:00:00Z
valid_to: 2027-11-01T00:00:00+08:00
granted_at: 2026-10-30T00:00:00Z
priority: -1
weights: {output: 4, input: "1.25"}
model_weights: {gpt-4o*: {output: 8}, o1: {input: 3}}
match: {model: [o1, gpt-4o], context_above: 10, time: {hours: ["16:30-00:30"]}}
per_subject_cap: 100
recurs: calendar_month
anchor: 2026-10-31T00:00:00Z
rollover_up_to: 500
rollover_at_least: 1
grace_days: "1.5"
paid: true
returns: breakage
alerts: {used_percents: [50], remaining: [10, 0], expiry_lead_seconds: null, run_out: false}
"""


def grant(text: str) -> Grant:
    """Return the grant that a YAML text describes."""
    return parse_grant(parse_text(text, "grant.yaml"), "grant.yaml")


def problems(data: Any) -> list[str]:
    """Return what is wrong with an order, without the name of the file."""
    with pytest.raises(InvalidFile) as caught:
        parse_order(data, "f")
    return [str(problem) for problem in caught.value.problems]


def order(do: str, **words: Any) -> AccountCommand:
    """Return the command of an order to acme."""
    return parse_order({"account_id": "acme", "do": do, **words}, "f")


def test_a_grant_says_no_more_than_it_must() -> None:
    start = at("2026-11-01T00:00:00Z")
    assert grant(STARTER) == Grant(
        "starter", "tokens", 10**7 * PICO, start, at("2026-12-01T00:00:00Z"), start
    )


def test_a_grant_may_say_everything() -> None:
    team = grant(EVERYTHING)
    assert team.amount == 1000 * PICO + PICO // 2
    assert [kind for kind, _ in team.weights] == ["input", "output"]
    assert team.weight_pico("output", "gpt-4o-mini") == 8 * PICO
    assert team.weight_pico("output", "o1") == 4 * PICO
    assert team.rollover == Rollover(500 * PICO, PICO)
    assert team.grace == DAY * 3 // 2
    assert team.is_paid
    assert team.returns == BREAKAGE
    assert team.thresholds == Thresholds((50,), (10 * PICO, 0), None, run_out=False)


@pytest.mark.parametrize("text", [STARTER, EVERYTHING])
def test_what_is_shown_of_a_grant_can_be_given_again(text: str) -> None:
    given_first = grant(text)
    shown = json.dumps(grant_document(given_first))
    assert grant(shown) == given_first


def test_paid_money_comes_back_as_credit_and_given_money_is_lost() -> None:
    money = STARTER.replace("tokens", "money")
    assert grant(money).returns == BREAKAGE
    assert grant(money + "paid: true").returns == CREDIT
    assert "weights" not in grant_document(grant(money))


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw grants of every shape."""
    amounts = st.decimals(
        min_value="0.000000000001", max_value="100000000000000000000", places=12
    ).map(lambda value: format(value, "f"))
    moments = st.sampled_from(
        ["2026-01-31T00:00:00Z", "2026-02-28T23:59:59.999999Z", "2000-01-01T00:00:00Z"]
    )
    document: dict[str, Any] = {
        "grant_id": draw(st.sampled_from(["a", "Paket Ü", "x.1"])),
        "unit": draw(st.sampled_from(["tokens", "money"])),
        "amount": draw(amounts),
        "valid_from": draw(moments),
    }
    optional = {
        "valid_to": st.sampled_from(["2030-01-01T00:00:00Z", "2050-01-01T00:00:00Z"]),
        "granted_at": moments,
        "anchor": moments,
        "recurs": st.sampled_from(["day", "week", "calendar_month", "year"]),
        "per_subject_cap": amounts,
        "grace_seconds": st.sampled_from(["0", 60, "0.5"]),
        "paid": st.booleans(),
        "returns": st.sampled_from(["credit", "breakage"]),
        "priority": st.integers(-5, 5),
    }
    if document["unit"] == "tokens":
        kinds = st.dictionaries(
            st.sampled_from(WEIGHED_KINDS), st.sampled_from(["0.000000000001", "2", 4])
        )
        optional |= {
            "weights": kinds,
            "model_weights": st.dictionaries(st.sampled_from(["gpt-4o", "gpt*"]), kinds),
        }
    chosen = draw(st.sets(st.sampled_from(sorted(optional))))
    if "recurs" not in chosen:
        chosen -= {"anchor"}
    return {**document, **{name: draw(optional[name]) for name in chosen}}


@given(_documents())
def test_every_grant_that_can_be_written_can_be_given_and_shown(document: dict[str, Any]) -> None:
    parsed = parse_grant(document, "f")
    assert check_grant(parsed) is None
    assert parse_grant(grant_document(parsed), "f") == parsed


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("amount: 0", "amount: got 0, expected a decimal above 0, of 12 decimals"),
        ("amount: -5", "amount: got -5, expected a decimal above 0"),
        ("grant_id: a#1", "grant_id: got 'a#1', expected 1 to 256 printable characters without #"),
        ("unit: dollars", "unit: got 'dollars', expected 'tokens' or 'money'"),
        ("valid_from: yesterday", "valid_from: got 'yesterday', expected an RFC 3339 time"),
        ("valid_to: 2026-11-01T00:00:00Z", "expected valid_to after valid_from"),
        ("weights: {'*': 1}", "weights.*: got '*', expected a kind that buckets cover"),
        ("weights: {input: 0}", "weights.input: got 0, expected a weight above 0"),
        ("grace_days: 400", "grace_days: got 400, expected a decimal from 0 to 366"),
        ("recurs: month", "recurs: got 'month', expected 'day', 'week'"),
        ("rollover_at_least: 5", "expected rollover_at_least with a rollover_up_to"),
        ("alerts: {used_percents: [101]}", "alerts.used_percents[0]: got 101, expected less than"),
        ("rollover: 5", "rollover: got 5, expected no field of that name"),
        ("paid: 'yes'", "paid: got 'yes', expected a valid boolean"),
    ],
)
def test_a_mistake_in_a_grant_is_named(line: str, problem: str) -> None:
    name = line.partition(":")[0]
    kept = [text for text in STARTER.splitlines() if not text.startswith(f"{name}:")]
    with pytest.raises(InvalidFile) as caught:
        grant("\n".join([*kept, line]))
    assert problem in str(caught.value)


def test_money_has_no_weights_and_what_never_ends_never_rolls() -> None:
    endless = {"grant_id": "g", "unit": "money", "amount": 5, "valid_from": "2026-11-01T00:00:00Z"}
    with pytest.raises(InvalidFile, match="weights only with unit tokens"):
        parse_grant({**endless, "weights": {"input": 1}}, "f")
    with pytest.raises(InvalidFile, match="what never ends, never rolls"):
        parse_grant({**endless, "rollover_up_to": 1}, "f")
    with pytest.raises(InvalidFile, match="either grace_seconds or grace_days"):
        parse_grant({**endless, "grace_seconds": 1, "grace_days": 1}, "f")


def test_a_limit_is_of_the_account_of_each_subject_or_of_one() -> None:
    monthly = parse_limit({"limit_id": "m", "spend": "100.50"}, "f")
    assert monthly == Limit("m", "spend", "account", "", "billing_period", 1005 * PICO // 10)
    each = parse_limit({"limit_id": "d", "tokens": 5, "per": "day", "each_subject": True}, "f")
    assert each == Limit("d", "tokens", "subject", "", "day", 5 * PICO)
    one = parse_limit({"limit_id": "s", "tokens": 5, "subject": "login-7", "warn_at": [50]}, "f")
    assert one == Limit("s", "tokens", "subject", "login-7", "billing_period", 5 * PICO, (50,))
    gone = parse_limit({"limit_id": "m", "remove": True}, "f")
    assert gone.amount is None
    assert [check_limit(limit) for limit in (monthly, each, one, gone)] == [None] * 4


@pytest.mark.parametrize(
    "words",
    [{}, {"spend": 1, "tokens": 1}, {"remove": True, "spend": 1}],
)
def test_a_limit_has_one_amount_or_goes(words: dict[str, Any]) -> None:
    with pytest.raises(InvalidFile, match="either spend, tokens or remove"):
        parse_limit({"limit_id": "m", **words}, "f")


def test_every_command_can_be_written_as_an_order() -> None:
    terms = parse_text(STARTER, "f")
    found = {
        "open": order("open", currency="EUR", close_grace_days=3).order,
        "assign": order("assign", tariff_id="plan", overage="suspended").order,
        "grant": order("grant", **terms).order,
        "recharge": order("recharge", bucket="starter", amount="5").order,
        "void-grant": order("void-grant", grant_id="starter").order,
        "limit": order("limit", limit_id="m", spend=1).order,
        "adjust": order("adjust", amount="-12.50", reason="outage").order,
        "adopt": order("adopt", tariff_id="plan", version=2).order,
        "approve": order("approve", command_id="c", principal="bob").order,
        "close-period": order("close-period", period="2026-11").order,
    }
    assert found == {
        "open": OpenAccount("EUR", UTC_ZONE, 3 * DAY),
        "assign": AssignTariff("plan", FIRST_INSTANT, None, "suspended"),
        "grant": IssueGrant(grant(STARTER)),
        "recharge": RechargeBucket("starter", 5 * PICO),
        "void-grant": VoidGrant("starter"),
        "limit": SetLimit(Limit("m", "spend", "account", "", "billing_period", PICO)),
        "adjust": Adjust(-125 * PICO // 10, "outage"),
        "adopt": AdoptVersion("plan", 2),
        "approve": Approve("c"),
        "close-period": ClosePeriod("2026-11"),
    }


def test_the_key_is_the_callers_or_made_from_the_content() -> None:
    assert order("void-grant", grant_id="g", key="case-7").command_id == "case-7"
    same = [order("void-grant", grant_id="g").command_id for _ in range(2)]
    assert same == [content_id("acme", VoidGrant("g"))] * 2
    assert order("void-grant", grant_id="h").command_id != same[0]


def test_who_asks_may_be_said_once_for_all_orders_and_otherwise_for_each() -> None:
    words = {"account_id": "acme", "do": "void-grant", "grant_id": "g"}
    asked = parse_order(words, "f", "alice", needs_approval=True)
    assert (asked.principal, asked.needs_approval) == ("alice", True)
    own = {**words, "principal": "bob", "needs_approval": False}
    asked = parse_order(own, "f", "alice", needs_approval=True)
    assert (asked.principal, asked.needs_approval) == ("bob", False)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"account_id": "acme"}, "expected a field 'do'"),
        ({"account_id": "acme", "do": "delete"}, "expected 'do' to be one of 'open', 'assign'"),
        ({"do": "open"}, "account_id: got None, expected a value"),
        ({"account_id": "a\n", "do": "open"}, "account_id: got 'a\\n', expected 1 to 256"),
        ({"account_id": "a", "do": "open", "time_zone": "Mars"}, "time_zone: got 'Mars'"),
        ({"account_id": "a", "do": "close-period", "period": "2026"}, "period: got '2026'"),
        ({"account_id": "a", "do": "adjust", "amount": "0", "reason": "x"}, "other than 0"),
        ({"account_id": "a", "do": "adjust", "amount": 1, "reason": ""}, "reason: got ''"),
        ({"account_id": "a", "do": "approve", "command_id": "c"}, "principal: got ''"),
        (
            {"account_id": "a", "do": "void-grant", "grant_id": "g", "needs_approval": True},
            "principal: got '', expected who asks",
        ),
        ([], "document: got [], expected a mapping of fields"),
    ],
)
def test_a_mistake_in_an_order_is_named(data: Any, problem: str) -> None:
    (found,) = problems(data)
    assert problem in found


def test_all_mistakes_of_an_order_are_told_at_once() -> None:
    data = {"account_id": "", "do": "grant", "grant_id": "g/1", "unit": "token", "amount": "x"}
    assert len(problems(data)) == 5


def test_plain_weights_are_those_of_every_kind_of_token() -> None:
    assert grant(STARTER).weights == PLAIN_WEIGHTS
