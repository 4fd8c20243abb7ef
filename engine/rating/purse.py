"""The purse: an account's buckets and its due, as one charge leaves them line by line.

Token buckets cover whole tokens of the lines they fit. An amount is settled right after its line is
priced: a positive one first uses up credit (a negative due), then money buckets in draw order, and the
rest is due. A negative one first lowers the due as far as its counter raised it, then goes back to the
money buckets that its counter drew from, latest first, and the rest lowers the due (semantics
section 2). The purse tries all of this on copies; the account changes when the charge is folded in.
"""

from collections.abc import Callable, Sequence

from engine.rating.account import Account
from engine.rating.bucket import Bucket, Draws, drawn_on, give_back, net, told
from engine.rating.charge import Draw, Drawdown
from engine.rating.matching import ANYTHING, Facts
from engine.rating.period import FrozenZone
from engine.rating.usage import UsageEvent

NO_FACTS = Facts("", "", "", "", "", "", "", "")
"""Of charges without usage: only buckets for everything pay for them."""


def facts_of(event: UsageEvent, zone: FrozenZone) -> Facts:
    """Return what the scope of a bucket looks at; its time windows are in the account's zone."""
    return Facts(
        event.account_id,
        event.subject,
        event.model,
        event.provider,
        event.operation,
        event.service_tier,
        event.region,
        event.initiator,
        event.attributes,
        event.context_length,
        zone.minute_of_week(event.occurred_at),
    )


class Purse:
    """What one charge of an account draws, for a subject's usage at an instant (us UTC)."""

    def __init__(
        self,
        account: Account,
        at: int,
        subject: str,
        facts: Callable[[], Facts],
        drawn: dict[str, Draws] | None = None,
    ) -> None:
        self.due = account.due
        self._prepaid = account.prepaid
        self._subject = subject
        self._changed: dict[str, Bucket] = {}
        self._taken: dict[str, int] = {}
        self._drawn: dict[str, Draws] = drawn or {}
        self._eligible = self._find(at, facts) if self._prepaid.open_buckets else ()

    def _find(self, at: int, facts: Callable[[], Facts]) -> tuple[str, ...]:
        """Return the buckets that the usage may draw from, in draw order."""
        buckets = self._prepaid.buckets
        holding = [name for name in self._prepaid.open_buckets if buckets[name].holds_at(at)]
        if all(buckets[name].grant.match is ANYTHING for name in holding):
            return tuple(holding)
        known = facts()
        return tuple(name for name in holding if buckets[name].grant.match.matches(known))

    def _bucket(self, name: str) -> Bucket:
        return self._changed.get(name) or self._prepaid.buckets[name]

    def _available(self, bucket: Bucket) -> int:
        """Return what the subject may still draw from a bucket."""
        cap = bucket.grant.per_subject_cap
        if cap is None:
            return bucket.remaining
        taken = self._prepaid.subject_draws.get((bucket.bucket_id, self._subject), 0)
        taken += self._taken.get(bucket.bucket_id, 0)
        return max(0, min(bucket.remaining, cap - max(0, taken)))

    def _take(self, bucket: Bucket, units: int) -> None:
        self._changed[bucket.bucket_id] = bucket.drawn_by(units)
        self._taken[bucket.bucket_id] = self._taken.get(bucket.bucket_id, 0) + units

    def absorb(self, kind: str, model: str, quantity: int) -> tuple[Draw, ...]:
        """Return how token buckets cover a kind's tokens: whole ones, in draw order."""
        draws: list[Draw] = []
        for name in self._eligible:
            bucket = self._bucket(name)
            weight = 0 if bucket.is_money else bucket.grant.weight_pico(kind, model)
            if not weight:
                continue
            covered = min(quantity, self._available(bucket) // weight)
            if covered:
                self._take(bucket, covered * weight)
                draws.append(Draw(name, covered, covered * weight))
                quantity -= covered
            if not quantity:
                break
        return tuple(draws)

    def funds(self) -> int:
        """Return what can be paid without anything becoming due: credit and money, in pico."""
        money = [self._bucket(name) for name in self._eligible]
        return max(0, -self.due) + sum(self._available(b) for b in money if b.is_money)

    def settle(self, counter: str, amount: int, raised: Callable[[], int]) -> tuple[Draw, ...]:
        """Settle a line's amount (pico); `raised`: what its counter has raised the due by so far."""
        draws = self._pay(amount) if amount > 0 else self._return(counter, -amount, raised)
        for draw in draws:
            self._drawn[counter] = drawn_on(self.drawn(counter), draw)
        self.due += amount - sum([draw.units for draw in draws])
        return draws

    def drawn(self, counter: str) -> Draws:
        """Return what a counter has drawn from money buckets so far."""
        if counter in self._drawn:
            return self._drawn[counter]
        return self._prepaid.money_draws.get(counter, ())

    def _pay(self, amount: int) -> tuple[Draw, ...]:
        rest = amount - max(0, min(amount, -self.due))
        draws: list[Draw] = []
        for name in self._eligible:
            bucket = self._bucket(name)
            units = min(rest, self._available(bucket)) if bucket.is_money else 0
            if units:
                self._take(bucket, units)
                draws.append(Draw(name, 0, units))
                rest -= units
        return tuple(draws)

    def _return(self, counter: str, amount: int, raised: Callable[[], int]) -> tuple[Draw, ...]:
        drawn = self.drawn(counter)
        if not amount or not drawn:
            return ()
        rest = amount - max(0, min(amount, raised()))
        draws: list[Draw] = []
        for name, units in reversed(drawn):
            back = min(rest, units)
            if not back:
                break
            if self._bucket(name).gives_credit:
                draws.append(Draw(name, 0, 0, credited=back))
            else:
                draws.append(Draw(name, 0, -back))
                self._put_back(name, back)
            rest -= back
        return tuple(draws)

    def give_back(self, draws: Sequence[Draw]) -> tuple[Draw, ...]:
        """Return the units of token draws to the very buckets they came from."""
        for draw in draws:
            self._put_back(draw.bucket, draw.units)
        return tuple(Draw(draw.bucket, -draw.quantity, -draw.units) for draw in draws)

    def _put_back(self, name: str, units: int) -> None:
        for bucket in give_back({**self._prepaid.buckets, **self._changed}, name, units):
            self._changed[bucket.bucket_id] = bucket
        self._taken[name] = self._taken.get(name, 0) - units

    def net_drawn(self, counter: str) -> int:
        """Return what a counter's amounts have drawn from money buckets in all, in pico."""
        return net(self.drawn(counter))

    def drawdowns(self) -> tuple[Drawdown, ...]:
        """Return what the charge moves in each bucket, by draw order.

        What a successor gets from the closed bucket before it stands in that one's drawdown.
        """
        before = self._prepaid.buckets
        changed = sorted(self._changed.values(), key=lambda bucket: bucket.draw_order)
        return tuple(
            told(before[bucket.bucket_id], bucket)
            for bucket in changed
            if bucket.drawn != before[bucket.bucket_id].drawn
        )
