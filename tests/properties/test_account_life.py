"""Whatever befalls an account: nothing is lost, nothing is counted twice, and replay agrees.

A state machine lives the life of one account: grants, recharges, usage on time and late, voids and
amends in any order, adjustments, limits, months that close, versions published into the past. After
each step `AccountAudit` checks the books, and in the end everything is voided and the books must be
empty.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.adapters.documents.grants import parse_grant
from engine.rating.command import (
    PRICED,
    SUSPENDED,
    Adjust,
    AdoptVersion,
    Approve,
    AssignTariff,
    IssueGrant,
    OpenAccount,
    RechargeBucket,
    VoidGrant,
)
from engine.rating.errors import Refusal
from engine.rating.event import CommandRefused, UsageRefused
from engine.rating.grant import CREDIT
from engine.rating.ledger import DUPLICATE
from engine.rating.money import PICO
from engine.rating.period import instant
from engine.rating.usage import UsageEvent, check_usage
from tests.properties.account_life import AccountAudit
from tests.rating.scenario import DAY, Scenario, at, tariff, usage_fields, zone

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = DAY // 24
AMOUNTS = st.sampled_from(["1", "7", "30", "100", "2500", "0.000000000003", "12.345"])
TOKENS = [
    *("input", "cache_read", "output", "reasoning", "cache_write_5m", "audio_input"),
    "audio_cache_read",
]
KINDS = [*TOKENS, "image", "unexplained"]
QUANTITIES = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 60), min_size=1, max_size=4)
EVENT_IDS = st.sampled_from([f"e{number}" for number in range(20)])
SUBJECTS = st.sampled_from(["anna", "ben"])
MODELS = st.sampled_from(["gpt-4o", "mini"])
DAYS_AGO = st.sampled_from([0, 0, 0, 1, 2, 9, 20, 33, 45])


def plan(number: int, since: datetime, price: str) -> dict[str, Any]:
    """Return a version that prices each kind by another model; weights are those of all versions."""
    tiers = [{"up_to": 20, "unit_price": price}, {"up_to": 50, "unit_price": "0.5"}]
    steps = [*tiers, {"unit_price": "0.1"}]
    month = {"period": "calendar_month"}
    return {
        "tariff_id": "plan",
        "version": number,
        "effective_from": since.isoformat(),
        "currency": "USD",
        "components": [
            {"id": "plain", "kinds": ["input"], **month, "minimum": "40",
             "price": {"model": "unit", "unit_price": price, "per": 3}},
            {"id": "ladder", "kinds": ["output"], **month, "scope": "subject", "minimum": "25",
             "price": {"model": "graduated", "tiers": steps}},
            {"id": "volume", "kinds": ["reasoning"], **month, "scope": "model",
             "price": {"model": "volume", "tiers": steps}},
            {"id": "packs", "kinds": ["cache_write_5m"], "period": "billing_period",
             "price": {"model": "package", "package_size": 25, "package_price": price}},
            {"id": "capped", "kinds": ["audio_input"], **month, "maximum": "30",
             "price": {"model": "unit", "unit_price": price}},
            {"id": "each", "kinds": ["image", "cache_read"], "price": {"model": "volume", "tiers": steps}},
        ],
        "promotions": [
            {"id": "welcome", "match": {"model": "mini"}, "first_units": 30, "percent_off": "50"}
        ],
    }  # fmt: skip


class AccountLife(RuleBasedStateMachine):
    """One account, from opening to the void of all it has used."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario()
        self.audit = AccountAudit(self.scenario)
        self.now = instant(START)
        self.versions = 1
        self.grants: list[str] = []
        self.sent: dict[str, tuple[UsageEvent, bool]] = {}

    @initialize(
        zone_name=st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo"]),
        grace=st.sampled_from([0, 2, 40]),
        overage=st.sampled_from([PRICED, PRICED, SUSPENDED]),
        backdated=st.booleans(),
    )
    def open(self, zone_name: str, grace: int, overage: str, backdated: bool) -> None:
        since = at("2026-09-10T00:00:00Z") if backdated else at("2026-01-01T00:00:00Z")
        self.scenario.publish(tariff(json.dumps(plan(1, datetime(2026, 1, 1, tzinfo=UTC), "1"))))
        self._ask(OpenAccount("USD", zone(zone_name), grace * DAY))
        self._ask(AssignTariff("plan", since, None, overage))

    def _ask(self, order: Any, **rest: Any) -> Any:
        return self.scenario.command(order, received_at=self.now, **rest).change

    @rule(
        unit=st.sampled_from(["tokens", "money"]),
        amount=AMOUNTS,
        priority=st.integers(0, 2),
        start=st.sampled_from([-40, -3, 0, 0, 1]),
        days=st.sampled_from([None, 1, 10, 31]),
        recurs=st.sampled_from([None, None, "day", "week", "calendar_month"]),
        rollover=st.sampled_from([None, ("5", "0"), ("1000", "3")]),
        extra=st.fixed_dictionaries(
            {},
            optional={
                "per_subject_cap": st.sampled_from(["5", "0.5", "40"]),
                "grace_days": st.sampled_from([0, 5]),
                "paid": st.booleans(),
                "returns": st.sampled_from(["credit", "breakage"]),
                "match": st.sampled_from([{"model": "mini"}, {"subject": "anna"}]),
            },
        ),
        weights=st.sampled_from([None, {"input": "1", "output": "2.5"}, {"reasoning": "0.3"}]),
    )
    def give(
        self,
        unit: str,
        amount: str,
        priority: int,
        start: int,
        days: int | None,
        recurs: str | None,
        rollover: tuple[str, str] | None,
        extra: dict[str, Any],
        weights: dict[str, str] | None,
    ) -> None:
        begin = datetime.fromtimestamp(self.now // 1_000_000, UTC) + timedelta(days=start)
        end = None if days is None else begin + timedelta(days=days * (5 if recurs else 1))
        document = {
            "grant_id": f"g{len(self.grants)}",
            "unit": unit,
            "amount": amount,
            "priority": priority,
            "valid_from": begin.isoformat(),
            "valid_to": end and end.isoformat(),
            "recurs": recurs,
            "weights": weights if unit == "tokens" else None,
            **extra,
        }
        if rollover is not None and (end or recurs):
            document["rollover_up_to"], document["rollover_at_least"] = rollover
        grant = parse_grant({k: v for k, v in document.items() if v is not None}, "grant")
        assert not isinstance(self._ask(IssueGrant(grant)), CommandRefused)
        self.grants.append(grant.grant_id)

    @rule(data=st.data(), amount=st.integers(1, 50))
    def recharge(self, data: st.DataObject, amount: int) -> None:
        buckets = self.scenario.acme.prepaid.buckets
        if buckets:
            name = data.draw(st.sampled_from(sorted(buckets)))
            bucket = buckets[name]
            is_gift = bucket.is_money and bucket.grant.returns != CREDIT
            change = self._ask(RechargeBucket(name, amount * PICO))
            assert isinstance(change, CommandRefused) == (bucket.is_closed or is_gift)

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def void_a_grant(self, data: st.DataObject) -> None:
        self._ask(VoidGrant(data.draw(st.sampled_from(self.grants))))

    @rule(
        event_id=EVENT_IDS,
        quantities=QUANTITIES,
        subject=SUBJECTS,
        model=MODELS,
        days=DAYS_AGO,
        corrects=st.one_of(st.just(""), st.just(""), EVENT_IDS),
    )
    def use(
        self,
        event_id: str,
        quantities: dict[str, int],
        subject: str,
        model: str,
        days: int,
        corrects: str,
    ) -> None:
        action = "amend" if corrects else "record"
        self._report(
            event_id, days, quantities, subject=subject, model=model,
            action=action, corrects=corrects,
        )  # fmt: skip

    @rule(uses=st.lists(st.tuples(QUANTITIES, SUBJECTS, MODELS, DAYS_AGO), min_size=2, max_size=6))
    def use_a_lot(self, uses: list[tuple[dict[str, int], str, str, int]]) -> None:
        for quantities, subject, model, days in uses:
            event_id = f"u{len(self.sent)}"
            self._report(event_id, days, quantities, subject=subject, model=model)
            self.audit.check()

    @rule(event_id=EVENT_IDS, corrects=EVENT_IDS)
    def void(self, event_id: str, corrects: str) -> None:
        self._report(event_id, 0, {}, action="void", corrects=corrects)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), amended=st.one_of(st.none(), QUANTITIES))
    def take_back(self, data: st.DataObject, amended: dict[str, int] | None) -> None:
        original = data.draw(st.sampled_from(sorted(self.sent)))
        action = "amend" if amended else "void"
        name = f"{action} of {original}"
        if name not in self.sent:
            self._report(name, 0, amended or {}, action=action, corrects=original)

    def _report(self, event_id: str, days: int, quantities: dict[str, int], **rest: Any) -> None:
        occurred_at = datetime.fromtimestamp((self.now - days * DAY) // 1_000_000, UTC)
        fields = usage_fields(event_id, occurred_at.isoformat(), quantities, **rest)
        event = check_usage(fields, frozenset())
        assert isinstance(event, UsageEvent), event
        before = len(self.scenario.records)
        outcome = self.scenario.take(event, self.scenario.origin(received_at=self.now))
        if event_id in self.sent:
            same = self.sent[event_id][0].digest == event.digest
            assert outcome == DUPLICATE if same else isinstance(outcome, Refusal)
            assert len(self.scenario.records) == before
        else:
            assert not isinstance(outcome, Refusal | str), outcome
            self.sent[event_id] = (event, event.action != "void")

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        event, _ = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        before = len(self.scenario.records)
        assert self.scenario.take(event, self.scenario.origin()) == DUPLICATE
        assert len(self.scenario.records) == before

    @rule(amount=st.integers(-50, 50).filter(bool), days=DAYS_AGO, approved=st.booleans())
    def adjust(self, amount: int, days: int, approved: bool) -> None:
        order = Adjust(amount * PICO, "agreed", self.now - days * DAY)
        if not approved:
            self._ask(order)
            return
        name = f"a{len(self.scenario.records)}"
        self._ask(order, command_id=name, principal="anna", needs_approval=True)
        due = self.scenario.acme.due
        assert isinstance(self._ask(Approve(name), principal="anna"), CommandRefused)
        assert self.scenario.acme.due == due
        self._ask(Approve(name), principal="ben")
        assert isinstance(self._ask(Approve(name), principal="ben"), CommandRefused)

    @rule(
        limit_id=st.sampled_from(["l", "m"]),
        what=st.sampled_from([{"spend": "20"}, {"tokens": "50"}, {"remove": True}]),
        more=st.sampled_from([{}, {"per": "day"}, {"each_subject": True}, {"subject": "anna"}]),
    )
    def limit(self, limit_id: str, what: dict[str, Any], more: dict[str, Any]) -> None:
        now = datetime.fromtimestamp(self.now // 1_000_000, UTC).isoformat()
        self.scenario.limit(limit_id, now, **what, **more)

    @rule(hours=st.sampled_from([1, 24, 24, 72, 24 * 11, 24 * 31]))
    def let_time_pass(self, hours: int) -> None:
        self.now += hours * HOUR
        text = datetime.fromtimestamp(self.now // 1_000_000, UTC).isoformat()
        self.scenario.advance(text)
        assert self.scenario.advance(text) == []

    @precondition(lambda self: self.versions < 4 and self.sent)
    @rule(days=st.sampled_from([-40, -5, 0, 2]), price=st.sampled_from(["2", "0.333"]))
    def publish(self, days: int, price: str) -> None:
        self.versions += 1
        since = datetime.fromtimestamp(self.now // 1_000_000, UTC) + timedelta(days=days)
        self.scenario.publish(tariff(json.dumps(plan(self.versions, since, price))))

    @precondition(lambda self: self.scenario.acme.staged.get("plan"))
    @rule()
    def adopt(self) -> None:
        self._ask(AdoptVersion("plan", self.scenario.acme.staged["plan"][0]))

    @invariant()
    def everything_adds_up(self) -> None:
        self.audit.check()

    def teardown(self) -> None:
        for original, (_, stands) in list(self.sent.items()):
            if stands:
                self._report(f"end of {original}", 0, {}, action="void", corrects=original)
        refused = self.scenario.changes(UsageRefused)
        assert {found.refusal.code for found in refused} <= {"already_voided", "void_of_void"}
        self.audit.check_emptied()


def test_an_account_adds_up_at_every_moment_of_its_life() -> None:
    run_state_machine_as_test(
        AccountLife, settings=settings(max_examples=40, stateful_step_count=30)
    )
