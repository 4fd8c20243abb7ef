"""Buckets: what is left of a grant, and how units move in and out.

At every moment granted = remaining + drawn + expired + rolled + voided, and nothing of it is below
zero. A bucket that closes covers nothing any more; what still comes back to it goes on to its open
successor, as far as the rollover allows, and the rest counts as expired (semantics sections 3 to 5).
These are the only functions that move units: rating tries them on its own copy, and the fold
applies what rating has written down.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engine.rating.charge import Draw, Drawdown
from engine.rating.errors import BrokenInvariant
from engine.rating.grant import CREDIT, MONEY, Grant, successor_id
from engine.rating.period import FrozenZone

_NEVER = 2**62


class Bucket(NamedTuple):
    """Units of a grant, valid in [valid_from, valid_to) (us UTC; None: open); amounts in pico units."""

    bucket_id: str
    grant: Grant
    valid_from: int
    valid_to: int | None
    granted: int
    remaining: int
    drawn: int = 0
    expired: int = 0
    rolled: int = 0
    voided: int = 0
    is_closed: bool = False
    is_successor: bool = False

    @property
    def is_money(self) -> bool:
        """Whether it pays for amounts instead of covering tokens."""
        return self.grant.unit == MONEY

    @property
    def draw_order(self) -> tuple[int, int, int, str]:
        """Priority, earlier end, earlier grant, id: total, whatever order grants arrive in."""
        end = _NEVER if self.valid_to is None else self.valid_to
        return self.grant.priority, end, self.grant.granted_at, self.bucket_id

    @property
    def gives_credit(self) -> bool:
        """Whether money that comes back to it lowers what is due, because it is closed."""
        return self.is_closed and self.grant.returns == CREDIT

    def holds_at(self, at: int) -> bool:
        """Whether usage at an instant may draw from it."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)

    def closes_at(self, account_grace: int) -> int | None:
        """Return when it expires: its end and its grace (us UTC); None: never."""
        if self.valid_to is None:
            return None
        grace = self.grant.grace
        return self.valid_to + (account_grace if grace is None else grace)

    def check(self) -> "Bucket":
        """Return it, or raise BrokenInvariant if it does not add up."""
        parts = (self.remaining, self.drawn, self.expired, self.rolled, self.voided)
        if min(parts) < 0 or sum(parts) != self.granted:
            raise BrokenInvariant(f"bucket {self.bucket_id}: {self} does not add up")
        return self

    def drawn_by(self, units: int) -> "Bucket":
        """Return it after a draw (negative: a return) while it is open."""
        return self._replace(remaining=self.remaining - units, drawn=self.drawn + units)

    def filled(self, units: int) -> "Bucket":
        """Return it with units more."""
        return self._replace(granted=self.granted + units, remaining=self.remaining + units)

    def closed(self) -> "Bucket":
        """Return it after its end: what may roll over has, the rest has expired."""
        rolled = 0
        if self.grant.rollover is not None and not self.is_successor:
            rolled = min(self.remaining, self.grant.rollover.most)
        return self._replace(
            remaining=0,
            rolled=rolled,
            expired=self.expired + self.remaining - rolled,
            is_closed=True,
        )

    def voided_now(self) -> "Bucket":
        """Return it with what remains taken back."""
        return self._replace(remaining=0, voided=self.voided + self.remaining, is_closed=True)

    def successor(self, rolled: int) -> "Bucket | None":
        """Return the bucket that takes over what it has rolled; None without a rollover."""
        if self.grant.rollover is None or self.is_successor or self.valid_to is None:
            return None
        amount = self.grant.rollover.amount(rolled)
        length = self.valid_to - self.valid_from
        return Bucket(
            successor_id(self.bucket_id),
            self.grant,
            self.valid_to,
            self.valid_to + length,
            amount,
            amount,
            is_successor=True,
        )


def opened(grant: Grant, index: int, zone: FrozenZone) -> Bucket | None:
    """Return the bucket of an occurrence, full; None if there is no such occurrence."""
    span = grant.span(index, zone)
    return span and Bucket(grant.bucket_id(index), grant, *span, grant.amount, grant.amount)


def give_back(buckets: Mapping[str, Bucket], bucket_id: str, units: int) -> tuple[Bucket, ...]:
    """Return the buckets that a return of units changes: this one, and its successor if it rolls."""
    bucket = buckets[bucket_id].drawn_by(-units)
    if not bucket.is_closed:
        return (bucket.check(),)
    bucket = bucket._replace(remaining=0)
    successor = None if bucket.is_successor else buckets.get(successor_id(bucket_id))
    if bucket.grant.rollover is None or successor is None or successor.is_closed:
        return (bucket._replace(expired=bucket.expired + units).check(),)
    limit = bucket.grant.rollover
    rolled = min(limit.most, bucket.rolled + units)
    more = limit.amount(rolled) - limit.amount(bucket.rolled)
    bucket = bucket._replace(
        rolled=rolled, expired=bucket.expired + units - (rolled - bucket.rolled)
    )
    return bucket.check(), successor.filled(more).check()


def moved(buckets: Mapping[str, Bucket], drawdown: Drawdown) -> tuple[Bucket, ...]:
    """Return the buckets that a drawdown of a charge with an amount changes.

    BrokenInvariant if what it says does not come out.
    """
    before = buckets[drawdown.bucket]
    if drawdown.units < 0:
        after = give_back(buckets, drawdown.bucket, -drawdown.units)
    else:
        after = (before.drawn_by(drawdown.units).check(),)
    if told(before, after[0]) != drawdown or (before.is_closed and drawdown.units > 0):
        raise BrokenInvariant(f"bucket {before.bucket_id}: {drawdown} does not follow {before}")
    return after


def told(before: Bucket, after: Bucket) -> Drawdown:
    """Return the drawdown that tells how a bucket has changed."""
    return Drawdown(
        after.bucket_id,
        after.drawn - before.drawn,
        after.remaining,
        after.rolled - before.rolled,
        after.expired - before.expired,
    )


Draws = tuple[tuple[str, int], ...]
"""What a counter's amount has drawn from money buckets, in pico, latest last."""


def drawn_on(draws: Draws, draw: Draw) -> Draws:
    """Return what a counter has drawn after one more draw, or return, of a line."""
    units = draw.units - draw.credited
    if units > 0:
        if draws and draws[-1][0] == draw.bucket:
            return (*draws[:-1], (draw.bucket, draws[-1][1] + units))
        return (*draws, (draw.bucket, units))
    left = list(draws)
    for index in reversed(range(len(left))):
        if left[index][0] == draw.bucket and units:
            taken = max(units, -left[index][1])
            left[index] = (draw.bucket, left[index][1] + taken)
            units -= taken
    if units:
        raise BrokenInvariant(f"bucket {draw.bucket}: more comes back than was drawn from it")
    return tuple((bucket, rest) for bucket, rest in left if rest)


def net(draws: Iterable[tuple[str, int]]) -> int:
    """Return what all of a counter's draws come to, in pico."""
    return sum(units for _, units in draws)
