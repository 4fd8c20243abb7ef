"""What an account has prepaid: its grants, its buckets, and what was drawn from them by whom.

A part of the account's fold: it changes by the charges and events that the account takes in, and by
nothing else.
"""

from bisect import insort
from typing import NamedTuple

from engine.rating.bucket import Bucket, Draws, drawn_on, moved, opened
from engine.rating.charge import EXPIRY, RECHARGE, ROLLOVER, Charge, Drawdown
from engine.rating.errors import BrokenInvariant
from engine.rating.grant import Grant, successor_id
from engine.rating.period import UTC_ZONE, FrozenZone

BURN_HOURS = 24
"""The pace of a bucket is measured over so many hours of use."""

HOUR = 3_600 * 1_000_000

Span = tuple[int, int | None]
"""[from, to) in us UTC; None: open."""

Burnt = tuple[tuple[int, int], ...]
"""Units drawn by hour of use (hours since 1970), ascending."""


class Granting(NamedTuple):
    """A grant that was given: the occurrence that opens its next bucket, and whether it is void."""

    grant: Grant
    next_index: int = 0
    is_void: bool = False


class Prepaid:
    """The grants and buckets of one account."""

    __slots__ = (
        "buckets",
        "burnt",
        "grants",
        "money_draws",
        "next_refill",
        "open_buckets",
        "spans",
        "subject_draws",
        "zone",
    )

    def __init__(self) -> None:
        self.zone: FrozenZone = UTC_ZONE
        """The account's; recurrences are counted in it."""
        self.grants: dict[str, Granting] = {}
        self.buckets: dict[str, Bucket] = {}
        self.open_buckets: tuple[str, ...] = ()
        """In draw order."""
        self.spans: dict[str, Span] = {}
        """The [from, to) of the next bucket of each grant that opens another one; follows from the rest."""
        self.next_refill: int | None = None
        """When the first of them begins."""
        self.subject_draws: dict[tuple[str, str], int] = {}
        """What each subject has drawn from a bucket with a cap, less what its usage gave back."""
        self.money_draws: dict[str, Draws] = {}
        """What each counter has drawn from money buckets; none that has drawn nothing."""
        self.burnt: dict[str, Burnt] = {}
        """What was drawn from each open bucket in the latest 24 hours."""

    def give(self, grant: Grant) -> None:
        """Take a grant in; its first bucket comes with a charge."""
        self.grants[grant.grant_id] = Granting(grant)
        self._look_ahead(grant.grant_id)

    def draw(self, charge: Charge) -> int:
        """Move what a charge draws from buckets; return what money buckets pay of it, in pico."""
        paid = 0
        for drawdown in charge.drawdowns:
            if self.buckets[drawdown.bucket].is_money:
                paid += drawdown.units
            for bucket in moved(self.buckets, drawdown):
                self.buckets[bucket.bucket_id] = bucket
        for line in charge.lines:
            for draw in line.draws:
                bucket = self.buckets[draw.bucket]
                if bucket.is_money and not line.counter.endswith("/event"):
                    self._pay(line.counter, drawn_on(self.money_draws.get(line.counter, ()), draw))
                if bucket.grant.per_subject_cap is not None:
                    self._add_subject_draw((draw.bucket, charge.subject), draw.units)
                if not bucket.is_closed:
                    self._burn(draw.bucket, charge.occurred_at // HOUR, draw.units)
        return paid

    def _pay(self, counter: str, draws: Draws) -> None:
        if draws:
            self.money_draws[counter] = draws
        else:
            self.money_draws.pop(counter, None)

    def _add_subject_draw(self, key: tuple[str, str], units: int) -> None:
        taken = self.subject_draws.pop(key, 0) + units
        if taken > 0:  # what comes back may have been drawn by others
            self.subject_draws[key] = taken

    def _burn(self, bucket_id: str, hour: int, units: int) -> None:
        """Add units to the pace of a bucket; hours long before the latest are forgotten."""
        burnt = self.burnt.get(bucket_id, ())
        if burnt and burnt[-1][0] == hour:
            self.burnt[bucket_id] = (*burnt[:-1], (hour, burnt[-1][1] + units))
            return
        hours = dict(burnt)
        hours[hour] = hours.get(hour, 0) + units
        first = max(hours) - BURN_HOURS
        self.burnt[bucket_id] = tuple(sorted((h, u) for h, u in hours.items() if h > first))

    def move(self, charge: Charge) -> None:
        """Open, fill or close the one bucket that a charge without an amount names."""
        (drawdown,) = charge.drawdowns
        bucket = self.buckets.get(drawdown.bucket)
        if charge.kind == EXPIRY and bucket is not None:
            after = bucket.closed()
        elif charge.kind == ROLLOVER:
            after = self._successor(charge, drawdown)
        elif charge.kind == RECHARGE and bucket is not None:
            after = bucket.filled(-drawdown.units)
        else:
            after = self._refilled(charge, drawdown)
        told = (after.remaining, after.rolled, after.expired)
        if told != (drawdown.remaining, drawdown.rolled, drawdown.expired):
            raise BrokenInvariant(
                f"account {charge.account_id}: {drawdown} of charge {charge.charge_id} does not "
                f"follow {bucket}"
            )
        self.buckets[after.bucket_id] = after.check()
        self._place(after)

    def _successor(self, charge: Charge, drawdown: Drawdown) -> Bucket:
        bucket = self.buckets.get(drawdown.bucket.removesuffix(successor_id("")))
        successor = bucket and bucket.successor(bucket.rolled)
        if successor and successor.bucket_id == drawdown.bucket not in self.buckets:
            return successor
        raise BrokenInvariant(
            f"account {charge.account_id}: nothing rolls over to {drawdown.bucket}"
        )

    def _refilled(self, charge: Charge, drawdown: Drawdown) -> Bucket:
        """Return the next bucket of a grant."""
        grant_id = drawdown.bucket.partition("#")[0]
        granting = self.grants.get(grant_id)
        bucket = granting and opened(granting.grant, granting.next_index, self.zone)
        if granting is None or bucket is None or bucket.bucket_id != drawdown.bucket:
            raise BrokenInvariant(
                f"account {charge.account_id}: charge {charge.charge_id} opens {drawdown.bucket}, "
                f"which is not the next bucket of {granting}"
            )
        self.grants[grant_id] = granting._replace(next_index=granting.next_index + 1)
        self._look_ahead(grant_id)
        return bucket

    def _place(self, bucket: Bucket) -> None:
        """Bring a bucket into draw order while it is open, and forget its pace once it is not."""
        names = [name for name in self.open_buckets if name != bucket.bucket_id]
        if bucket.is_closed:
            self.burnt.pop(bucket.bucket_id, None)
        else:
            insort(names, bucket.bucket_id, key=lambda name: self.buckets[name].draw_order)
        self.open_buckets = tuple(names)

    def _look_ahead(self, grant_id: str) -> None:
        """Find the next bucket of a grant."""
        grant, index, is_void = self.grants[grant_id]
        span = grant.span(index, self.zone) if grant.recurs and not is_void else None
        self.spans.pop(grant_id, None)
        if span is not None:
            self.spans[grant_id] = span
        self.next_refill = min((start for start, _ in self.spans.values()), default=None)

    def derive(self) -> None:
        """Work out what follows from grants and buckets: draw order, and what opens next."""
        for grant_id in self.grants:
            self._look_ahead(grant_id)
        self.open_buckets = ()
        for bucket in self.buckets.values():
            self._place(bucket)

    def void(self, grant_id: str) -> list[str]:
        """Void what remains of a grant: no bucket of it opens any more. Return those that close."""
        self.grants[grant_id] = self.grants[grant_id]._replace(is_void=True)
        self._look_ahead(grant_id)
        buckets = self.buckets
        names = [name for name in self.open_buckets if buckets[name].grant.grant_id == grant_id]
        for name in names:
            buckets[name] = buckets[name].voided_now().check()
            self._place(buckets[name])
        return names
