"""What must hold of an account at every moment of its life, checked against another reading of it.

`AccountAudit` follows the records of one account and keeps its own books: what each counter's lines
come to, what is paid from buckets, which alerts stand. It knows the contract and none of the engine's
decisions.
"""

from collections import Counter
from itertools import chain

from engine.adapters.avro.journal import decode_record, encode_record
from engine.rating.account import Account
from engine.rating.charge import EXPIRY, MONEY_CHARGES, SUSPENSE, USAGE, VOIDED, Charge, Line
from engine.rating.counter import total, units
from engine.rating.digest import state_digest
from engine.rating.event import AccountEvent, AlertCleared, AlertRaised, GrantVoided, LimitSet
from engine.rating.ledger import Ledger, MemoryIdentities
from engine.rating.settlement import closed_month, unsettled_counters
from engine.rating.tariff_book import TariffBook
from tests.rating.scenario import Scenario, state_of


class AccountAudit:
    """Checks every new record of acme, and the state after it."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._book: TariffBook = scenario.book
        self._twin = Ledger(scenario.book, MemoryIdentities())
        self._seen = 0
        self.amounts = 0
        self._due = 0
        self.by_counter: Counter[str] = Counter()
        self.by_kind: Counter[str] = Counter()
        self._raised: dict[str, str] = {}

    def check(self) -> None:
        """Follow what is new, then check all that must hold."""
        records = self._scenario.records
        for record in records[self._seen :]:
            assert decode_record(encode_record(record)) == record
            self._follow(record)
            self._twin.apply(record)
        self._seen = len(records)
        account = self._scenario.acme
        self._check_fold(account)
        self._check_buckets(account)
        self._check_money(account)
        self._check_counters(account)
        assert account.raised.keys() == self._raised.keys()

    def _follow(self, record: Charge | AccountEvent) -> None:
        if isinstance(record, AccountEvent):
            self._follow_event(record)
        elif record.kind in MONEY_CHARGES:
            self._check_funded(record)
            self.amounts += record.amount
            self.by_kind[record.kind] += record.amount
            for line in record.lines:
                _check_line(line)
                self.by_counter[line.counter] += line.amount or 0
        elif record.kind == EXPIRY:
            self._forget(f"bucket/{record.drawdowns[0].bucket}/")

    def _check_funded(self, charge: Charge) -> None:
        """Check that usage never makes anything due where the overage is suspended."""
        if charge.kind == USAGE and self._scenario.acme.suspends_overage:
            assert charge.due <= max(0, self._due)
        self._due = charge.due

    def _follow_event(self, event: AccountEvent) -> None:
        change = event.change
        if isinstance(change, AlertRaised):
            assert change.key not in self._raised, f"{change.key} is raised twice"
            self._raised[change.key] = change.code
        elif isinstance(change, AlertCleared):
            assert self._raised.pop(change.key) == change.code
        elif isinstance(change, LimitSet):
            self._forget(f"limit/{change.limit.limit_id}/")
        elif isinstance(change, GrantVoided):
            for name, bucket in self._scenario.acme.prepaid.buckets.items():
                if bucket.grant.grant_id == change.grant_id:
                    self._forget(f"bucket/{name}/")

    def _forget(self, prefix: str) -> None:
        kept = {key for key in self._raised if not key.startswith(prefix)}
        self._raised = {key: self._raised[key] for key in kept}

    def _check_fold(self, account: Account) -> None:
        twin = self._twin.account("acme")
        assert state_of(twin) == state_of(account)
        assert state_digest(twin) == state_digest(account)
        assert self._twin.identities == self._scenario.ledger.identities

    def _check_buckets(self, account: Account) -> None:
        prepaid = account.prepaid
        for name, bucket in prepaid.buckets.items():
            parts = (bucket.remaining, bucket.drawn, bucket.expired, bucket.rolled, bucket.voided)
            assert sum(parts) == bucket.granted
            assert min(parts) >= 0
            assert (name in prepaid.open_buckets) == (not bucket.is_closed)
            assert not bucket.is_closed or not bucket.remaining
            cap = bucket.grant.per_subject_cap
            if cap is not None and not bucket.is_money:
                drawn = [u for (of, _), u in prepaid.subject_draws.items() if of == name]
                assert all(0 < taken <= cap for taken in drawn)
                assert sum(drawn) == bucket.drawn

    def _check_money(self, account: Account) -> None:
        paid = sum(b.drawn for b in account.prepaid.buckets.values() if b.is_money)
        assert self.amounts == paid + account.due
        assert account.due == sum(spend.amount for spend in account.periods.values()) - paid
        drawn: Counter[str] = Counter()
        for bucket, taken in chain.from_iterable(account.prepaid.money_draws.values()):
            assert taken > 0
            drawn[bucket] += taken
        for bucket, taken in drawn.items():
            assert taken <= account.prepaid.buckets[bucket].drawn

    def _check_counters(self, account: Account) -> None:
        for key, standing in account.counters.items():
            tariff_id, component, *_ = key.split("/")
            assert all(entry.metered >= 0 for entry in standing)
            if component:
                timeline = self._book.timeline(tariff_id, account.adopted[tariff_id])
                come_to = total(standing, component, timeline) + account.settled.get(key, 0)
                assert come_to == self.by_counter[key]
        for label in account.closed:
            assert unsettled_counters(account, closed_month(account, label), self._book) == []

    def check_emptied(self) -> None:
        """Check what must hold once every usage event is voided."""
        account = self._scenario.acme
        self.check()
        assert all(units(standing) == 0 for standing in account.counters.values())
        assert account.suspended_lines == 0
        for bucket in account.prepaid.buckets.values():
            assert bucket.is_money or bucket.drawn == 0
        for key, amount in self.by_counter.items():
            assert amount == (account.settled.get(key, 0) if key else self.by_kind["adjustment"])
        assert self.amounts == self.by_kind["adjustment"] + sum(account.settled.values())


def _check_line(line: Line) -> None:
    assert 0 <= abs(line.covered) <= abs(line.quantity)
    if line.status == SUSPENSE or (line.status == VOIDED and line.reason):
        assert not line.amount
        return
    priced = [part.amount for part in line.slices] + [moved.amount for moved in line.repricings]
    if line.kind not in ("minimum", "adjustment"):
        assert sum(priced) == line.amount
    covers = [draw for draw in line.draws if draw.quantity]
    assert sum(draw.quantity for draw in covers) == line.covered
