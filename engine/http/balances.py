"""Balances in memory: the newest of each account, kept up by a thread that follows the `balances` topic.

A gateway asks before each call, so the answer may cost no more than a look into a dictionary. It is the
record that the projector wrote, seen with a clock: a limit whose period has passed is reached no more,
although no later record says so yet. How old the answer can be stands in it: `as_of` is the time of the
last thing the balance knows of, and `age_seconds` how long ago this process last had everything that
Kafka held of the topic.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import structlog

from engine.adapters.avro.views import balance_from
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.kafka.partitioning import partition_of
from engine.ports import RecordLog, TopicPartition
from engine.rating.balance import Balance, BucketState, LimitState
from engine.rating.errors import BrokenInvariant, TollbookError
from engine.rating.limit import ACCOUNT, SUBJECT
from engine.rating.money import format_pico
from engine.rating.period import format_instant

EVERY_SECONDS = 0.1
_PAUSE_SECONDS = 1.0
_log = structlog.get_logger()


class Vital(Protocol):
    """Hears how the follower is."""

    def turn(self) -> None:
        """Hear that it is alive."""

    def unavailable(self, is_away: bool) -> None:
        """Hear whether Kafka answers."""

    def complete(self) -> None:
        """Hear that all was read that there was."""


class Kept(NamedTuple):
    """A balance as it was read: its bytes, and when they were appended (us UTC)."""

    value: bytes
    appended_at: int


class BalanceBook:
    """The newest balance of each account. One thread refreshes it, any may ask."""

    def __init__(
        self, log: RecordLog, partitions: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._clock = clock
        self._next = {TopicPartition("balances", number): 0 for number in range(partitions)}
        self._kept: dict[TopicPartition, dict[bytes, Kept]] = {place: {} for place in self._next}
        self._complete_at: float | None = None

    def refresh(self) -> None:
        """Take in what is new. TollbookError if the log can not be read now."""
        began_at = self._clock()
        for place, end in self._log.ends(list(self._next)).items():
            if end < self._next[place]:  # the topic was made anew
                self._next[place], self._kept[place] = 0, {}
            kept = self._kept[place]
            for record in self._log.read(place, self._next[place], end):
                if record.key is not None:
                    kept[record.key] = Kept(record.value, record.appended_at)
            self._next[place] = end
        self._complete_at = began_at

    @property
    def age_seconds(self) -> float | None:
        """How long ago all was known that Kafka held; None: never yet."""
        return None if self._complete_at is None else self._clock() - self._complete_at

    def find(self, account_id: str) -> Kept | None:
        """Return the newest balance of an account, if there is one."""
        place = TopicPartition("balances", partition_of(account_id, len(self._kept)))
        return self._kept[place].get(account_id.encode())


def follow(
    book: BalanceBook, stop: threading.Event, vital: Vital, every_seconds: float = EVERY_SECONDS
) -> None:
    """Refresh a book until told to stop. An outage is waited for; answers grow older meanwhile."""
    while not stop.is_set():
        vital.turn()
        try:
            book.refresh()
        except BrokenInvariant:
            raise
        except TollbookError as error:
            vital.unavailable(True)
            _log.warning("balances_unavailable", reason=str(error), pause_seconds=_PAUSE_SECONDS)
            stop.wait(_PAUSE_SECONDS)
        else:
            vital.unavailable(False)
            vital.complete()
            stop.wait(every_seconds)


def answer(kept: Kept, age_seconds: float, now: int) -> dict[str, Any] | None:
    """Return what a gateway is told of a balance at an instant (us UTC); None if it is unreadable."""
    decoded = decode(kept.value)
    if not isinstance(decoded, Decoded):
        return None
    found = balance_from(decoded.fields)
    standing = [limit for limit in found.limits if limit.resets_at > now]
    reached = [limit for limit in standing if limit.reached]
    return {
        "account_id": found.account_id,
        "currency": found.currency,
        "tariff_id": found.tariff_id,
        "due": format_pico(found.due),
        "exhausted": found.exhausted or _has_run_out(found, now),
        "limited": any(limit.scope == ACCOUNT for limit in reached),
        "limited_subjects": sorted({x.subject for x in reached if x.scope == SUBJECT}),
        "buckets": [_bucket(bucket) for bucket in found.buckets],
        "limits": [_limit(limit, now) for limit in found.limits],
        "limits_left_out": found.limits_left_out,
        "suspended_lines": found.suspended_lines,
        "sequence": found.sequence,
        "as_of": format_instant(found.as_of),
        "projected_at": format_instant(kept.appended_at),
        "age_seconds": round(age_seconds, 3),
    }


def _has_run_out(found: Balance, now: int) -> bool:
    """Whether every bucket that still held something has ended since the balance was written."""
    full = [bucket for bucket in found.buckets if bucket.remaining]
    return bool(full) and all(
        bucket.valid_to is not None and bucket.valid_to <= now for bucket in full
    )


def _bucket(bucket: BucketState) -> Mapping[str, Any]:
    return {
        "bucket_id": bucket.bucket_id,
        "grant_id": bucket.grant_id,
        "unit": bucket.unit,
        "granted": format_pico(bucket.granted),
        "remaining": format_pico(bucket.remaining),
        "valid_from": format_instant(bucket.valid_from),
        "valid_to": _instant(bucket.valid_to),
        "runs_out_at": _instant(bucket.runs_out_at),
    }


def _limit(limit: LimitState, now: int) -> Mapping[str, Any]:
    """Return a limit; one whose period has passed is as at the begin of the next."""
    stands = limit.resets_at > now
    return {
        "limit_id": limit.limit_id,
        "measure": limit.measure,
        "scope": limit.scope,
        "subject": limit.subject,
        "period": limit.period,
        "used": format_pico(limit.used if stands else 0),
        "amount": format_pico(limit.amount),
        "reached": limit.reached and stands,
        "resets_at": format_instant(limit.resets_at),
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else format_instant(at)
